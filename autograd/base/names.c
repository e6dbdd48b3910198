// Names in lists: exact (with - and _ alike), and the nearest one for a typo.
#include <ctype.h>
#include <string.h>

#include "options.h"

static char fold(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static bool same(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

int name_index(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (same(names[i], name))
            return i;
    return -1;
}

enum { MAX_LETTERS = 63 };

// Edit distance (Levenshtein 1966) of the first 63 letters; two neighbours changing places count as
// one edit.
static int distance(const char *a, const char *b)
{
    int row[3][MAX_LETTERS + 1];
    int n = (int)strnlen(a, MAX_LETTERS), m = (int)strnlen(b, MAX_LETTERS);
    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = before[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));
            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]) && two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *name_nearest(const char *const *names, int count, const char *name)
{
    int letters = (int)strnlen(name, MAX_LETTERS + 1), best = MAX_LETTERS + 1;
    const char *nearest = NULL;
    for (int i = 0; i < count; i++) {
        int d = distance(names[i], name);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    // A name that shares no letter with what was typed is no guess, however short both are.
    int limit = letters / 3 > 2 ? letters / 3 : 2;
    return best <= limit && best < letters ? nearest : NULL;
}
