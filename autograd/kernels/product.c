// Matrix products: the tile, the loops around it, and the packing into panels.
//
// Vectors are the compiler's (a vector of the widest registers that the build knows), so one source
// serves every instruction set; only the multiply-add is named. The run of k is cut so that a
// panel's part stays in the first-level cache while all rows go by it.
#include "product.h"

#include <string.h>

#if defined __AVX512F__ || defined __FMA__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

#include "transpose.h"
#include "unroll.h"

#if defined __AVX512F__
enum { VECTOR_BYTES = 64, VECTORS = 4 }; // 24 sums of 32 registers
#elif defined __FMA__
enum { VECTOR_BYTES = 32, VECTORS = 2 }; // 12 sums of 16
#elif defined __aarch64__
enum { VECTOR_BYTES = 16, VECTORS = 4 };
#else
enum { VECTOR_BYTES = 16, VECTORS = 2 };
#endif
enum {
    LANES = VECTOR_BYTES / sizeof(real),
    PANEL = VECTORS * LANES,
    RUN = 144,                // of k at most: a panel's part is 36 KiB or less
    LINE = 64 / sizeof(real), // numbers of a line of the cache
    AHEAD = 4                 // rows of a transposed operand that are asked for beforehand
};

typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

// sum + x row in each lane, rounded once where the build has such an instruction. Left to itself
// the compiler fuses in some tiles and not in others, and bits would depend on where rows are cut.
#if defined __AVX512F__ && defined POSGRAD_DOUBLE
#define MULTIPLY_ADD(sum, x, row) _mm512_fmadd_pd(_mm512_set1_pd(x), row, sum)
#elif defined __AVX512F__
#define MULTIPLY_ADD(sum, x, row) _mm512_fmadd_ps(_mm512_set1_ps(x), row, sum)
#elif defined __FMA__ && defined POSGRAD_DOUBLE
#define MULTIPLY_ADD(sum, x, row) _mm256_fmadd_pd(_mm256_set1_pd(x), row, sum)
#elif defined __FMA__
#define MULTIPLY_ADD(sum, x, row) _mm256_fmadd_ps(_mm256_set1_ps(x), row, sum)
#elif defined __aarch64__ && defined POSGRAD_DOUBLE
#define MULTIPLY_ADD(sum, x, row) vfmaq_n_f64(sum, row, x)
#elif defined __aarch64__
#define MULTIPLY_ADD(sum, x, row) vfmaq_n_f32(sum, row, x)
#else
#define MULTIPLY_ADD(sum, x, row) ((sum) + (x) * (row))
#endif

// One tile and where it goes.
struct tile {
    int64_t k;
    const real *a;
    int64_t a_row, a_column;
    const real *b;
    int64_t b_row;
    real alpha;
    const real *bias, *add;
    int64_t add_row;
    real *c;
    int64_t c_row;
};

// `rows`, `vectors` and `transposed` are constants where this is inlined, so that all sums are
// registers.
static inline __attribute__((always_inline)) void multiply_tile(const struct tile *t,
                                                                const int rows, const int vectors,
                                                                const bool transposed)
{
    vector sum[PRODUCT_ROWS][VECTORS];
    const real *a = t->a, *b = t->b;
    int64_t a_row = transposed ? 1 : t->a_row, a_column = transposed ? t->a_column : 1;
    UNROLL(6)
    for (int r = 0; r < rows; r++) {
        UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            sum[r][v] = (vector){0};
            __builtin_prefetch(t->c + r * t->c_row + v * LANES, 1);
        }
    }
    for (int64_t line = t->k; line > 0; line -= LINE) {
        if (!transposed) {
            UNROLL(6)
            for (int r = 0; r < rows; r++)
                __builtin_prefetch(a + (PRODUCT_ROWS + r) * a_row, 0, 2);
        }
#pragma GCC unroll 1
        for (int64_t l = line < LINE ? line : LINE; l > 0; l--) {
            vector row[VECTORS];
            UNROLL(4)
            for (int v = 0; v < vectors; v++)
                row[v] = *(const vector *)(b + v * LANES);
            if (transposed)
                __builtin_prefetch(a + AHEAD * a_column);
            UNROLL(6)
            for (int r = 0; r < rows; r++) {
                real x = a[r * a_row];
                UNROLL(4)
                for (int v = 0; v < vectors; v++)
                    sum[r][v] = (vector)MULTIPLY_ADD(sum[r][v], x, row[v]);
            }
            a += a_column;
            b += t->b_row;
        }
    }
    // Copies, as stores to c might else be stores to the tile.
    const real alpha = t->alpha, *bias = t->bias, *add = t->add;
    const int64_t add_row = t->add_row, c_row = t->c_row;
    real *c = t->c;
    if (!bias && !add) {
        UNROLL(6)
        for (int r = 0; r < rows; r++) {
            UNROLL(4)
            for (int v = 0; v < vectors; v++)
                *(vector *)(c + v * LANES) = alpha * sum[r][v];
            c += c_row;
        }
        return;
    }
    UNROLL(6)
    for (int r = 0; r < rows; r++) {
        UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            vector x = alpha * sum[r][v];
            if (bias)
                x += *(const vector *)(bias + v * LANES);
            if (add)
                x += *(const vector *)(add + v * LANES);
            *(vector *)(c + v * LANES) = x;
        }
        c += c_row;
        add = add ? add + add_row : NULL;
    }
}

