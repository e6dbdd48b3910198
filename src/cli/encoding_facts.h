// What there is to say of an encoding beside its row of the list: found out by building small
// models.
#ifndef POSGRAD_ENCODING_FACTS_H
#define POSGRAD_ENCODING_FACTS_H

#include <jansson.h>

#include "../encodings/pe.h"

// Lists of objects or texts (new references, NULL when memory ends):
// parameters at default options, {"name", "shape": ["2T-1", "H"], "start": "N(0, 0.02)"}, N for a
// layer's number;
json_t *encoding_parameters(const struct pe_def *def);
// exported tables, {"name", "axes"};
json_t *encoding_exports(const struct pe_def *def);
// claims in words;
json_t *encoding_claim_words(const struct pe_def *def);
// names of the ways past the training length that have a meaning for it;
json_t *encoding_extensions(const struct pe_def *def);
// names of the encodings that it stacks with, in an encoder or a decoder: those that a model can be
// built with.
json_t *encoding_partners(const struct pe_def *def);

#endif
