// Fuzzing what lies beside the checkpoint in a run folder: config.json and metrics.jsonl.
//
// An input is config.json up to a line "==", then metrics.jsonl. Reaches: run_folder_look,
// run_folder_metrics (which cuts the metrics back to a step when a run goes on) and
// run_folder_create, which removes the files of a folder only where config.json is a run's.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/train/run_folder.h"
#include "input.h"

static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

// The metrics are cut to whole lines, not beyond, and once more to the same.
static void check_metrics(const char *folder, const char *path)
{
    int64_t size = 0, again = 0, before = size_of(path);
    int fd = run_folder_metrics(folder, 5, true, &size);
    fuzz_judge(fd);
    if (fd < 0)
        return;
    close(fd);
    BUG_ON(size > before || size_of(path) != size);
    fd = run_folder_metrics(folder, 5, true, &again);
    BUG_ON(fd < 0 || again != size);
    close(fd);
    fd = run_folder_metrics(folder, 5, false, &again);
    BUG_ON(fd < 0 || again > size || size_of(path) != again);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char mark[] = "\n==\n";
    const char *folder = fuzz_folder();
    char metrics[128], config[128];
    snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    const uint8_t *cut = size ? memmem(data, size, mark, strlen(mark)) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size;
    fuzz_folder_put("config.json", data, first);
    fuzz_folder_put("metrics.jsonl", cut ? cut + strlen(mark) : NULL,
                    cut ? size - first - strlen(mark) : 0);
    BUG_ON(run_folder_look(folder) != RUN_FOLDER_BEGUN);
    check_metrics(folder, metrics);
    int fd = run_folder_create(folder, true);
    fuzz_judge(fd);
    // What is not a run's is not removed.
    BUG_ON((size_of(config) < 0) != (fd >= 0));
    BUG_ON((size_of(metrics) < 0) != (fd >= 0));
    if (fd >= 0)
        close(fd);
    return 0;
}