typedef void tile_function(const struct tile *t);

#define TILE(ROWS, COUNT)                                                                          \
    static void tile_##ROWS##_##COUNT(const struct tile *t)                                        \
    {                                                                                              \
        multiply_tile(t, ROWS, COUNT, false);                                                      \
    }                                                                                              \
    static void transposed_##ROWS##_##COUNT(const struct tile *t)                                  \
    {                                                                                              \
        multiply_tile(t, ROWS, COUNT, true);                                                       \
    }
#define TILES(COUNT)                                                                               \
    TILE(1, COUNT) TILE(2, COUNT) TILE(3, COUNT) TILE(4, COUNT) TILE(5, COUNT) TILE(6, COUNT)
#define NAMES(KIND, COUNT)                                                                         \
    {                                                                                              \
        KIND##_1_##COUNT, KIND##_2_##COUNT, KIND##_3_##COUNT, KIND##_4_##COUNT, KIND##_5_##COUNT,  \
            KIND##_6_##COUNT                                                                       \
    }

TILES(1)
TILES(2)
#if defined __AVX512F__ || defined __aarch64__
TILES(3)
TILES(4)
#define ALL_NAMES(KIND) NAMES(KIND, 1), NAMES(KIND, 2), NAMES(KIND, 3), NAMES(KIND, 4)
#else
#define ALL_NAMES(KIND) NAMES(KIND, 1), NAMES(KIND, 2)
#endif

static tile_function *const tiles[2][VECTORS][PRODUCT_ROWS] = {{ALL_NAMES(tile)},
                                                               {ALL_NAMES(transposed)}};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t vectors_of(int64_t columns)
{
    return (columns + LANES - 1) / LANES;
}

// The last columns do not fill a vector: the tile goes to a buffer of its own first.
static void ragged_tile(struct tile t, tile_function *function, int64_t rows, int64_t columns)
{
    real buffer[PRODUCT_ROWS * PANEL];
    struct tile whole = t;
    whole.bias = whole.add = NULL;
    whole.c = buffer;
    whole.c_row = PANEL;
    function(&whole);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < columns; j++) {
            real x = buffer[r * PANEL + j];
            if (t.bias)
                x += t.bias[j];
            if (t.add)
                x += t.add[r * t.add_row + j];
            t.c[r * t.c_row + j] = x;
        }
    }
}

// All rows of one panel, over one run of k.
static void multiply_run(const struct product *p, struct tile t, int64_t columns)
{
    bool transposed = p->a_column != 1;
    tile_function *const *function = tiles[transposed][vectors_of(columns) - 1];
    for (int64_t i = 0; i < p->m; i += PRODUCT_ROWS) {
        int64_t rows = smaller(PRODUCT_ROWS, p->m - i);
        if (columns % LANES)
            ragged_tile(t, function[rows - 1], rows, columns);
        else
            function[rows - 1](&t);
        t.a += PRODUCT_ROWS * p->a_row;
        t.c += PRODUCT_ROWS * p->c_row;
        if (t.add)
            t.add += PRODUCT_ROWS * t.add_row;
    }
}

// Runs of k are alike, so that none is short: each reads and writes all sums. (Never 0.)
static int64_t run_of(int64_t k)
{
    int64_t runs = (k + RUN - 1) / RUN;
    return runs > 1 ? (k + runs - 1) / runs : RUN;
}

