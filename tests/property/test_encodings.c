// What every encoding claims, held against it: each row of pe_list with each of its options, in an
// encoder and in a decoder, under every normaliser, alone and in pairs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/encodings/common/theorem.h"
#include "../support/encodings.h"

enum { V = ENCODING_VOCAB, PADDING = 3, MAX_TOKENS = 64 };

// Says what is wrong with a case; false.
__attribute__((format(printf, 2, 3))) static bool wrong(const struct encoding_case *what,
                                                        const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error("%s: %s\n", encoding_text(what).text, text);
    return false;
}

static void forward_into(const struct encoding_case *what, real *logits)
{
    struct encoding_model m;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 2, .height = 3, .width = 4});
    m.graph.mask->index[2 * m.length - 1] = 0;
    ag_forward(m.graph.plan);
    memcpy(logits, m.graph.logits->data, (size_t)(2 * m.length * V) * sizeof(real));
    encoding_close(&m);
}

// --- moving the whole sequence

// A block of rows and columns of the grid, and how far it moves. In a grid of one row it is a
// sequence that moves by some places; and moved in any grid, all its offsets stay.
struct move {
    int64_t height, width, block_height, block_width, down, right;
};
static const struct move moves[] = {
    {4, 1, 1, 1, 3, 0},  // length 1
    {1, 5, 1, 2, 0, 3},  // length 2
    {1, 12, 1, 7, 0, 5}, // odd, and past the clip of short tables
    {3, 3, 2, 2, 1, 1},  {4, 3, 3, 3, 1, 0}, {1, 40, 1, 23, 0, 17}, // past the clip of 16
};
enum { MOVES = sizeof moves / sizeof moves[0] };

// Logits of the block when it stands `down` and `right`, all else being padding.
static void logits_of_block(struct encoding_model *m, const struct move *move, int64_t down,
                            int64_t right, real *logits)
{
    int64_t place[MAX_TOKENS], count = 0;
    for (int64_t i = 0; i < m->length; i++) {
        m->graph.tokens->index[i] = PADDING;
        m->graph.mask->index[i] = 0;
    }
    for (int64_t y = 0; y < move->block_height; y++)
        for (int64_t x = 0; x < move->block_width; x++, count++) {
            place[count] = (y + down) * move->width + x + right;
            m->graph.tokens->index[place[count]] = (int32_t)((5 + 7 * count) % V);
            m->graph.mask->index[place[count]] = 1;
        }
    ag_forward(m->graph.plan);
    for (int64_t i = 0; i < count; i++)
        memcpy(logits + i * V, m->graph.logits->data + place[i] * V, V * sizeof(real));
}

// Negative where the encoding refuses rows of this shape.
static double moved_by(const struct encoding_case *what, const struct move *move, unsigned *claims)
{
    static real here[MAX_TOKENS * V], there[MAX_TOKENS * V];
    struct encoding_model m;
    int code = encoding_open(
        &m, what,
        &(struct encoding_shape){.batch = 1, .height = move->height, .width = move->width});
    if (code == ERR_ARGUMENT)
        return -1;
    check_ok(code);
    *claims = encoding_claims(&m.config.pe);
    logits_of_block(&m, move, 0, 0, here);
    logits_of_block(&m, move, move->down, move->right, there);
    encoding_close(&m);
    return encoding_distance(here, there, move->block_height * move->block_width * V);
}

static bool keeps_its_shift_claim(const struct encoding_case *what)
{
    double most = 0;
    unsigned claims = 0;
    int moved = 0;
    bool is_stack = strchr(what->pe, '+');
    for (int i = is_stack ? MOVES / 2 : 0; i < MOVES; i++) { // of a stack the longer ones
        const struct move *move = &moves[i];
        double distance = moved_by(what, move, &claims);
        moved += distance >= 0;
        if (claims & PE_SHIFT_INVARIANT && !(distance < ENCODING_SAME))
            return wrong(what,
                         "claims that a shift changes nothing, and one in %lld x %lld by %lld, "
                         "%lld changes logits by %g",
                         (long long)move->height, (long long)move->width, (long long)move->down,
                         (long long)move->right, distance);
        most = fmax(most, distance);
    }
    if (moved < MOVES / 2 - is_stack)
        return wrong(what, "is refused at nearly every length: %s", err_last());
    if (!(claims & PE_SHIFT_INVARIANT) && !(most > ENCODING_OTHER))
        return wrong(what,
                     "does not claim that a shift changes nothing, and it changes logits by "
                     "%g only",
                     most);
    return true;
}

