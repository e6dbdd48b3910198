// ONNX files, parsed: protocol buffers and the messages of onnx.proto that posgrad writes.
#include "onnx_run.h"

#include <string.h>

struct span {
    const unsigned char *at, *end;
};

// One field of a message: its number, and a varint or a span.
struct field {
    int number, kind;
    uint64_t value;
    struct span span;
};

static uint64_t varint(struct span *s)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        assert_true(s->at < s->end);
        unsigned char byte = *s->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    fail_msg("a varint has more than ten bytes");
    return 0;
}

static bool next(struct span *s, struct field *f)
{
    if (s->at == s->end)
        return false;
    uint64_t tag = varint(s);
    *f = (struct field){.number = (int)(tag >> 3), .kind = (int)(tag & 7)};
    assert_true(f->number > 0);
    size_t size = 0;
    if (f->kind == 0)
        f->value = varint(s);
    else if (f->kind == 2)
        size = (size_t)varint(s);
    else if (f->kind == 5 || f->kind == 1)
        size = f->kind == 5 ? 4 : 8;
    else
        fail_msg("a field has kind %d", f->kind);
    assert_true(size <= (size_t)(s->end - s->at));
    f->span = (struct span){s->at, s->at + size};
    s->at += size;
    return true;
}

static const char *text(struct onnx_file *file, struct span s)
{
    size_t size = (size_t)(s.end - s.at);
    char *copy = arena_alloc(&file->arena, size + 1);
    assert_non_null(copy);
    assert_null(memchr(s.at, 0, size));
    memcpy(copy, s.at, size);
    return copy;
}

static double float_of(struct span s)
{
    float value;
    assert_int_equal(s.end - s.at, sizeof value);
    memcpy(&value, s.at, sizeof value);
    return (double)value;
}

static void *new (struct onnx_file *file, size_t size)
{
    void *block = arena_alloc(&file->arena, size);
    assert_non_null(block);
    return block;
}

static void read_raw(struct onnx_file *file, struct onnx_value *value, struct span raw)
{
    size_t item = value->type == 1 ? 4 : 8;
    assert_true(value->type == 1 || value->type == 7 || value->type == 11);
    assert_int_equal(raw.end - raw.at, (size_t)value->count * item);
    value->data = new (file, (size_t)value->count * sizeof(double));
    for (int64_t i = 0; i < value->count; i++) {
        const unsigned char *at = raw.at + (size_t)i * item;
        int64_t integer;
        if (value->type == 1)
            value->data[i] = float_of((struct span){at, at + 4});
        else if (value->type == 11)
            memcpy(&value->data[i], at, item);
        else {
            memcpy(&integer, at, item);
            value->data[i] = (double)integer;
        }
    }
}

static struct onnx_value *read_tensor(struct onnx_file *file, struct span s)
{
    struct onnx_value *value = new (file, sizeof *value);
    struct span raw = {0};
    struct field f;
    value->count = 1;
    while (next(&s, &f)) {
        if (f.number == 1) {
            assert_true(value->dims < ONNX_RUN_DIMS);
            value->size[value->dims++] = (int64_t)f.value;
            value->count *= (int64_t)f.value;
        } else if (f.number == 2) {
            value->type = (int)f.value;
        } else if (f.number == 8) {
            value->name = text(file, f.span);
        } else if (f.number == 9) {
            raw = f.span;
        } else {
            fail_msg("TensorProto has a field %d", f.number);
        }
    }
    assert_non_null(value->name);
    read_raw(file, value, raw);
    return value;
}

static struct onnx_attr *read_attribute(struct onnx_file *file, struct span s)
{
    struct onnx_attr *a = new (file, sizeof *a);
    int64_t kind = 0, seen = 0;
    struct field f;
    while (next(&s, &f)) {
        switch (f.number) {
        case 1:
            a->name = text(file, f.span);
            break;
        case 2:
        case 7:
            a->real = float_of(f.span);
            seen = f.number == 2 ? 1 : 6;
            break;
        case 3:
            a->number = (int64_t)f.value;
            seen = 2;
            break;
        case 4:
        case 9:
            a->text = text(file, f.span);
            seen = f.number == 4 ? 3 : 8;
            break;
        case 8:
            assert_true(a->count < ONNX_RUN_DIMS);
            a->list[a->count++] = (int64_t)f.value;
            seen = 7;
            break;
        case 20:
            kind = (int64_t)f.value;
            break;
        default:
            fail_msg("AttributeProto has a field %d", f.number);
        }
    }
    assert_int_equal(kind, seen);
    return a;
}

static struct onnx_run_node *read_node(struct onnx_file *file, struct span s)
{
    struct onnx_run_node *node = new (file, sizeof *node);
    struct field f;
    while (next(&s, &f)) {
        if (f.number == 1) {
            assert_true(node->inputs < 32);
            node->input[node->inputs++] = text(file, f.span);
        } else if (f.number == 2) {
            assert_null(node->output);
            node->output = text(file, f.span);
        } else if (f.number == 3) {
            node->name = text(file, f.span);
        } else if (f.number == 4) {
            node->type = text(file, f.span);
        } else if (f.number == 5) {
            struct onnx_attr *a = read_attribute(file, f.span);
            a->next = node->attribute;
            node->attribute = a;
        } else {
            fail_msg("NodeProto has a field %d", f.number);
        }
    }
    assert_true(node->type && node->name && node->output);
    return node;
}

