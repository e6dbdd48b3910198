// What the parameters of encodings start as, and which of them decay: BERT's N(0, 0.02) and zero
// biases, but for what is listed here, with the formula of its source.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/encodings.h"

enum { C = 16, H = 2, D = C / H, LAYERS = 2 }; // of the small model

// Of a parameter whose name ends so, in an encoding whose name begins so, with an option.
struct start {
    const char *pe, *option, *suffix;
    enum ag_init_kind kind;
    double mean, square; // of the spread
};

static const struct start starts[] = {
    // shifts of what is fixed, which is where they start
    {"alibi", "", "log_slope_shift", AG_INIT_NORMAL, 0, 0},
    {"rope", "", "log_frequency_shift", AG_INIT_NORMAL, 0, 0},
    {"sinusoidal", "", "log_frequency_shift", AG_INIT_NORMAL, 0, 0},
    {"multiplicative", "form=plain", "multiplicative.weight", AG_INIT_NORMAL, 1, 0},
    {"multiplicative", "", "multiplicative.weight", AG_INIT_NORMAL, 0, 0},
    {"urpe", "", "factor", AG_INIT_NORMAL, 1, 0},
    // gains of norms
    {"", "", "norm.weight", AG_INIT_NORMAL, 1, 0},
    {"", "", "bias", AG_INIT_NORMAL, 0, 0},
    // the sinusoid's frequencies, no phase; Glorot's uniform of [C, 2 C]
    {"complex", "", "frequency", AG_INIT_FREQUENCIES, 0, 1e8},
    {"complex", "", "phase", AG_INIT_NORMAL, 0, 0},
    {"complex", "", "output.weight", AG_INIT_UNIFORM, 0, 6.0 / (C + 2 * C)},
    // He's normal: 2 over the taps
    {"conv", "kernel=5 dims=2", "weight", AG_INIT_NORMAL, 0, 2.0 / 25},
    {"conv", "dims=2", "weight", AG_INIT_NORMAL, 0, 2.0 / 9},
    {"conv", "kernel=5", "weight", AG_INIT_NORMAL, 0, 2.0 / 5},
    {"conv", "", "weight", AG_INIT_NORMAL, 0, 2.0 / 3},
    // Glorot's uniform, of [3, L, C] as PyTorch counts it, and normal of [C, C + 1]
    {"floater", "where=input", "start", AG_INIT_UNIFORM, 0, 6.0 / (1 + C)},
    {"floater", "", "start", AG_INIT_UNIFORM, 0, 6.0 / ((3 + LAYERS) * C)},
    {"floater", "", "weight", AG_INIT_NORMAL, 0, 2.0 / (C + C + 1)},
    // an orthogonal step; Glorot's uniform of [C, C]
    {"recursive", "", "recursive.weight", AG_INIT_ORTHOGONAL, 0, 1},
    {"rnn", "", "recurrent.weight", AG_INIT_ORTHOGONAL, 0, 1},
    {"rnn", "", "input.weight", AG_INIT_UNIFORM, 0, 6.0 / (C + C)},
    // Glorot's normal of [2 k + 1, D]
    {"shaw", "max_distance=5", "", AG_INIT_NORMAL, 0, 2.0 / (11 + D)},
    {"shaw", "", "", AG_INIT_NORMAL, 0, 2.0 / (33 + D)},
    {"", "", "", AG_INIT_NORMAL, 0, 0.02 * 0.02},
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), last = strlen(end);
    return last <= size && strcmp(text + size - last, end) == 0;
}

// "layers.0.pe.shaw.key" is of shaw.
static bool is_of(const char *name, const char *pe)
{
    const char *own = strstr(name, "pe.");
    size_t size = strlen(pe);
    return size == 0 || (own && strncmp(own + 3, pe, size) == 0 && own[3 + size] == '.');
}

static bool has_options(const struct encoding_case *what, const char *options)
{
    char all[256] = "";
    size_t size = 0;
    for (int i = 0; i < what->pairs && size < sizeof all; i++)
        size += (size_t)snprintf(all + size, sizeof all - size, i ? " %s" : "%s", what->pair[i]);
    return *options == '\0' || strstr(all, options);
}

static const struct start *start_of(const struct encoding_case *what, const char *name)
{
    const struct start *s = starts;
    while (!(is_of(name, s->pe) && has_options(what, s->option) && ends_with(name, s->suffix)))
        s++;
    return s;
}

// Square matrices of layers within the encoding decay; tables, biases and norms do not.
static bool decays(const char *name)
{
    static const char *const matrices[] = {"key.weight",       "query.weight",  "position.weight",
                                           "recurrent.weight", "output.weight", "rnn.input.weight"};
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
        if (ends_with(name, matrices[i]))
            return true;
    return false;
}

static bool starts_right(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    assert_true(m.config.dim == C && m.config.heads == H && m.config.layers == LAYERS);
    for (int i = 0; i < m.params.rows; i++) {
        const struct ag_parameter *row = &m.params.row[i];
        if (!encoding_owns(row->name))
            continue;
        const struct start *s = start_of(what, row->name);
        bool same = row->init.kind == s->kind &&
                    check_is_close(row->init.mean, s->mean, 0, 1e-12) &&
                    check_is_close(row->init.spread, sqrt(s->square), 1e-12, 0);
        if (!same)
            print_error("%s: %s starts as kind %d, %g, %g; %d, %g, %g is expected\n",
                        encoding_text(what).text, row->name, (int)row->init.kind, row->init.mean,
                        row->init.spread, (int)s->kind, s->mean, sqrt(s->square));
        if ((row->decay == AG_DECAY) != decays(row->name)) {
            print_error("%s: %s %s\n", encoding_text(what).text, row->name,
                        row->decay == AG_DECAY ? "decays" : "does not decay");
            same = false;
        }
        good &= same;
    }
    encoding_close(&m);
    return good;
}

static void encodings_start_as_their_sources_say(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, starts_right);
}

CHECK_MAIN(cmocka_unit_test(encodings_start_as_their_sources_say))
