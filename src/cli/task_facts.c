// Tasks opened to see what they say of themselves.
#include "task_facts.h"

bool task_find_facts(const struct task_def *def, struct task_facts *facts)
{
    static const int64_t lengths[] = {32, 36};
    for (int i = 0; i < 2; i++) {
        struct dataset dataset;
        struct dataset_request request = {.task = def->name, .length = lengths[i]};
        if (dataset_open(&dataset, &request) < 0)
            continue;
        *facts = (struct task_facts){lengths[i], dataset.chance};
        dataset_close(&dataset);
        return true;
    }
    return false;
}
