// Tasks opened to see what they say of themselves.
#include "task_facts.h"

#include "../../autograd/base/err.h"

int task_find_facts(const struct task_def *def, struct task_facts *facts)
{
    static const int64_t lengths[] = {32, 36};
    for (int i = 0; i < 2; i++) {
        struct dataset dataset;
        struct dataset_request request = {.task = def->name, .length = lengths[i]};
        int code = dataset_open(&dataset, &request);
        if (code == ERR_MEMORY)
            return code;
        if (code < 0)
            continue;
        *facts = (struct task_facts){lengths[i], dataset.chance};
        dataset_close(&dataset);
        return 1;
    }
    return 0;
}
