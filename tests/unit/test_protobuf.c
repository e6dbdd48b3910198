// io/protobuf.h: the very bytes of fields of every kind, and messages within messages.
#include "../support/check.h"

#include <stdlib.h>
#include <string.h>

#include "../../src/io/protobuf.h"

static void check_bytes(struct bytes *out, const char *expected, size_t size)
{
    assert_false(out->failed);
    assert_int_equal(out->size, size);
    check_same_bytes(out->at, expected, size);
    free(out->at);
    *out = (struct bytes){0};
}
#define CHECK_BYTES(out, text) check_bytes(out, text, sizeof(text) - 1)

// The examples of the format's own description: field 1 is 150, field 2 is "testing".
static void fields_are_a_tag_and_a_value(void **state)
{
    (void)state;
    struct bytes out = {0};
    protobuf_int(&out, 1, 150);
    CHECK_BYTES(&out, "\x08\x96\x01");
    protobuf_text(&out, 2, "testing");
    CHECK_BYTES(&out, "\x12\x07testing");
    protobuf_bytes(&out, 16, "a\0b", 3); // the first field number that takes two bytes
    CHECK_BYTES(&out, "\x82\x01\x03"
                      "a\0b");
    protobuf_float(&out, 2, 0.5f);
    CHECK_BYTES(&out, "\x15\0\0\0\x3f");
    protobuf_double(&out, 1, 1.0);
    CHECK_BYTES(&out, "\x09\0\0\0\0\0\0\xf0\x3f");
}

static void varints_have_seven_bits_a_byte(void **state)
{
    (void)state;
    struct bytes out = {0};
    protobuf_int(&out, 1, 0);
    protobuf_int(&out, 1, 127);
    protobuf_int(&out, 1, 128);
    protobuf_int(&out, 1, 16383);
    protobuf_int(&out, 1, 16384);
    CHECK_BYTES(&out, "\x08\x00\x08\x7f\x08\x80\x01\x08\xff\x7f\x08\x80\x80\x01");
    protobuf_int(&out, 1, -1);
    CHECK_BYTES(&out, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    protobuf_int(&out, 1, INT64_MIN);
    CHECK_BYTES(&out, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
}

static void repeated_numbers_are_packed(void **state)
{
    (void)state;
    struct bytes out = {0};
    protobuf_doubles(&out, 4, NULL, 0);
    CHECK_BYTES(&out, "\x22\x00");
    protobuf_doubles(&out, 1, (const double[]){1, -2}, 2);
    CHECK_BYTES(&out, "\x0a\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0");
}

// TensorBoard's Event of step 10 with Summary.Value {tag "train/loss", simple_value 0.5}.
static void messages_nest(void **state)
{
    (void)state;
    struct bytes out = {0};
    protobuf_double(&out, 1, 2.0);
    protobuf_int(&out, 2, 10);
    size_t summary = protobuf_open(&out, 5), value = protobuf_open(&out, 1);
    protobuf_text(&out, 1, "train/loss");
    protobuf_float(&out, 2, 0.5f);
    protobuf_close(&out, value);
    protobuf_close(&out, summary);
    CHECK_BYTES(&out, "\x09\0\0\0\0\0\0\0\x40\x10\x0a\x2a\x13\x0a\x11\x0a\x0a"
                      "train/loss\x15\0\0\0\x3f");
}

// A length that takes several bytes moves what it stands before.
static void long_messages_keep_what_is_in_them(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    static char text[LONG];
    for (int i = 0; i < LONG; i++)
        text[i] = (char)('a' + i % 26);
    struct bytes out = {0};
    protobuf_int(&out, 1, 5);
    size_t opened = protobuf_open(&out, 3), empty = protobuf_open(&out, 9);
    protobuf_close(&out, empty);
    protobuf_bytes(&out, 2, text, LONG);
    protobuf_close(&out, opened);
    protobuf_int(&out, 1, 6);
    assert_int_equal(out.size, 2 + 4 + 2 + 4 + LONG + 2);
    check_same_bytes(out.at, "\x08\x05\x1a\xa6\x9c\x01\x4a\x00\x12\xa0\x9c\x01", 12);
    check_same_bytes(out.at + 12, text, LONG);
    check_same_bytes(out.at + 12 + LONG, "\x08\x06", 2);
    free(out.at);
}

// Nothing is written behind a failure, as what lies there would be no message.
static void failures_stick(void **state)
{
    (void)state;
    struct bytes out = {.failed = true};
    size_t opened = protobuf_open(&out, 1);
    protobuf_int(&out, 1, 1);
    protobuf_close(&out, opened);
    assert_true(out.failed);
    assert_int_equal(out.size, 0);
    assert_null(out.at);
}

CHECK_MAIN(cmocka_unit_test(fields_are_a_tag_and_a_value),
           cmocka_unit_test(varints_have_seven_bits_a_byte),
           cmocka_unit_test(repeated_numbers_are_packed), cmocka_unit_test(messages_nest),
           cmocka_unit_test(long_messages_keep_what_is_in_them), cmocka_unit_test(failures_stick))
