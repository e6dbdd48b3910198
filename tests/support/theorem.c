// The cells of the table of the probe.
#include "theorem.h"

#include <stdio.h>
#include <string.h>

static const struct theorem_row beside[] = {
    {"shaw", "values=no", "softmax"},
    {"rope", "layout=half", "softmax"},
    {"rope", "values=v", "softmax"},
    {"rope", "values=vo", "softmax"},
    {"conv", "pad=circular", "softmax"},
    {"conv", "pad=reflect", "softmax"},
    {"conv", "where=after1", "softmax"},
    {"conv", "where=each", "softmax"},
    {"floater", "where=input", "softmax"},
    {"complex", "conjugate=yes", "softmax"},
    {"t5+urpe", NULL, "softmax"},
    {"rope+urpe", NULL, "softmax"},
    {"shaw+urpe", "values=no", "softmax"},
    {"transformer-xl+urpe", NULL, "softmax"},
    {"deberta+urpe", NULL, "softmax"},
    {"tupe+urpe", NULL, "softmax"},
    {"tupe+t5", NULL, "softmax"},
    {"rope+t5", NULL, "softmax"},
    {"rope+shaw", "shaw.values=no", "softmax"},
    {"sinusoidal+t5", NULL, "softmax"},
    {"learned+rope", NULL, "softmax"},
    {"conv+t5", NULL, "softmax"},
    {"none", NULL, "l2"},
    {"t5", NULL, "l2"},
    {"rope", NULL, "l2"},
    {"none", NULL, "relu2"},
    {"t5", NULL, "relu2"},
    {"rope", NULL, "relu2"},
    {"none", NULL, "softmax1"},
    {"t5", NULL, "softmax1"},
    {"rope", NULL, "softmax1"},
    {"none", NULL, "linear"},
    {"rope", NULL, "linear"},
    {"learned", NULL, "linear"},
};

int theorem_rows(void)
{
    return pe_count + (int)(sizeof beside / sizeof beside[0]);
}

struct theorem_row theorem_row(int i)
{
    if (i < pe_count)
        return (struct theorem_row){pe_list[i]->name, NULL, "softmax"};
    return beside[i - pe_count];
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
