// CRC-32C: the checksum of Castagnoli, of iSCSI, ext4 and TensorBoard's files.
#ifndef POSGRAD_CRC32C_H
#define POSGRAD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Of `size` bytes. Source: RFC 3720, appendix B.4.
uint32_t crc32c(const void *bytes, size_t size);

#endif
