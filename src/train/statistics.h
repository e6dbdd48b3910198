// How sure a measured number is: 95 % intervals of shares and of means.
#ifndef POSGRAD_STATISTICS_H
#define POSGRAD_STATISTICS_H

#include <stdint.h>

#include "../../datasets/dataset.h"

struct interval {
    double low, high;
};

// Wilson's score interval for `successes` of `trials` independent trials (Wilson 1927, Journal of
// the American Statistical Association 22:209). `trials` need not be whole; [0, 1] for none.
struct interval interval_wilson(double successes, double trials);

// For the share of targets that are right. Rows are independent, the targets of a row are not: so
// it is Wilson's interval for as many independent targets as would vary as much as the rows do,
//
//     n = p (1 - p) / v,   v = m / (m - 1) * sum over m rows of (correct - p scored)^2 / N^2
//
// with v the variance of a ratio of sums over clusters (Cochran 1977, Sampling Techniques) and n
// the effective size of Korn and Graubard 1998 (Survey Methodology 24:193). It is at most N, the
// number of targets. Where all are right or all are wrong v says nothing, and n is the number of
// rows: as if the targets of a row always went together.
struct interval interval_accuracy(const struct dataset_score *score);

// The value that Student's t with `freedom` degrees of freedom exceeds in absolute value 5 times in
// 100; infinite for none.
double student_t95(int64_t freedom);

// Mean of `count` independent values, and its interval by Student's t: mean -+ t s / sqrt(count).
// Infinite for one value; NaN for none.
struct interval interval_mean(int count, const double *value, double *mean);

#endif
