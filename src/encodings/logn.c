// Log-n scaling: logits grow with the logarithm of how many keys there are, so that attention is no
// flatter in long rows than in short ones (Su 2021, Scientific Spaces, article 8823; Chiang and
// Cholak 2022, arXiv 2202.12172, with base e).
//
//   S_ij = (ln n / ln base) s <q_i, k_j>
//
// n counts the keys that query i may see: those of its row that are no padding, and in a decoder no
// later ones. The base is the training length unless it is given: the articles' 512 would leave
// short rows flat. Queries are scaled, for products with keys and with the tables of other
// encodings; biases, and terms that are read with keys, are not. Nothing is trained, and no
// position is encoded: it stacks on an encoding that does, as rope+logn.
#include "common/build.h"
#include "common/logn.h"

struct settings {
    double base;
    bool at_least_one;
};

static const struct option_def options[] = {
    {"base", OPTION_REAL, offsetof(struct settings, base), "0", 0, 1e9, NULL,
     "number of keys at which logits keep their scale (0: the training length)"},
    {"at_least_one", OPTION_BOOL, offsetof(struct settings, at_least_one), "no", 0, 0, NULL,
     "never make logits smaller"},
    {0},
};

static double base_of(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t length = context->train_length > 2 ? context->train_length : 2; // ln 1 divides nothing
    return settings->base > 0 ? settings->base : (double)length;
}

static int check(const struct pe_context *context)
{
    return pe_check_logn(context, base_of(context));
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    const struct settings *settings = context->settings;
    pe_scale_by_logn(context, attention, base_of(context), settings->at_least_one);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct settings *settings = context->settings;
    pe_export(tables, .name = "logit_factor", .axis = {"keys"}, .first = {1},
              .tensor = pe_logn_factors(context, base_of(context), settings->at_least_one),
              .shared_layers = true, .trained_rows = context->position_count);
}

// In rows of the training length at most it changes nothing where it never makes logits smaller.
static unsigned claims_with(const void *of)
{
    const struct settings *settings = of;
    unsigned claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS | PE_SYMMETRIC;
    bool changes_nothing = settings->at_least_one && settings->base == 0;
    return changes_nothing ? claims | PE_IDENTITY_AT_ZERO : claims;
}

const struct pe_def pe_logn = {
    .name = "logn",
    .title = "logits scaled by the logarithm of the number of keys",
    .family = "scale",
    .formula = "S_ij = (ln n / ln base) s <q_i, k_j>, n keys that i may see",
    .paper = "Su 2021, Scientific Spaces, article 8823; Chiang, Cholak 2022, arXiv 2202.12172",
    .aliases = "log-n",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS | PE_SYMMETRIC,
    .claims_with = claims_with,
    .check = check,
    .attention = attention,
    .tables = tables,
};
