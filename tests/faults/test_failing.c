// Whatever fails - a system call, an allocation, the disk, a quota, descriptors - no command ends
// by a signal, says that it did what it did not, damages what was there, or keeps what it should
// give back; and a run goes on where it can.
//
// Each command is run once to count, and then again and again with one call more that fails. The
// short form takes some of the numbers; FAILING_STRIDE=1 takes each (`make failing`). To look into
// one: FAILING_ONLY=WORD takes the samples whose names have the word, FAILING_MODE=PATTERN the
// modes, FAILING_AT=NUMBER the call. What ends in a library, by a signal or by its own exit, is
// counted and named, as it is not ours to mend.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/cli/command.h"
#include "../../src/io/h5file.h"
#include "../../src/io/seal.h"
#include "../../src/train/history.h"
#include "../support/check.h"
#include "../support/folder.h"
#include "failing_run.h"

#define SMALL                                                                                      \
    "--pe learned --task copy --arch decoder --layers 1 --heads 2 --dim 8 --ff-dim 8 --length 8 "  \
    "--batch-size 2 --steps 9 --warmup 1 --save-every 3 --eval-every 3 --eval-batches 1 "          \
    "--log-every 1 --keep 9 --keep-best --threads 1"

// A command, what is in the folder "new" before it, and whether its output is worth nothing in
// parts. "old" has a run of six steps.
static const struct sample {
    const char *name, *command;
    const char *before; // a folder to start from; NULL: an empty one
    bool whole;
    int trouble; // exit status where something went wrong; 0 is 1
    bool slow;   // for the long form alone, and for some of its numbers
} samples[] = {
    {.name = "train", .command = "train " SMALL " --quiet --out-dir new/run"},
    {.name = "resume",
     .command = "train --resume new/run --steps 9 --quiet",
     .before = "unfinished"},
    {.name = "seeds", .command = "train " SMALL " --quiet --seeds 0-1 --out-dir new/run"},
    {.name = "events", .command = "train " SMALL " --quiet --tensorboard --out-dir new/run"},
    {.name = "prune", .command = "train " SMALL " --json --keep 2 --out-dir new/run"},
    {.name = "overwrite",
     .command = "train " SMALL " --quiet --overwrite --out-dir new/run",
     .before = "unfinished"},
    {.name = "start",
     .command = "train " SMALL
                " --steps 3 --quiet --freeze pe.* --init-from t.npz --out-dir new/run"},
    {.name = "start-model",
     .command = "train " SMALL
                " --steps 3 --quiet --init-from model.safetensors --out-dir new/run"},
    {.name = "eval", .command = "eval old --threads 1 --lengths 4,6 --json", .whole = true},
    {.name = "eval-csv", .command = "eval old --threads 1 --csv new/rows.csv", .before = "written"},
    {.name = "inspect", .command = "inspect old"},
    {.name = "inspect-picture", .command = "inspect old --picture"},
    {.name = "inspect-json", .command = "inspect old --json", .whole = true},
    {.name = "inspect-npz", .command = "inspect t.npz"},
    {.name = "inspect-safetensors", .command = "inspect model.safetensors --json", .whole = true},
    {.name = "export-npz", .command = "export old --overwrite -o new/t.npz", .before = "written"},
    {.name = "export-npy", .command = "export old --overwrite -o new/t.npy", .before = "written"},
    {.name = "export-json",
     .command = "export old --overwrite -o new/t.json --what model",
     .before = "written"},
    {.name = "export-csv", .command = "export old --overwrite -o new/t.csv", .before = "written"},
    {.name = "export-onnx", .command = "export old --overwrite -o new/t.onnx", .before = "written"},
    {.name = "export-hf",
     .command = "export old --overwrite --format hf -o new/t",
     .before = "opened"},
    {.name = "export-projector",
     .command = "export old --overwrite --format projector -o new/t",
     .before = "shown"},
    {.name = "export-safetensors",
     .command = "export old --overwrite -o new/t.safetensors",
     .before = "written"},
    {.name = "export-h5", .command = "export old --overwrite -o new/t.h5", .before = "written"},
    {.name = "export-header",
     .command = "export old --overwrite -o new/t.h --what model",
     .before = "written"},
    {.name = "export-length",
     .command = "export old --overwrite -o new/t.npz --length 5",
     .before = "written"},
    {.name = "compare", .command = "compare old best"},
    {.name = "compare-json", .command = "compare old best --json", .whole = true},
    {.name = "diff", .command = "diff old old --json", .whole = true, .trouble = 2},
    {.name = "trace", .command = "trace old --threads 1 -o new/trace.h5", .before = "written"},
    {.name = "describe", .command = "describe rope"},
    {.name = "list", .command = "list tasks --json", .whole = true},
    {.name = "reproduce",
     .command = "reproduce urpe --jobs 1 --train=--steps=1 --quiet --json --out-dir new/cells",
     .whole = true,
     .slow = true},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

// What fails.
enum {
    MEMORY = FAILING_ALLOC | FAILING_MAP | FAILING_THREAD,
    DISK = FAILING_WRITE | FAILING_SYNC | FAILING_CREATE,
    DESCRIPTORS = FAILING_OPEN | FAILING_STREAM,
    ALL = DISK | DESCRIPTORS | FAILING_READ | FAILING_NAME | FAILING_LOOK | FAILING_CLOSE,
    SLOW = FAILING_OPEN | FAILING_WRITE | FAILING_READ | FAILING_SYNC | FAILING_CLOSE,
};
static const struct mode {
    const char *name;
    unsigned classes;
    int error;
    bool lasting;
} modes[] = {
    {"memory_once", MEMORY, ENOMEM, false},
    {"memory_from_then_on", MEMORY, ENOMEM, true},
    {"full_disk_once", DISK, ENOSPC, false},
    {"full_disk_from_then_on", DISK, ENOSPC, true},
    {"quota", DISK | FAILING_NAME, EDQUOT, false},
    {"broken_disk_once", ALL, EIO, false},
    {"broken_disk_from_then_on", ALL, EIO, true},
    {"no_descriptor_once", DESCRIPTORS, EMFILE, false},
    {"no_descriptor_from_then_on", DESCRIPTORS, EMFILE, true},
    {"interruption", SLOW, EINTR, false},
    {"parts_of_what_was_asked_for", FAILING_MOVE, 0, true},
};
enum { MODES = sizeof modes / sizeof modes[0], SHORT_RUNS = sizeof(real) == sizeof(float) ? 4 : 2 };

static char base[] = "/tmp/posgrad-failing-XXXXXX";
static char program[64]; // the name of this one
static const char *only;
static long stride; // 0: the short form
static long one_number;

// --- what is found

static long runs, absorbed, said, tried_again, in_libraries, wrong;
static struct {
    char where[96];
    long count;
} library[64];

struct at {
    const struct sample *sample;
    const struct mode *mode;
    long number;
};

// cmocka's own printing cuts at 1 KiB.
static void blame(const struct at *at, const struct failing_outcome *outcome, const char *why)
{
    const struct failing_report *report = outcome->report;
    if (++wrong > 40)
        return;
    fprintf(stderr, "--- %s, %s, call %ld: %s\nfailed: %s %s\n%s\n", at->sample->name,
            at->mode->name, at->number, why, report->call, report->path, report->trace);
    if (report->end[0])
        fprintf(stderr, "ended in:\n%s\n", report->end);
    if (report->left[0])
        fprintf(stderr, "left:\n%s\n", report->left);
    fprintf(stderr, "exit %d, signal %d, stdout:\n%.6000s\nstderr:\n%.2000s\n",
            WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status) : -1,
            WIFSIGNALED(outcome->status) ? WTERMSIG(outcome->status) : 0, outcome->out,
            outcome->err);
}