static void shifts_change_nothing_where_claimed(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS | ENCODING_STACKS, keeps_its_shift_claim);
}

// --- the order of tokens

// How far logits are from following the tokens when those are put in another order.
static double follows(struct encoding_model *m, const int64_t *order)
{
    static real before[MAX_TOKENS * V];
    int32_t tokens[MAX_TOKENS];
    double most = 0;
    ag_forward(m->graph.plan);
    memcpy(before, m->graph.logits->data, (size_t)(m->length * V) * sizeof(real));
    memcpy(tokens, m->graph.tokens->index, (size_t)m->length * sizeof *tokens);
    for (int64_t i = 0; i < m->length; i++)
        m->graph.tokens->index[i] = tokens[order[i]];
    ag_forward(m->graph.plan);
    memcpy(m->graph.tokens->index, tokens, (size_t)m->length * sizeof *tokens);
    for (int64_t i = 0; i < m->length; i++)
        most =
            fmax(most, encoding_distance(m->graph.logits->data + i * V, before + order[i] * V, V));
    return most;
}

// What any encoding of the stack claims.
static unsigned some_claim(const struct pe_stack *stack)
{
    unsigned claims = 0;
    for (int i = 0; i < stack->count; i++)
        claims |= pe_stack_claims(stack, i);
    return claims;
}

// What claims to tell places apart in no way, as the null model, does not see the order; all others
// do.
static bool sees_the_order(const struct encoding_case *what)
{
    const unsigned sees = PE_PROBE_ENCODER | PE_POSITION_IN_LOGITS | PE_MARKS_BORDERS |
                          PE_MIXES_NEIGHBOURS;
    static const int64_t order[12] = {7, 2, 9, 0, 11, 4, 1, 10, 3, 8, 6, 5};
    struct encoding_model m;
    if (what->causal)
        return true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    double distance = follows(&m, order);
    bool is_blind = !(some_claim(&m.config.pe) & sees);
    encoding_close(&m);
    if (is_blind && !(distance < ENCODING_SAME))
        return wrong(what, "logits do not follow their tokens, by %g", distance);
    if (!is_blind && !(distance > ENCODING_OTHER))
        return wrong(what, "logits follow their tokens into any order (%g)", distance);
    return true;
}

static void only_what_claims_nothing_is_blind_to_order(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS, sees_the_order);
}

static bool keeps_its_mirror_claim(const struct encoding_case *what)
{
    static const int64_t order[12] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    struct encoding_model m;
    if (what->causal || strcmp(what->pe, "none") == 0)
        return true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    bool claimed = encoding_claims(&m.config.pe) & PE_SYMMETRIC;
    double distance = follows(&m, order);
    encoding_close(&m);
    if (claimed ? distance < ENCODING_SAME : distance > ENCODING_OTHER)
        return true;
    return wrong(what, "claims %s, and the reversed row differs by %g",
                 claimed ? "to be symmetric" : "no symmetry", distance);
}

static void mirrored_rows_are_alike_where_claimed(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, keeps_its_mirror_claim);
}

// --- causality

static bool hides_the_future(const struct encoding_case *what)
{
    static real before[2 * 9 * V];
    struct encoding_model m;
    if (!what->causal)
        return true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 2, .height = 3, .width = 3});
    const real *logits = m.graph.logits->data;
    int32_t *tokens = m.graph.tokens->index;
    bool good = true;
    ag_forward(m.graph.plan);
    memcpy(before, logits, sizeof before);
    for (int64_t changed = 1; changed < m.length; changed += 3) {
        int32_t token = tokens[changed];
        tokens[changed] = (token + 1) % V;
        ag_forward(m.graph.plan);
        tokens[changed] = token;
        if (memcmp(before, logits, (size_t)(changed * V) * sizeof(real)) != 0)
            good = wrong(what, "token %lld changes a logit before it", (long long)changed);
        if (memcmp(before + m.length * V, logits + m.length * V,
                   (size_t)(m.length * V) * sizeof(real)) != 0)
            good = wrong(what, "token %lld changes another sequence", (long long)changed);
        if (memcmp(before + changed * V, logits + changed * V, V * sizeof(real)) == 0)
            good = wrong(what, "token %lld does not change its own logits", (long long)changed);
    }
    encoding_close(&m);
    return good;
}

