// What there is to say of a task beside its row of the list: found out by opening it.
#ifndef POSGRAD_TASK_FACTS_H
#define POSGRAD_TASK_FACTS_H

#include "../../datasets/dataset.h"

struct task_facts {
    int64_t length; // tokens a row: train's default, or for a grid the next square
    double chance;  // expected accuracy of the best guess, at that length and default options
};

// 1; 0 for a task that must have a file or options; ERR_MEMORY.
int task_find_facts(const struct task_def *def, struct task_facts *facts);

#endif
