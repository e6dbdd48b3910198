// DeBERTa's disentangled attention, for the encoding with and the one without absolute positions in
// the last layer.
#ifndef POSGRAD_ENCODINGS_DEBERTA_H
#define POSGRAD_ENCODINGS_DEBERTA_H

#include "../pe.h"

struct deberta_settings {
    int64_t max_distance, buckets;
    int terms, p2c;
    bool norm, share;
    int64_t max_length; // of the absolute table, deberta-emd only
};

// The rows of an option table that both have.
#define DEBERTA_OPTIONS                                                                            \
    {"max_distance",                                                                               \
     OPTION_INT,                                                                                   \
     offsetof(struct deberta_settings, max_distance),                                              \
     "0",                                                                                          \
     0,                                                                                            \
     1 << 24,                                                                                      \
     NULL,                                                                                         \
     "k: distances beyond it are clipped (0: the positions that training meets)"},                 \
        {"terms", OPTION_CHOICE,  offsetof(struct deberta_settings, terms),  "both", 0,            \
         0,       "both|c2p|p2c", "content to position, position to content"},                     \
        {"p2c",                                                                                    \
         OPTION_CHOICE,                                                                            \
         offsetof(struct deberta_settings, p2c),                                                   \
         "code",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "code|paper",                                                                             \
         "row of the position to content term: delta(i,j) of the released code, delta(j,i)"},      \
        {"buckets",                                                                                \
         OPTION_INT,                                                                               \
         offsetof(struct deberta_settings, buckets),                                               \
         "0",                                                                                      \
         0,                                                                                        \
         1 << 20,                                                                                  \
         NULL,                                                                                     \
         "logarithmic buckets a side, as DeBERTa v2 has (0: none)"},                               \
        {"norm", OPTION_BOOL, offsetof(struct deberta_settings, norm),       "no", 0,              \
         0,      NULL,        "LayerNorm on the table of relative positions"},                     \
    {                                                                                              \
        "share", OPTION_BOOL, offsetof(struct deberta_settings, share), "no", 0, 0, NULL,          \
            "project the table with the layer's own query and key maps"                            \
    }

int deberta_check(const struct pe_context *context);
void deberta_attention(const struct pe_context *context, struct pe_attention *attention);
int64_t deberta_clips_at(const struct pe_context *context);
void deberta_tables(const struct pe_context *context, struct pe_tables *tables);

#endif
