// The list of ops, made of its rows, and what their nodes were built with.
#include <string.h>

#include "../base/err.h"
#include "op.h"

#define OP(name) extern const struct ag_op ag_op_##name;
#include "list.h"
#undef OP

#define OP(name) &ag_op_##name,
const struct ag_op *const ag_ops[] = {
#include "list.h"
};
#undef OP
const int ag_op_count = (int)(sizeof ag_ops / sizeof ag_ops[0]);

static double value_of(const struct ag_setting *setting, const void *param)
{
    const void *at = (const char *)param + setting->offset;
    switch (setting->type) {
    case AG_SETTING_INT64:
        return (double)*(const int64_t *)at;
    case AG_SETTING_INT:
        return *(const int *)at;
    case AG_SETTING_BOOL:
        return *(const bool *)at;
    default:
        return *(const double *)at;
    }
}

double ag_setting_of(const struct ag_tensor *node, const char *name)
{
    const struct ag_setting *setting = node->op->settings;
    while (setting && setting->name && strcmp(setting->name, name) != 0)
        setting++;
    BUG_ON(!setting || !setting->name);
    return value_of(setting, node->param);
}
