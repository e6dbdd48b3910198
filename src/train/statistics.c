// Intervals: see statistics.h.
#include "statistics.h"

#include <math.h>

#define Z95 1.959963984540054 // the normal distribution's 97.5 % quantile

static double within(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

struct interval interval_wilson(double successes, double trials)
{
    if (!(trials > 0))
        return (struct interval){0, 1};
    double p = successes / trials, z2 = Z95 * Z95;
    double middle = (p + z2 / (2 * trials)) / (1 + z2 / trials);
    double half = Z95 * sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials);
    // Rounding must not move the ends off 0 and 1, nor off the share itself.
    return (struct interval){p <= 0 ? 0 : within(middle - half),
                             p >= 1 ? 1 : within(middle + half)};
}

struct interval interval_accuracy(const struct dataset_score *score)
{
    double all = (double)score->scored, rows = (double)score->rows;
    if (score->scored == 0)
        return (struct interval){0, 1};
    double p = (double)score->correct / all, effective = rows;
    if (score->correct > 0 && score->correct < score->scored && score->rows > 1) {
        double squares = (double)score->correct2 - 2 * p * (double)score->correct_scored +
                         p * p * (double)score->scored2;
        double variance = rows / (rows - 1) * squares / (all * all);
        // Rows that are all alike have a variance of zero, or of rounding below it.
        effective = variance * all > p * (1 - p) ? p * (1 - p) / variance : all;
    }
    return interval_wilson(p * effective, effective);
}

// The probability that |t| is below sqrt(freedom) tan(angle): Abramowitz and Stegun 1964, 26.7.3
// and 26.7.4.
static double t_inside(int64_t freedom, double angle)
{
    double c = cos(angle), term = freedom % 2 ? c : 1, sum = 0;
    for (int64_t k = freedom % 2 ? 3 : 2; k <= freedom; k += 2) {
        sum += term;
        term *= c * c * (double)(k - 1) / (double)k;
    }
    return freedom % 2 ? 2 / M_PI * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double student_t95(int64_t freedom)
{
    enum { LARGE = 100000, HALVINGS = 60 }; // beyond it t is the normal distribution
    if (freedom < 1)
        return HUGE_VAL;
    if (freedom > LARGE)
        return Z95;
    double low = 0, high = M_PI / 2;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (t_inside(freedom, middle) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return sqrt((double)freedom) * tan(low);
}

struct interval interval_mean(int count, const double *value, double *mean)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += value[i];
    *mean = count ? sum / count : (double)NAN;
    if (count < 1)
        return (struct interval){(double)NAN, (double)NAN};
    if (count == 1)
        return (struct interval){-HUGE_VAL, HUGE_VAL};
    for (int i = 0; i < count; i++)
        squares += (value[i] - *mean) * (value[i] - *mean);
    double half = student_t95(count - 1) * sqrt(squares / (count - 1) / count);
    return (struct interval){*mean - half, *mean + half};
}