// --- where a run ended that should not have

// The library, and the function where it is known, of the first frame that is not of the C library;
// "" where that is our own code.
static void place_of_end(const char *trace, char where[96])
{
    where[0] = '\0';
    for (const char *line = trace; *line;) {
        size_t size = strcspn(line, "\n"), name = strcspn(line, "+"), space = strcspn(line, " ");
        if (strncmp(line, "libc.", 5) != 0 && strncmp(line, "ld-", 3) != 0) {
            if (strncmp(line, program, name) != 0)
                snprintf(where, 96, "%.*s%.*s", (int)(name < 40 ? name : 40), line,
                         (int)(size - space < 50 ? size - space : 50), line + space);
            return;
        }
        line += size + (line[size] == '\n');
    }
}

// Each place once with how it came there, in the long form.
static void count_library(const char *where, const struct at *at,
                          const struct failing_report *report)
{
    in_libraries++;
    for (size_t i = 0; i < sizeof library / sizeof library[0]; i++) {
        if (library[i].count && strcmp(library[i].where, where) != 0)
            continue;
        if (!library[i].count++ && (stride || one_number))
            print_message("in %s: %s, %s, call %ld\nfailed: %s\n%.600s\nended in:\n%.300s\n", where,
                          at->sample->name, at->mode->name, at->number, report->call, report->trace,
                          report->end);
        snprintf(library[i].where, sizeof library[i].where, "%s", where);
        return;
    }
}

