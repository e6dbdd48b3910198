// CRC-32C bit by bit, the lowest first: what is summed here are records of a few hundred bytes.
#include "crc32c.h"

enum { POLYNOMIAL = 0x82F63B78 }; // 0x1EDC6F41, its bits in reverse

uint32_t crc32c(const void *bytes, size_t size)
{
    const unsigned char *from = bytes;
    uint32_t crc = ~(uint32_t)0;
    for (size_t i = 0; i < size; i++) {
        crc ^= from[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL : 0);
    }
    return ~crc;
}
