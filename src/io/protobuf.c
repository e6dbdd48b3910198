// Protocol buffers, written: tags, varints, and messages whose length is put in once it is known.
#include "protobuf.h"

#include <string.h>

enum kind { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };
enum { MOST = 10 }; // bytes of a varint

// Seven bits a byte, the lowest first; the top bit says that more follow. Returns how many bytes.
static size_t varint(uint64_t value, unsigned char text[MOST])
{
    size_t size = 0;
    do {
        text[size++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    return size;
}

static void put_varint(struct bytes *out, uint64_t value)
{
    unsigned char text[MOST];
    bytes_put(out, text, varint(value, text));
}

static void put_tag(struct bytes *out, int field, enum kind kind)
{
    put_varint(out, (uint64_t)field << 3 | (uint64_t)kind);
}

void protobuf_int(struct bytes *out, int field, int64_t value)
{
    put_tag(out, field, VARINT);
    put_varint(out, (uint64_t)value);
}

void protobuf_float(struct bytes *out, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_tag(out, field, FIXED32);
    bytes_put_little(out, bits, 4);
}

static void put_double(struct bytes *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bytes_put_little(out, bits, 8);
}

void protobuf_double(struct bytes *out, int field, double value)
{
    put_tag(out, field, FIXED64);
    put_double(out, value);
}

void protobuf_bytes(struct bytes *out, int field, const void *from, size_t size)
{
    put_tag(out, field, DELIMITED);
    put_varint(out, size);
    bytes_put(out, from, size);
}

void protobuf_text(struct bytes *out, int field, const char *text)
{
    protobuf_bytes(out, field, text, strlen(text));
}

void protobuf_doubles(struct bytes *out, int field, const double *value, size_t count)
{
    size_t opened = protobuf_open(out, field);
    for (size_t i = 0; i < count; i++)
        put_double(out, value[i]);
    protobuf_close(out, opened);
}

size_t protobuf_open(struct bytes *out, int field)
{
    put_tag(out, field, DELIMITED);
    return out->size;
}

// The message moves up to make room for its length.
void protobuf_close(struct bytes *out, size_t opened)
{
    unsigned char text[MOST];
    size_t size = out->size - opened, length = varint(size, text);
    bytes_put(out, text, length);
    if (out->failed)
        return;
    memmove(out->at + opened + length, out->at + opened, size);
    memcpy(out->at + opened, text, length);
}
