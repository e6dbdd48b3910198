// The theorem of the probe, from claims to a verdict.
#include "theorem.h"

const char *const theorem_text[] = {"equal", "equal but at the borders",
                                    "equal to their mirror image", "different"};

unsigned pe_stack_claims(const struct pe_stack *stack, int i)
{
    const struct pe_def *def = stack->def[i];
    return def->claims_with ? def->claims_with(stack->settings[i]) : def->claims;
}

static bool any(const struct pe_stack *stack, unsigned claim)
{
    for (int i = 0; i < stack->count; i++)
        if (pe_stack_claims(stack, i) & claim)
            return true;
    return false;
}

static bool all(const struct pe_stack *stack, unsigned claim)
{
    for (int i = 0; i < stack->count; i++)
        if (!(pe_stack_claims(stack, i) & claim))
            return false;
    return true;
}

enum pe_rows pe_theorem(const struct pe_stack *stack, bool causal, bool start_token,
                        enum ag_normaliser normaliser)
{
    if (any(stack, causal ? PE_PROBE_DECODER : PE_PROBE_ENCODER))
        return PE_ROWS_DIFFER;
    // Tokens unlike the rest: what attention finds of them depends on how far they are, if logits
    // know positions, and in a decoder also on how many others there are.
    bool unlike = start_token || any(stack, PE_MARKS_BORDERS);
    bool in_logits = any(stack, PE_POSITION_IN_LOGITS);
    // Linear attention divides by what it sums, so without positions in its products (which only
    // its numerator has) its weights sum to 1.
    bool sums_to_one = normaliser == AG_SOFTMAX || (normaliser == AG_LINEAR && !in_logits);
    if (in_logits && !sums_to_one && !causal && !unlike && all(stack, PE_SYMMETRIC))
        return PE_ROWS_MIRRORED;
    if (in_logits && (unlike || !sums_to_one))
        return PE_ROWS_DIFFER;
    // Without positions in the logits a causal row still shares its weight among i + 1 keys.
    if (causal && (unlike || !sums_to_one))
        return PE_ROWS_DIFFER;
    if (any(stack, PE_MARKS_BORDERS) || (start_token && any(stack, PE_MIXES_NEIGHBOURS)))
        return PE_ROWS_BORDERS;
    return PE_ROWS_EQUAL;
}