// Whether a library ended the process: by a signal in it, or by an exit.
static bool ended_in_library(const struct at *at, const struct failing_outcome *outcome)
{
    char where[96];
    if (!outcome->report->end[0])
        return false;
    place_of_end(outcome->report->end, where);
    if (where[0])
        count_library(where, at, outcome->report);
    return where[0];
}

// --- what a run left

struct reference {
    struct failing_folder before, after;
    char *out;
    long left_libc;
};
static struct reference reference[SAMPLES];

// Without what depends on the clock, and without what is told of saves, which depends on the disk.
static char *timeless(const char *text, size_t size)
{
    char *copy = malloc(size + 1), *end = copy;
    assert_non_null(copy);
    for (const char *p = text; p < text + size; p++) {
        static const char key[] = ", \"step_ms\": ", saved[] = "{\"saved\"";
        if ((size_t)(text + size - p) > sizeof saved && strncmp(p, saved, sizeof saved - 1) == 0) {
            p += strcspn(p, "\n");
            continue;
        }
        if ((size_t)(text + size - p) > sizeof key && strncmp(p, key, sizeof key - 1) == 0)
            while (p + 1 < text + size && *p != '}')
                p++;
        *end++ = *p;
    }
    *end = '\0';
    return copy;
}

static bool ends_with(const char *name, const char *tail)
{
    size_t length = strlen(name), size = strlen(tail);
    return length >= size && strcmp(name + length - size, tail) == 0;
}

static bool same(const struct failing_file *a, const struct failing_file *b)
{
    if (!a || !b)
        return false;
    if (!ends_with(a->name, "metrics.jsonl"))
        return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
    char *x = timeless(a->bytes, a->size), *y = timeless(b->bytes, b->size);
    bool equal = strcmp(x, y) == 0;
    free(x);
    free(y);
    return equal;
}

// Whole lines alone.
static bool has_whole_lines(const struct failing_file *file)
{
    for (size_t i = 0; i < file->size; i++) {
        bool first = i == 0 || file->bytes[i - 1] == '\n', last = file->bytes[i] == '\n';
        if ((first && file->bytes[i] != '{') || (last && file->bytes[i - 1] != '}'))
            return false;
    }
    return file->size == 0 || file->bytes[file->size - 1] == '\n';
}

// The name of an event file has the time and the process in it, and so do its records.
static bool is_events(const struct failing_file *file)
{
    return strstr(file->name, "/events.out.tfevents.") != NULL;
}

// A length, its checksum, so many bytes, their checksum.
static bool has_whole_records(const struct failing_file *file)
{
    size_t at = 0;
    while (file->size - at >= 16) {
        uint64_t length;
        memcpy(&length, file->bytes + at, sizeof length);
        if (length > file->size - at - 16)
            return false;
        at += 16 + length;
    }
    return at == file->size;
}

// A file under a final name is one that was there before, or one that the command writes where
// nothing fails. A checkpoint has the bytes of any of those, as which one it is depends on the
// step.
static bool is_good(const struct reference *r, const struct failing_file *file)
{
    if (same(file, failing_folder_find(&r->before, file->name)) ||
        same(file, failing_folder_find(&r->after, file->name)))
        return true;
    if (ends_with(file->name, "metrics.jsonl"))
        return has_whole_lines(file);
    if (is_events(file))
        return has_whole_records(file);
    if (ends_with(file->name, ".log")) // what a process said that the command started
        return true;
    for (int i = 0; i < r->before.files && ends_with(file->name, ".h5"); i++)
        if (ends_with(r->before.file[i].name, ".h5") && same(file, &r->before.file[i]))
            return true;
    for (int i = 0; i < r->after.files && ends_with(file->name, ".h5"); i++)
        if (ends_with(r->after.file[i].name, ".h5") && same(file, &r->after.file[i]))
            return true;
    return false;
}

