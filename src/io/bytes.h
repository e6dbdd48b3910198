// A block of bytes that grows: what files of several formats are put together in.
#ifndef POSGRAD_BYTES_H
#define POSGRAD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Starts as all zeros. Once there is no memory it stays as it is and says so; `at` is free'd by
// whoever owns the block.
struct bytes {
    unsigned char *at;
    size_t size, room;
    bool failed;
};
void bytes_put(struct bytes *bytes, const void *from, size_t size);
// As printf; without the NUL.
__attribute__((format(printf, 2, 3))) void bytes_print(struct bytes *bytes, const char *format,
                                                       ...);
// A stream that writes into the block, for what writes to files; closing it leaves the block, which
// says whether all is there. (A memory stream of glibc's forgets a write that had no memory.) NULL
// where there is no memory for it.
FILE *bytes_stream(struct bytes *bytes);
void bytes_put_little(struct bytes *bytes, uint64_t value, int size); // little-endian

#endif