static void a_changed_token_changes_nothing_before_it(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS | ENCODING_STACKS, hides_the_future);
}

// Rows of parameters that belong to one token, but for the head's, which the loss reads itself.
static bool is_by_token(const struct ag_parameter *row)
{
    return row->shape.dims > 0 && row->shape.size[0] == V && strcmp(row->name, "head.weight") != 0;
}

static bool has_gradient(const struct encoding_model *m, const struct ag_parameter *row,
                         int64_t token)
{
    int64_t columns = row->count / V;
    const real *grad = m->params.grad + row->offset + token * columns;
    for (int64_t c = 0; c < columns; c++)
        if (!(grad[c] == 0))
            return true;
    return false;
}

// Every token stands once; the loss is at one place; embeddings of later tokens get exactly 0.
static bool no_gradient_from_the_future(const struct encoding_case *what)
{
    enum { SCORED = 4 };
    struct encoding_model m;
    if (!what->causal)
        return true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 3});
    for (int64_t i = 0; i < m.length; i++) {
        m.graph.tokens->index[i] = (int32_t)(2 * i + 1);
        m.graph.targets->index[i] = i == SCORED ? 6 : -1;
    }
    ag_forward(m.graph.plan);
    ag_backward(m.graph.plan, NULL);
    bool good = true;
    for (int r = 0; r < m.params.rows; r++) {
        const struct ag_parameter *row = &m.params.row[r];
        if (!is_by_token(row))
            continue;
        for (int64_t i = 0; i < m.length; i++) {
            bool is_embedding = strcmp(row->name, "tok_emb.weight") == 0;
            bool has = has_gradient(&m, row, 2 * i + 1);
            if (i > SCORED && has)
                good = wrong(what, "%s of token %lld gets a gradient from output %d", row->name,
                             (long long)i, SCORED);
            if (i <= SCORED && is_embedding && !has)
                good = wrong(what, "%s of token %lld gets none from output %d", row->name,
                             (long long)i, SCORED);
        }
    }
    encoding_close(&m);
    return good;
}

static void an_output_has_no_gradient_from_later_tokens(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS | ENCODING_STACKS,
                  no_gradient_from_the_future);
}

static void causal_only_is_refused_in_an_encoder(void **state)
{
    (void)state;
    for (int i = 0; i < pe_count; i++) {
        struct encoding_case what = {.causal = false};
        struct encoding_model m;
        if (!(pe_list[i]->claims & PE_CAUSAL_ONLY))
            continue;
        snprintf(what.pe, sizeof what.pe, "%s", pe_list[i]->name);
        check_error(
            encoding_open(&m, &what, &(struct encoding_shape){.batch = 1, .height = 1, .width = 4}),
            ERR_ARGUMENT, "decoder");
    }
}

// --- normalisers

// Linear attention has no logits to add to, and takes all others.
static void linear_attention_refuses_what_needs_logits(void **state)
{
    (void)state;
    for (int i = 0; i < pe_count; i++) {
        struct encoding_case what = {.attention = AG_LINEAR, .causal = true};
        struct encoding_model m;
        if (pe_list[i]->positions) // has no meaning alone
            continue;
        snprintf(what.pe, sizeof what.pe, "%s", pe_list[i]->name);
        bool claimed = pe_list[i]->claims & PE_NEEDS_LOGITS;
        int code =
            encoding_open(&m, &what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
        if (code == 0)
            encoding_close(&m);
        else
            check_error(code, ERR_ARGUMENT, "attention");
        if (claimed && code == 0)
            fail_msg("%s needs logits, and linear attention has it", what.pe);
    }
}

// An encoding that computes attention itself refuses a normaliser that it has not.
static bool heeds_its_normaliser(const struct encoding_case *what)
{
    static real softmax[2 * 12 * V], other[2 * 12 * V];
    struct encoding_case plain = *what;
    if (what->attention == AG_SOFTMAX)
        return true;
    plain.attention = AG_SOFTMAX;
    forward_into(&plain, softmax);
    forward_into(what, other);
    double distance = encoding_distance(softmax, other, sizeof other / sizeof *other);
    return distance > ENCODING_OTHER || wrong(what, "gives what softmax gives (%g)", distance);
}

static void normalisers_are_heeded(void **state)
{
    (void)state;
    encoding_walk(ENCODING_NORMALISERS, heeds_its_normaliser);
}

// --- stacks

// Backward overwrites the gradient of each parameter that the loss is made of.
static bool uses_all_its_parameters(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    for (int64_t i = 0; i < m.params.count; i++)
        m.params.grad[i] = (real)NAN;
    ag_forward(m.graph.plan);
    ag_backward(m.graph.plan, NULL);
    for (int r = 0; r < m.params.rows; r++)
        if (!isfinite((double)m.params.grad[m.params.row[r].offset]))
            good = wrong(what, "nothing reads %s", m.params.row[r].name);
    encoding_close(&m);
    return good;
}

static void every_parameter_is_used(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS | ENCODING_STACKS,
                  uses_all_its_parameters);
}