// Where elder checkpoints are removed, nobody knows afterwards what bytes they had.
static bool is_whole(const struct failing_file *file)
{
    return ends_with(file->name, ".h5") &&
           seal_check((const unsigned char *)file->bytes, file->size, file->name) == 0;
}

// Whether `file` is an elder checkpoint, which may be missing where that was said.
static bool is_elder(const struct failing_file *file)
{
    return strstr(file->name, "/checkpoint-") != NULL;
}

static const char *check_files(const struct reference *r, const struct sample *sample, bool done,
                               bool warned)
{
    static char why[256];
    struct failing_folder found;
    int temporary = 0;
    why[0] = '\0';
    failing_folder_read(&found, "new");
    for (int i = 0; i < found.files; i++) {
        const struct failing_file *file = &found.file[i];
        if (strstr(file->name, ".tmp/")) // of a folder that is not there yet, or no longer
            continue;
        if (ends_with(file->name, ".tmp"))
            temporary++;
        else if (!is_good(r, file) && !(strcmp(sample->name, "prune") == 0 && is_whole(file)))
            snprintf(why, sizeof why, "%s is neither what was there nor what it should be",
                     file->name);
    }
    if (temporary > 1)
        snprintf(why, sizeof why, "%d temporary files are left", temporary);
    for (int i = 0; i < r->before.files && !done; i++)
        if (!failing_folder_find(&found, r->before.file[i].name) &&
            strcmp(sample->name, "overwrite") != 0)
            snprintf(why, sizeof why, "%s is lost", r->before.file[i].name);
    for (int i = 0; i < r->after.files && done; i++) {
        const struct failing_file *wanted = &r->after.file[i];
        if (!is_events(wanted) && !same(failing_folder_find(&found, wanted->name), wanted) &&
            !(warned && is_elder(wanted)))
            snprintf(why, sizeof why, "exit 0, and %s is not as it should be", wanted->name);
    }
    failing_folder_release(&found);
    return why[0] ? why : NULL;
}

// --- what a run said

static const char *check_lines(const char *text)
{
    for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
        if (!strchr(p, '\n'))
            return "the last line on stderr has no end";
        if (strncmp(p, "posgrad: ", 9) != 0)
            return "a line on stderr does not begin with the program's name";
    }
    return NULL;
}

// A failure of these loses something, so that it has to be said.
static bool must_be_said(const struct failing_report *report, int error)
{
    bool data = report->classes & (FAILING_WRITE | FAILING_SYNC | FAILING_CREATE) ||
                strcmp(report->call, "rename") == 0;
    return data && error != EINTR && error != 0;
}

static const char *check_words(const struct at *at, const struct failing_outcome *outcome)
{
    const struct failing_report *report = outcome->report;
    bool failed = WEXITSTATUS(outcome->status) != 0;
    const char *wrong_line = check_lines(outcome->err);
    if (wrong_line)
        return wrong_line;
    if (failed && !outcome->err[0])
        return "it failed and said nothing";
    if (report->classes & (FAILING_ALLOC | FAILING_MAP | FAILING_THREAD))
        return failed && !strstr(outcome->err, "memory") && !strstr(outcome->err, "alloc")
                   ? "it does not say that memory is short"
                   : NULL;
    if ((failed || must_be_said(report, at->mode->error)) && at->mode->error &&
        !strstr(outcome->err, strerror(at->mode->error)))
        return "the cause is not named";
    return NULL;
}

// The C library may keep something from its first use on.
static const char *check_left(const struct failing_report *report, long libc)
{
    if (report->left_own || report->left_jansson || report->left_zip || report->left_libc > libc)
        return "memory is not given back";
    return report->left_descriptors ? "a file is left open" : NULL;
}

// libzip did not get what it asked for, and lost what it had: which is not ours to give back.
static void forgive_libzip(const struct at *at, struct failing_report *report)
{
    char where[96];
    place_of_end(report->trace, where);
    if (!report->left_zip || strncmp(where, "libzip", 6) != 0)
        return;
    count_library("libzip, which lost a block", at, report);
    report->left_zip = 0;
}

