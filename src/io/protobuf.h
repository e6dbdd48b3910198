// Protocol buffers, the wire format: just enough to write the messages of other programs' files.
//
// A message is a row of fields: a varint of (number << 3 | kind), then the value, which is a varint
// (kind 0), 8 bytes (1), a length and so many bytes (2), or 4 bytes (5). A message within a message
// is of kind 2. Source: the encoding page of the Protocol Buffers documentation. Nothing is written
// for its default value but what is asked for: fields are written as they are called.
#ifndef POSGRAD_PROTOBUF_H
#define POSGRAD_PROTOBUF_H

#include "bytes.h"

// All append to a block that the caller owns (out->at is free'd by him), in which errors are
// sticky: once memory was short, out->failed says so and nothing more is written.

// int64, int32, uint64, bool and enum; a negative number takes ten bytes.
void protobuf_int(struct bytes *out, int field, int64_t value);
void protobuf_float(struct bytes *out, int field, float value);
void protobuf_double(struct bytes *out, int field, double value);
void protobuf_text(struct bytes *out, int field, const char *text);
void protobuf_bytes(struct bytes *out, int field, const void *from, size_t size);
// Repeated numbers in one field (packed).
void protobuf_doubles(struct bytes *out, int field, const double *value, size_t count);

// What is written between the two is the message in `field`: what protobuf_open returns is for its
// protobuf_close. They nest.
size_t protobuf_open(struct bytes *out, int field);
void protobuf_close(struct bytes *out, size_t opened);

#endif