// False where the part has no meaning alone.
static bool forward_of_part(const struct encoding_case *what, real *logits)
{
    struct encoding_model m;
    if (encoding_open(&m, what, &(struct encoding_shape){.batch = 2, .height = 3, .width = 4}) < 0)
        return false;
    encoding_close(&m);
    forward_into(what, logits);
    return true;
}

// Parameters of the same name are the same, so that what differs is the other encoding's work.
static bool is_more_than_its_parts(const struct encoding_case *what)
{
    static real whole[2 * 12 * V], part[2 * 12 * V];
    const char *plus = strchr(what->pe, '+');
    bool good = true;
    if (!plus)
        return true;
    forward_into(what, whole);
    for (int i = 0; i < 2; i++) {
        struct encoding_case one = *what;
        snprintf(one.pe, sizeof one.pe, "%.*s", i ? 63 : (int)(plus - what->pe),
                 i ? plus + 1 : what->pe);
        if (!forward_of_part(&one, part))
            continue;
        double distance = encoding_distance(whole, part, sizeof whole / sizeof *whole);
        if (!(distance > ENCODING_OTHER))
            good = wrong(what, "gives what %s alone gives (%g)", one.pe, distance);
    }
    return good;
}

static void a_stack_is_more_than_its_parts(void **state)
{
    (void)state;
    encoding_walk(ENCODING_STACKS, is_more_than_its_parts);
}

// --- the identity

// Tables at zero, factors at one: every parameter of this encoding at the mean of its start; NULL
// is all encodings.
static void to_identity(struct encoding_model *m, const char *pe)
{
    char own[80] = "pe.";
    if (pe)
        snprintf(own, sizeof own, "pe.%.60s.", pe);
    for (int r = 0; r < m->params.rows; r++) {
        const struct ag_parameter *row = &m->params.row[r];
        bool has_mean = row->init.kind == AG_INIT_NORMAL || row->init.kind == AG_INIT_UNIFORM;
        bool is_own = encoding_owns(row->name) && strstr(row->name, own);
        for (int64_t i = 0; is_own && i < row->count; i++)
            m->params.value[row->offset + i] = (real)(has_mean ? row->init.mean : 0);
    }
}

// A model in training or not; the masks of one step.
static void forward(struct encoding_model *m, double dropout)
{
    struct ag_run *run = ag_plan_run(m->graph.plan);
    run->training = dropout > 0;
    run->seed = 3;
    run->step = 5;
    ag_forward(m->graph.plan);
}

// The distance of a model whose encodings are at the identity from `none` with the same other
// parameters.
static double distance_at_zero(const struct encoding_case *what, double dropout, unsigned *claims)
{
    const struct encoding_shape shape = {.batch = 2, .height = 3, .width = 4, .dropout = dropout};
    struct encoding_case null = {
        .pe = "none", .attention = what->attention, .causal = what->causal};
    struct encoding_model m, none;
    encoding_build(&m, what, &shape);
    encoding_build(&none, &null, &shape);
    to_identity(&m, NULL);
    m.graph.mask->index[2 * m.length - 1] = none.graph.mask->index[2 * m.length - 1] = 0;
    forward(&m, dropout);
    forward(&none, dropout);
    double distance =
        encoding_distance(m.graph.logits->data, none.graph.logits->data, none.graph.logits->count);
    *claims = encoding_claims(&m.config.pe);
    encoding_close(&none);
    encoding_close(&m);
    return distance;
}

// With dropout too: as nothing else differs then, neither do the masks.
static bool keeps_its_identity_claim(const struct encoding_case *what)
{
    unsigned claims;
    double plain = distance_at_zero(what, 0, &claims);
    if (!(claims & PE_IDENTITY_AT_ZERO))
        return plain > ENCODING_OTHER ||
               wrong(what, "does not claim to be none with its tables at zero, and is (%g)", plain);
    if (!(plain < ENCODING_SAME))
        return wrong(what, "claims to be none with its tables at zero, and differs by %g", plain);
    double dropped = distance_at_zero(what, 0.3, &claims);
    return dropped < ENCODING_SAME ||
           wrong(what, "with its tables at zero it drops others than none does (%g)", dropped);
}