static const char *judge(const struct at *at, const struct failing_outcome *outcome)
{
    const struct reference *r = &reference[at->sample - samples];
    if (ended_in_library(at, outcome))
        return check_files(r, at->sample, false, true);
    if (!WIFEXITED(outcome->status))
        return "it ended by a signal";
    int status = WEXITSTATUS(outcome->status);
    int trouble = at->sample->trouble ? at->sample->trouble : 1;
    if (status != 0 && status != trouble)
        return "the exit status is of something else";
    const char *why = check_words(at, outcome);
    if (!why)
        why = check_files(r, at->sample, status == 0, outcome->err[0] != '\0');
    forgive_libzip(at, outcome->report);
    if (!why)
        why = check_left(outcome->report, r->left_libc);
    char *out = timeless(outcome->out, strlen(outcome->out));
    if (!why && status == 0 && strcmp(out, r->out) != 0)
        why = "exit 0, and the output is not what it should be";
    if (!why && status != 0 && at->sample->whole && outcome->out[0])
        why = "it failed, and there is output";
    free(out);
    bool again = strstr(outcome->err, "the run goes on and tries again") != NULL;
    tried_again += again;
    if (!why && again && !at->mode->lasting && at->mode->classes && status != 0)
        why = "a save that failed once was not tried again";
    if (!why && at->mode->error == EINTR && status != 0)
        why = "an interruption is an error";
    if (!why && at->mode->error == 0 && status != 0)
        why = "a part of a file is an error";
    absorbed += !why && status == 0;
    said += !why && status != 0;
    return why;
}

// --- runs

static long run_limited(const struct at *at, const struct failing_limits *limits)
{
    const struct mode *mode = at->mode;
    bool limited = limits->file_size || limits->descriptors;
    struct failing_plan plan = {mode->classes, limited ? 0 : at->number, mode->lasting,
                                mode->error};
    struct failing_outcome outcome;
    failing_run(at->sample->command, &plan, limits, &outcome);
    const char *why = judge(at, &outcome);
    if (why)
        blame(at, &outcome, why);
    long calls = outcome.report->calls;
    failing_outcome_release(&outcome);
    runs++;
    return calls;
}

static long run_once(const struct sample *sample, const struct mode *mode, long number)
{
    const struct failing_limits limits = {.seconds = 30};
    assert_true(failing_folder_write(&reference[sample - samples].before, "new"));
    return run_limited(&(struct at){sample, mode, number}, &limits);
}

static bool chosen(const struct sample *sample)
{
    return (!only || strstr(sample->name, only)) && (stride || !sample->slow);
}

static void run_mode(const struct mode *mode)
{
    for (int i = 0; i < SAMPLES; i++) {
        if (!chosen(&samples[i]))
            continue;
        long calls = run_once(&samples[i], mode, one_number);
        long step = stride ? stride : calls / SHORT_RUNS + 1;
        step *= samples[i].slow ? 37 : 1;
        long first = stride ? 1 : 1 + (long)(mode - modes + 7 * i) % step;
        for (long number = first; number <= calls && !one_number; number += step)
            run_once(&samples[i], mode, number);
        if (stride)
            print_message("%s, %s: %ld calls\n", samples[i].name, mode->name, calls);
    }
}

static void end_mode(void)
{
    print_message(
        "%ld runs: %ld did all the same, %ld said why not, %ld ended in a library; %ld saved "
        "later what they could not at first\n",
        runs, absorbed, said, in_libraries, tried_again);
    for (size_t i = 0; i < sizeof library / sizeof library[0] && library[i].count; i++)
        print_message("  %ld in %s\n", library[i].count, library[i].where);
    memset(library, 0, sizeof library);
    runs = absorbed = said = tried_again = in_libraries = 0;
    if (wrong)
        fail_msg("%ld runs are not as they should be", wrong);
}

static void a_mode(void **state)
{
    const struct mode *mode = *state;
    wrong = 0;
    run_mode(mode);
    end_mode();
}

// --- limits of the system itself, in place of calls that are made to fail

static size_t largest(const struct failing_folder *folder)
{
    size_t size = 0;
    for (int i = 0; i < folder->files; i++)
        size = folder->file[i].size > size ? folder->file[i].size : size;
    return size;
}

static size_t sum(const struct failing_folder *folder)
{
    size_t size = 0;
    for (int i = 0; i < folder->files; i++)
        size += folder->file[i].size;
    return size;
}

