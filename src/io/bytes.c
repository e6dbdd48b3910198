// A block of bytes that grows by doubling.
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct bytes *bytes, size_t size)
{
    size_t wanted = bytes->size + size, room = bytes->room ? bytes->room : 64;
    if (bytes->failed || wanted < size || wanted > SIZE_MAX / 2)
        return false;
    while (room < wanted)
        room *= 2;
    if (room > bytes->room) {
        unsigned char *larger = realloc(bytes->at, room);
        if (!larger)
            return false;
        bytes->at = larger;
        bytes->room = room;
    }
    return true;
}

void bytes_put(struct bytes *bytes, const void *from, size_t size)
{
    if (size == 0)
        return;
    if (!grow(bytes, size)) {
        bytes->failed = true;
        return;
    }
    memcpy(bytes->at + bytes->size, from, size);
    bytes->size += size;
}

// Most texts fit at once; a longer one is written again, to where it belongs.
void bytes_print(struct bytes *bytes, const char *format, ...)
{
    char text[256];
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int length = vsnprintf(text, sizeof text, format, list);
    size_t size = length > 0 ? (size_t)length : 0;
    if (length < 0 || !grow(bytes, size + 1)) {
        bytes->failed = true;
    } else {
        if (size < sizeof text)
            memcpy(bytes->at + bytes->size, text, size);
        else
            vsnprintf((char *)bytes->at + bytes->size, size + 1, format, again);
        bytes->size += size;
    }
    va_end(again);
    va_end(list);
}

static ssize_t write_bytes(void *cookie, const char *from, size_t size)
{
    struct bytes *bytes = cookie;
    bytes_put(bytes, from, size);
    return bytes->failed ? 0 : (ssize_t)size; // 0 is this interface's word for an error
}

FILE *bytes_stream(struct bytes *bytes)
{
    return fopencookie(bytes, "w", (cookie_io_functions_t){.write = write_bytes});
}

void bytes_put_little(struct bytes *bytes, uint64_t value, int size)
{
    unsigned char little[8];
    for (int i = 0; i < 8; i++)
        little[i] = (unsigned char)(value >> (8 * i));
    bytes_put(bytes, little, (size_t)size);
}
