// The cells of the table of the probe.
#include "theorem.h"

#include <stdio.h>
#include <string.h>

static const struct theorem_row beside[] = {
    {"shaw", "values=no", "softmax", false},
    {"rope", "layout=half", "softmax", false},
    {"rope", "values=v", "softmax", false},
    {"rope", "values=vo", "softmax", false},
    {"conv", "pad=circular", "softmax", false},
    {"conv", "pad=reflect", "softmax", false},
    {"conv", "where=after1", "softmax", false},
    {"conv", "where=each", "softmax", false},
    {"floater", "where=input", "softmax", false},
    {"complex", "conjugate=yes", "softmax", false},
    {"t5+urpe", NULL, "softmax", false},
    {"rope+urpe", NULL, "softmax", false},
    {"shaw+urpe", "values=no", "softmax", false},
    {"transformer-xl+urpe", NULL, "softmax", false},
    {"deberta+urpe", NULL, "softmax", false},
    {"tupe+urpe", NULL, "softmax", false},
    {"tupe+t5", NULL, "softmax", false},
    {"rope+t5", NULL, "softmax", false},
    {"rope+shaw", "shaw.values=no", "softmax", false},
    {"sinusoidal+t5", NULL, "softmax", false},
    {"learned+rope", NULL, "softmax", false},
    {"conv+t5", NULL, "softmax", false},
    {"rope+logn", NULL, "softmax", false},
    {"alibi", "sides=offset", "softmax", false},
    {"alibi", NULL, "l2", false},
    {"alibi", "sides=offset", "l2", false},
    {"none", NULL, "l2", false},
    {"t5", NULL, "l2", false},
    {"rope", NULL, "l2", false},
    {"none", NULL, "relu2", false},
    {"t5", NULL, "relu2", false},
    {"rope", NULL, "relu2", false},
    {"none", NULL, "softmax1", false},
    {"t5", NULL, "softmax1", false},
    {"rope", NULL, "softmax1", false},
    {"none", NULL, "linear", false},
    {"rope", NULL, "linear", false},
    {"learned", NULL, "linear", false},
};

// Encodings that give positions to others have no row of their own.
static const struct pe_def *listed(int row)
{
    for (int i = 0; i < pe_count; i++)
        if (!pe_list[i]->positions && row-- == 0)
            return pe_list[i];
    return NULL;
}

static int listed_rows(void)
{
    int rows = 0;
    while (listed(rows))
        rows++;
    return rows;
}

int theorem_rows(void)
{
    return listed_rows() + (int)(sizeof beside / sizeof beside[0]);
}

struct theorem_row theorem_row(int i)
{
    const struct pe_def *def = listed(i);
    if (def)
        return (struct theorem_row){
            .pe = def->name, .attention = "softmax", .on_grid = strcmp(def->family, "grid") == 0};
    return beside[i - listed_rows()];
}

const char *theorem_row_text(const struct theorem_row *row, char text[96])
{
    bool plain = strcmp(row->attention, "softmax") == 0;
    snprintf(text, 96, "%s%s%s%s%s%s", row->pe, row->option ? " " : "",
             row->option ? row->option : "", plain ? "" : ", ", plain ? "" : row->attention,
             plain ? "" : " attention");
    return text;
}

enum ag_normaliser theorem_normaliser(const struct theorem_row *row)
{
    static const char *const names[] = {"softmax", "linear", "relu2", "l2", "softmax1"};
    int found = name_index(names, 5, row->attention);
    return found < 0 ? AG_SOFTMAX : (enum ag_normaliser)found;
}

int theorem_verdict(const struct theorem_row *row, bool causal, bool start_token, bool *meaningful,
                    enum pe_rows *verdict)
{
    struct pe_stack stack;
    int code = pe_stack_init(&stack, row->pe, row->option != NULL, &row->option);
    if (code < 0)
        return code;
    *meaningful = true;
    for (int i = 0; i < stack.count; i++) {
        if (start_token && strcmp(stack.def[i]->family, "grid") == 0)
            *meaningful = false;
        if (!causal && (pe_stack_claims(&stack, i) & PE_CAUSAL_ONLY))
            *meaningful = false;
    }
    // Circular and reflected borders have a meaning in an encoder only.
    if (causal && row->option && strncmp(row->option, "pad=", 4) == 0)
        *meaningful = false;
    *verdict = pe_theorem(&stack, causal, start_token, theorem_normaliser(row));
    pe_stack_release(&stack);
    return 0;
}