// SIGXFSZ is ignored, so that a file that grows too long is an error.
static void limit_on_the_size_of_files(void **state)
{
    (void)state;
    static const struct mode mode = {"file_size", 0, EFBIG, false};
    wrong = 0;
    for (int i = 0; i < SAMPLES; i++) {
        size_t most = largest(&reference[i].after) + 100;
        size_t step = most / (stride ? 200 : SHORT_RUNS) + 1;
        for (size_t size = 1 + step / 2; chosen(&samples[i]) && size < most; size += step) {
            const struct failing_limits limits = {.file_size = (int64_t)size, .seconds = 30};
            assert_true(failing_folder_write(&reference[i].before, "new"));
            run_limited(&(struct at){&samples[i], &mode, (long)size}, &limits);
        }
    }
    end_mode();
}

static void limit_on_descriptors(void **state)
{
    (void)state;
    static const struct mode mode = {"descriptors", 0, EMFILE, false};
    wrong = 0;
    for (int i = 0; i < SAMPLES; i++)
        for (int most = 3; chosen(&samples[i]) && most < 10; most += stride ? 1 : 3) {
            const struct failing_limits limits = {.descriptors = most, .seconds = 30};
            assert_true(failing_folder_write(&reference[i].before, "new"));
            run_limited(&(struct at){&samples[i], &mode, most}, &limits);
        }
    end_mode();
}

// A file system of so many pages of 4 KiB.
static bool mount_pages(size_t pages)
{
    char options[64];
    snprintf(options, sizeof options, "size=%zuk", 4 * pages);
    return mount("tmpfs", "new", "tmpfs", 0, options) == 0;
}