static void read_shape(struct onnx_file *file, struct onnx_declared *d, struct span s)
{
    struct field f, size;
    while (next(&s, &f)) {
        assert_int_equal(f.number, 1);
        assert_true(d->dims < ONNX_RUN_DIMS);
        assert_true(next(&f.span, &size));
        if (size.number == 1)
            d->size[d->dims] = (int64_t)size.value;
        else
            d->size_name[d->dims] = text(file, size.span);
        d->dims++;
    }
}

static struct onnx_declared *read_declared(struct onnx_file *file, struct span s)
{
    struct onnx_declared *d = new (file, sizeof *d);
    struct field f, type, of;
    while (next(&s, &f)) {
        if (f.number == 1)
            d->name = text(file, f.span);
        if (f.number != 2)
            continue;
        assert_true(next(&f.span, &type));
        assert_int_equal(type.number, 1); // a tensor
        while (next(&type.span, &of)) {
            if (of.number == 1)
                d->type = (int)of.value;
            else
                read_shape(file, d, of.span);
        }
    }
    assert_non_null(d->name);
    return d;
}

// Appends to a list whose items end with `next`.
#define APPEND(list, item)                                                                         \
    do {                                                                                           \
        __typeof__(&(list)) at = &(list);                                                          \
        while (*at)                                                                                \
            at = &(*at)->next;                                                                     \
        *at = (item);                                                                              \
    } while (0)

static void read_graph(struct onnx_file *file, struct span s)
{
    struct onnx_run_node **last = &file->node;
    struct field f;
    while (next(&s, &f)) {
        if (f.number == 1) {
            *last = read_node(file, f.span);
            last = &(*last)->next;
            file->nodes++;
        } else if (f.number == 5) {
            APPEND(file->initializer, read_tensor(file, f.span));
        } else if (f.number == 11) {
            APPEND(file->input, read_declared(file, f.span));
        } else if (f.number == 12) {
            APPEND(file->output, read_declared(file, f.span));
        } else {
            assert_int_equal(f.number, 2);
        }
    }
}

static struct onnx_property_read *read_property(struct onnx_file *file, struct span s)
{
    struct onnx_property_read *property = new (file, sizeof *property);
    struct field f;
    while (next(&s, &f))
        *(f.number == 1 ? &property->key : &property->value) = text(file, f.span);
    return property;
}

static int64_t read_opset(struct span s)
{
    int64_t version = 0;
    struct field f;
    while (next(&s, &f))
        if (f.number == 2)
            version = (int64_t)f.value;
    return version;
}

// Names are of one value each, and what a node reads is there before it.
static void check_names(const struct onnx_file *file)
{
    for (const struct onnx_value *v = file->initializer; v; v = v->next)
        for (const struct onnx_value *o = v->next; o; o = o->next)
            assert_string_not_equal(v->name, o->name);
    for (const struct onnx_run_node *n = file->node; n; n = n->next) {
        assert_null(onnx_file_initializer(file, n->output));
        for (const struct onnx_run_node *o = n->next; o; o = o->next)
            assert_string_not_equal(n->output, o->output);
        for (int i = 0; i < n->inputs; i++) {
            const struct onnx_run_node *from = file->node;
            while (from != n && strcmp(from->output, n->input[i]) != 0)
                from = from->next;
            if (*n->input[i] && from == n && !onnx_file_takes(file, n->input[i]) &&
                !onnx_file_initializer(file, n->input[i]))
                fail_msg("%s reads %s, which is not there yet", n->name, n->input[i]);
        }
    }
}

void onnx_file_open(struct onnx_file *file, const void *bytes, size_t size)
{
    struct span s = {bytes, (const unsigned char *)bytes + size};
    struct field f;
    memset(file, 0, sizeof *file);
    arena_init(&file->arena);
    arena_init(&file->scratch);
    while (next(&s, &f)) {
        if (f.number == 1)
            file->ir_version = (int64_t)f.value;
        else if (f.number == 2)
            file->producer = text(file, f.span);
        else if (f.number == 7)
            read_graph(file, f.span);
        else if (f.number == 8)
            file->opset = read_opset(f.span);
        else if (f.number == 14)
            APPEND(file->property, read_property(file, f.span));
    }
    assert_non_null(file->output);
    assert_null(file->output->next);
    check_names(file);
}

void onnx_file_close(struct onnx_file *file)
{
    arena_release(&file->arena);
    arena_release(&file->scratch);
}

const struct onnx_value *onnx_file_initializer(const struct onnx_file *file, const char *name)
{
    const struct onnx_value *v = file->initializer;
    while (v && strcmp(v->name, name) != 0)
        v = v->next;
    return v;
}

const char *onnx_file_property(const struct onnx_file *file, const char *key)
{
    const struct onnx_property_read *p = file->property;
    while (p && strcmp(p->key, key) != 0)
        p = p->next;
    return p ? p->value : NULL;
}

bool onnx_file_takes(const struct onnx_file *file, const char *input)
{
    const struct onnx_declared *d = file->input;
    while (d && strcmp(d->name, input) != 0)
        d = d->next;
    return d;
}