static void tables_at_zero_are_none_where_claimed(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS | ENCODING_STACKS,
                  keeps_its_identity_claim);
}

// Of a stack: part `zero` at its identity leaves what the other alone gives.
static bool leaves_the_other(const struct encoding_case *what, int zero)
{
    static real other[2 * 12 * V];
    struct encoding_case part[2] = {*what, *what};
    struct encoding_model m;
    const char *plus = strchr(what->pe, '+');
    snprintf(part[0].pe, sizeof part[0].pe, "%.*s", (int)(plus - what->pe), what->pe);
    snprintf(part[1].pe, sizeof part[1].pe, "%.60s", plus + 1);
    const struct encoding_shape shape = {.batch = 2, .height = 3, .width = 4};
    if (encoding_open(&m, &part[zero], &shape) < 0)
        return true; // has no meaning alone
    bool claimed = encoding_claims(&m.config.pe) & PE_IDENTITY_AT_ZERO;
    encoding_close(&m);
    if (!claimed || !forward_of_part(&part[!zero], other))
        return true;
    encoding_build(&m, what, &shape);
    to_identity(&m, part[zero].pe);
    m.graph.mask->index[2 * m.length - 1] = 0;
    forward(&m, 0);
    double distance = encoding_distance(m.graph.logits->data, other, m.graph.logits->count);
    encoding_close(&m);
    return distance < ENCODING_SAME || wrong(what, "differs from %s by %g with %s at zero",
                                             part[!zero].pe, distance, part[zero].pe);
}

static bool parts_leave_each_other(const struct encoding_case *what)
{
    if (!strchr(what->pe, '+'))
        return true;
    bool first = leaves_the_other(what, 0), second = leaves_the_other(what, 1);
    return first && second;
}

static void a_part_at_zero_leaves_the_other(void **state)
{
    (void)state;
    encoding_walk(ENCODING_STACKS, parts_leave_each_other);
}

// --- norms

// The attention hook of every layer on queries and keys of its own: [2, T, C] in, the same norms of
// each head out.
static bool keeps_norms(const struct encoding_case *what)
{
    struct encoding_model m;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    const struct pe_def *def = m.config.pe.def[0];
    bool claimed = encoding_claims(&m.config.pe) & PE_NORM_PRESERVING, good = true;
    int64_t heads = m.config.heads, dim = m.config.dim, d = dim / heads;
    struct ag_graph graph;
    ag_graph_init(&graph, &m.params);
    ag_t *memo[PE_MEMOS] = {NULL}, *stream[2];
    struct pe_context context = encoding_context(&m, 0);
    context.graph = &graph;
    context.layer = 0;
    context.memo = memo;
    for (int k = 0; k < 2; k++)
        stream[k] = ag_input(&graph, k ? "key" : "query", ag_shape3(1, m.length, dim));
    struct pe_attention a = {.query_stream = stream[0], .query = stream[0], .key = stream[1]};
    a.op = (struct ag_attention){.query = stream[0],
                                 .key = stream[1],
                                 .value = stream[1],
                                 .heads = heads,
                                 .scale = 1,
                                 .causal = what->causal,
                                 .normaliser = what->attention};
    if (claimed && def->attention)
        def->attention(&context, &a);
    ag_t *turned[2] = {ag_keep(a.op.query), ag_keep(a.op.key)};
    ag_t *output = ag_add(&graph, ag_sum_all(&graph, turned[0]), ag_sum_all(&graph, turned[1]));
    struct ag_plan *plan = ag_plan_new(&graph, ag_keep(output), false);
    assert_non_null(plan);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < m.length * dim; i++)
            stream[k]->data[i] = (real)sin((double)(1 + i * (k + 1)));
    ag_forward(plan);
    for (int64_t row = 0; claimed && row < 2 * m.length * heads; row++) {
        int k = row >= m.length * heads;
        int64_t first = (row - k * m.length * heads) * d;
        double before = 0, after = 0;
        for (int64_t c = 0; c < d; c++) {
            double x = sin((double)(1 + (first + c) * (k + 1))),
                   y = (double)turned[k]->data[first + c];
            before += (double)(real)x * (double)(real)x;
            after += y * y;
        }
        if (!check_is_close(after, before, 10 * CHECK_ROUNDING, 0))
            good = wrong(what, "claims to keep norms, and made %g of %g", after, before);
    }
    ag_plan_free(plan);
    ag_graph_release(&graph);
    encoding_close(&m);
    return good;
}