static void full_file_system(void **state)
{
    (void)state;
    static const struct mode mode = {"file_system", 0, ENOSPC, false};
    static const struct failing_limits limits = {.seconds = 30};
    mkdir("new", 0777); // where this is the first
    if (!mount_pages(1)) {
        print_message("no file system can be mounted here: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(umount("new"), 0);
    wrong = 0;
    for (int i = 0; i < SAMPLES; i++) {
        size_t most = sum(&reference[i].after) / 4096 + 24;
        size_t step = stride ? 1 : most / SHORT_RUNS + 1;
        for (size_t pages = 1; chosen(&samples[i]) && pages < most; pages += step) {
            assert_true(mount_pages(pages));
            if (failing_folder_write(&reference[i].before, "new"))
                run_limited(&(struct at){&samples[i], &mode, (long)pages}, &limits);
            assert_int_equal(umount("new"), 0);
        }
    }
    end_mode();
}

// gradcheck reads and writes nothing, and system tells what it finds.
static void every_command_has_its_sample(void **state)
{
    (void)state;
    for (int i = 0; i < command_count; i++) {
        const char *name = commands[i]->name;
        bool there = strcmp(name, "gradcheck") == 0 || strcmp(name, "system") == 0;
        for (int k = 0; k < SAMPLES; k++)
            there = there || (strncmp(samples[k].command, name, strlen(name)) == 0 &&
                              samples[k].command[strlen(name)] == ' ');
        if (!there)
            fail_msg("no sample runs %s", name);
    }
}

// --- the history of a run, which grows while it trains

// The first row that could not be added, or -1.
static int64_t first_lost_row(long at, bool lasting)
{
    const struct failing_plan plan = {FAILING_ALLOC, at, lasting, ENOMEM};
    static const double values[HISTORY_MAX_COLUMNS];
    static struct failing_report report;
    struct history history;
    int64_t lost = -1;
    memset(&report, 0, sizeof report);
    history_init(&history);
    failing_arm(&plan, &report);
    for (int64_t i = 0; i < 5000 && lost < 0; i++)
        if (history_add(&history, HISTORY_TRAIN, i + 1, values) < 0)
            lost = i;
    failing_disarm();
    assert_int_equal(report.failed > 0, true);
    history_release(&history);
    return lost;
}

// Five columns: memory that is short for a while loses no row; for ever, none of the first 1024.
static void history_grows_before_it_must(void **state)
{
    (void)state;
    for (long at = 1; at <= 15; at++) {
        assert_int_equal(first_lost_row(at, false), at <= 5 ? 0 : -1);
        assert_int_equal(first_lost_row(at, true), at <= 5 ? 0 : at <= 10 ? 1024 : 2048);
    }
}

// --- the start

// Runs a command in which nothing fails, into `folder`.
static void prepare(const char *command, int status)
{
    const struct failing_plan plan = {0};
    struct failing_outcome outcome;
    failing_run(command, &plan, NULL, &outcome);
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != status)
        fail_msg("%s: %s%s", command, outcome.err, outcome.report->end);
    failing_outcome_release(&outcome);
}

// What has the bytes of one of these loads, too.
static void check_loads(const struct failing_file *file)
{
    char path[600];
    snprintf(path, sizeof path, "new/%s", file->name);
    bool other = file->size < SEAL_SIZE || !ends_with(path, ".h5"); // what was there before
    struct h5_reader *reader = other ? NULL : h5_reader_open(path);
    if (!other && !reader)
        fail_msg("%s: %s", path, err_last());
    h5_reader_close(reader);
}

static void take_reference(int i)
{
    const struct failing_plan plan = {0};
    struct failing_outcome outcome;
    struct reference *r = &reference[i];
    if (samples[i].before)
        failing_folder_read(&r->before, samples[i].before);
    assert_true(failing_folder_write(&r->before, "new"));
    failing_run(samples[i].command, &plan, NULL, &outcome);
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != 0)
        fail_msg("%s: %s%s", samples[i].command, outcome.err, outcome.report->end);
    r->left_libc = outcome.report->left_libc;
    const char *left = r->left_libc > 1 ? outcome.report->left : check_left(outcome.report, 1);
    if (left)
        fail_msg("%s: %s: %s", samples[i].command, left, outcome.report->left);
    r->out = timeless(outcome.out, strlen(outcome.out));
    failing_folder_read(&r->after, "new");
    failing_outcome_release(&outcome);
    for (int k = 0; k < r->after.files; k++)
        check_loads(&r->after.file[k]);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(base) || chdir(base) < 0)
        return -1;
    setenv("LC_ALL", "C", 1); // the C library keeps any other that it has loaded
    prepare("train " SMALL " --steps 6 --quiet --out-dir unfinished/run", 0);
    prepare("train " SMALL " --steps 6 --quiet --out-dir old", 0);
    prepare("train " SMALL " --seed 1 --quiet --out-dir best", 0);
    prepare("export old -o t.npz", 0);
    prepare("export old -o model.safetensors --what model", 0);
    assert_int_equal(mkdir("written", 0777) | mkdir("shown", 0777), 0);
    assert_int_equal(mkdir("opened", 0777), 0);
    prepare("export best --format projector -o shown/t", 0);
    prepare("export best --format hf -o opened/t", 0);
    static const char *const names[] = {"rows.csv", "t.npz",    "t.npy",         "t.json", "t.csv",
                                        "t.onnx",   "trace.h5", "t.safetensors", "t.h5",   "t.h"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "written/%s", names[i]);
        check_ok(file_publish(path, "what was there before\n", 22));
    }
    for (int i = 0; i < SAMPLES; i++)
        if (chosen(&samples[i]))
            take_reference(i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        failing_folder_release(&reference[i].before);
        failing_folder_release(&reference[i].after);
        free(reference[i].out);
    }
    return chdir("/") < 0 || folder_remove(base);
}

int main(int argc, char **argv)
{
    int status = failing_is_posgrad(argc, argv);
    if (status >= 0)
        return status;
    const char *slash = strrchr(argv[0], '/'), *asked = getenv("FAILING_STRIDE");
    snprintf(program, sizeof program, "%s", slash ? slash + 1 : argv[0]);
    stride = asked ? strtol(asked, NULL, 10) : 0;
    only = getenv("FAILING_ONLY");
    one_number = getenv("FAILING_AT") ? strtol(getenv("FAILING_AT"), NULL, 10) : 0;
    if (getenv("FAILING_MODE"))
        cmocka_set_test_filter(getenv("FAILING_MODE"));
    struct CMUnitTest tests[MODES + 5] = {
        [MODES] = cmocka_unit_test(limit_on_the_size_of_files),
        cmocka_unit_test(limit_on_descriptors),
        cmocka_unit_test(full_file_system),
        cmocka_unit_test(history_grows_before_it_must),
        cmocka_unit_test(every_command_has_its_sample),
    };
    for (int i = 0; i < MODES; i++)
        tests[i] =
            (struct CMUnitTest){modes[i].name, a_mode, NULL, NULL, (void *)(uintptr_t)&modes[i]};
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
