// A sum of doubles that is as exact as if it had twice their digits: what each addition rounds away
// is kept and added at the end (Neumaier 1974). For references, where long double is not to be had
// (valgrind has 64 bits of it).
#ifndef POSGRAD_TESTS_EXACT_SUM_H
#define POSGRAD_TESTS_EXACT_SUM_H

#include <math.h>

struct exact_sum {
    double sum, lost;
};

static inline void exact_add(struct exact_sum *s, double x)
{
    double more = s->sum + x;
    s->lost += fabs(s->sum) >= fabs(x) ? s->sum - more + x : x - more + s->sum;
    s->sum = more;
}

static inline double exact_total(const struct exact_sum *s)
{
    return s->sum + s->lost;
}

#endif