static void norms_are_kept_where_claimed(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, keeps_norms);
}

// --- lengths

static bool is_a_line(const char *text, int64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    return *text && !strchr(text, '\n') && strstr(text, digits);
}

static bool captures(const struct encoding_case *what, struct encoding_model *m, int64_t length)
{
    struct model_graph graph;
    struct pe_tables tables;
    if (encoding_capture(m, length, &graph, &tables) < 0)
        return wrong(what, "length %lld: %s", (long long)length, err_last());
    ag_forward(graph.plan);
    bool good = true;
    for (int64_t i = 0; i < graph.logits->count && good; i++)
        good = isfinite((double)graph.logits->data[i]);
    for (int t = 0; t < tables.count && good; t++)
        for (int64_t i = 0; i < tables.table[t].tensor->count && good; i++)
            good = isfinite((double)tables.table[t].tensor->data[i]);
    model_graph_release(&graph);
    return good || wrong(what, "length %lld: a number is not finite", (long long)length);
}

static bool refuses(const struct encoding_case *what, struct encoding_model *m, int64_t length)
{
    struct model_graph graph;
    if (encoding_capture(m, length, &graph, NULL) == 0) {
        model_graph_release(&graph);
        return wrong(what, "length %lld is past its end, and was captured", (long long)length);
    }
    return is_a_line(err_last(), length) ||
           wrong(what, "length %lld is past its end, and \"%s\" does not say so", (long long)length,
                 err_last());
}

// The shortest end of the stack; 0 where it has none.
static int64_t end_of(const struct encoding_model *m)
{
    int64_t end = 0;
    for (int i = 0; i < m->config.pe.count; i++) {
        struct pe_context context = encoding_context(m, i);
        const struct pe_def *def = m->config.pe.def[i];
        int64_t here = def->max_length ? def->max_length(&context) : 0;
        end = here && (!end || here < end) ? here : end;
    }
    return end;
}

static bool keeps_its_length_claim(const struct encoding_case *what)
{
    struct encoding_model m;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    bool claimed = encoding_claims(&m.config.pe) & PE_EXTRAPOLATES, good = true;
    // What training meets: its length, or the positions that are drawn from.
    int64_t end = end_of(&m), met = encoding_context(&m, 0).position_count, twice = 2 * met;
    if (end && end < m.length)
        good = wrong(what, "ends at %lld, before the training length", (long long)end);
    if (claimed && end && end <= met)
        good = wrong(what, "claims lengths past training, and ends at %lld", (long long)end);
    if (claimed && (!end || end >= twice))
        good &= captures(what, &m, twice);
    if (claimed && end && end < twice)
        good &= captures(what, &m, end);
    if (!claimed && !end)
        good &= refuses(what, &m, twice);
    if (end) {
        good &= captures(what, &m, end);
        good &= refuses(what, &m, end + 1);
    }
    if (!claimed && end > met)
        good = wrong(what, "claims no length past training, and ends at %lld", (long long)end);
    encoding_close(&m);
    return good;
}

static void longer_rows_work_where_claimed(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_STACKS, keeps_its_length_claim);
}

CHECK_MAIN(cmocka_unit_test(shifts_change_nothing_where_claimed),
           cmocka_unit_test(only_what_claims_nothing_is_blind_to_order),
           cmocka_unit_test(mirrored_rows_are_alike_where_claimed),
           cmocka_unit_test(a_changed_token_changes_nothing_before_it),
           cmocka_unit_test(an_output_has_no_gradient_from_later_tokens),
           cmocka_unit_test(causal_only_is_refused_in_an_encoder),
           cmocka_unit_test(linear_attention_refuses_what_needs_logits),
           cmocka_unit_test(normalisers_are_heeded), cmocka_unit_test(every_parameter_is_used),
           cmocka_unit_test(a_stack_is_more_than_its_parts),
           cmocka_unit_test(tables_at_zero_are_none_where_claimed),
           cmocka_unit_test(a_part_at_zero_leaves_the_other),
           cmocka_unit_test(norms_are_kept_where_claimed),
           cmocka_unit_test(longer_rows_work_where_claimed))
