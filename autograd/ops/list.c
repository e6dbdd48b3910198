// The list of ops, made of its rows.
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