void product_part(const struct product *p, int64_t begin, int64_t end)
{
    const int64_t run = run_of(p->k);
    for (int64_t first = 0; first < p->k || first == 0; first += run) {
        for (int64_t panel = begin; panel < end; panel++) {
            int64_t j = panel * PANEL, columns = smaller(PANEL, p->n - j);
            int64_t width = vectors_of(columns) * LANES, b_row = p->b_row ? p->b_row : width;
            struct tile t = {.k = smaller(run, p->k - first),
                             .a = p->a + first * p->a_column,
                             .a_row = p->a_row,
                             .a_column = p->a_column,
                             .b = p->b + (p->b_row ? j : j * p->k) + first * b_row,
                             .b_row = b_row,
                             .alpha = p->alpha,
                             .c = p->c + j,
                             .c_row = p->c_row};
            if (first > 0) {
                t.add = t.c;
                t.add_row = p->c_row;
            } else {
                t.bias = p->bias ? p->bias + j : NULL;
                t.add = p->add ? p->add + j : NULL;
                t.add_row = p->add_row;
            }
            multiply_run(p, t, columns);
        }
    }
}

void product(const struct product *p)
{
    product_part(p, 0, product_panels(p->n));
}

void product_rows(bool transpose, int64_t m, int64_t n, int64_t k, real alpha, const real *a,
                  int64_t a_row, const real *b, int64_t b_row, bool add, real *c, int64_t c_row)
{
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .a_row = transpose ? 1 : a_row,
                        .a_column = transpose ? a_row : 1,
                        .b = b,
                        .b_row = b_row,
                        .alpha = alpha,
                        .add = add ? c : NULL,
                        .add_row = c_row,
                        .c = c,
                        .c_row = c_row};
    product(&p);
}

void product_any(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, real alpha,
                 const real *a, int64_t a_row, const real *b, int64_t b_row, bool add, real *c,
                 int64_t c_row)
{
    real packed[RUN * PANEL];
    if (!transpose_b) {
        product_rows(transpose_a, m, n, k, alpha, a, a_row, b, b_row, add, c, c_row);
        return;
    }
    const int64_t run = run_of(k);
    for (int64_t first = 0; first < k; first += run) {
        for (int64_t j = 0; j < n; j += PANEL) {
            int64_t columns = smaller(PANEL, n - j), some = smaller(run, k - first);
            product_pack(packed, true, some, columns, b + j * b_row + first, b_row, 0, 1);
            product(&(struct product){.m = m,
                                      .n = columns,
                                      .k = some,
                                      .a = a + first * (transpose_a ? a_row : 1),
                                      .a_row = transpose_a ? 1 : a_row,
                                      .a_column = transpose_a ? a_row : 1,
                                      .b = packed,
                                      .alpha = alpha,
                                      .add = add || first > 0 ? c + j : NULL,
                                      .add_row = c_row,
                                      .c = c + j,
                                      .c_row = c_row});
        }
    }
}

int64_t product_panel(void)
{
    return PANEL;
}

int64_t product_panels(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}

int64_t product_packed(int64_t k, int64_t n)
{
    return k * vectors_of(n) * LANES;
}

static void pack_transposed(real *to, int64_t k, int64_t first, int64_t end, const real *b,
                            int64_t b_row)
{
    for (int64_t j = first; j < end; j += PANEL) {
        int64_t columns = smaller(PANEL, end - j), width = vectors_of(columns) * LANES;
        real *panel = to + j * k;
        transpose(columns, k, b + j * b_row, b_row, panel, width, false);
        for (int64_t l = 0; l < k && columns < width; l++)
            memset(panel + l * width + columns, 0, (size_t)(width - columns) * sizeof *panel);
    }
}

// Row by row, as memory has them: b is often far away.
static void pack_rows(real *restrict to, int64_t k, int64_t first, int64_t end,
                      const real *restrict b, int64_t b_row)
{
    int64_t whole = first + (end - first) / PANEL * PANEL, width = vectors_of(end - whole) * LANES;
    for (int64_t l = 0; l < k; l++, b += b_row) {
        for (int64_t j = first; j < whole; j += PANEL) {
            real *row = to + j * k + l * PANEL;
            UNROLL(4)
            for (int v = 0; v < VECTORS; v++)
                *(vector *)(row + v * LANES) = *(const vector *)(b + j + v * LANES);
        }
        for (int64_t c = 0; c < width; c++)
            to[whole * k + l * width + c] = whole + c < end ? b[whole + c] : 0;
    }
}

void product_pack(real *packed, bool transpose, int64_t k, int64_t n, const real *b, int64_t b_row,
                  int64_t begin, int64_t end)
{
    int64_t first = begin * PANEL, behind = smaller(end * PANEL, n);
    if (transpose)
        pack_transposed(packed, k, first, behind, b, b_row);
    else
        pack_rows(packed, k, first, behind, b, b_row);
}
