// The user block of a file: written last, checked first, so that no parser ever sees a damaged
// byte.
#include "seal.h"

#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdint.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file.h"

static const unsigned char magic[8] = {'p', 'o', 's', 'g', 'r', 'a', 'd', '\n'};
static const unsigned char hdf5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

enum {
    SEAL_FORMAT = 1,
    AT_FORMAT = 8,
    AT_BLOCK = 12,
    AT_LENGTH = 16,
    AT_BODY_DIGEST = 24,
    AT_DIGEST = SEAL_SIZE - SHA256_DIGEST_SIZE,
};

static void put_le(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void sha256_end(struct sha256_ctx *context, unsigned char *digest)
{
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(context, digest);
#else
    sha256_digest(context, SHA256_DIGEST_SIZE, digest);
#endif
}

static void sha256(const unsigned char *bytes, size_t size, unsigned char *digest)
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, size, bytes);
    sha256_end(&context, digest);
}

static int digest_matches(const unsigned char *bytes, size_t size, const unsigned char *digest)
{
    unsigned char actual[SHA256_DIGEST_SIZE];
    sha256(bytes, size, actual);
    return memcmp(actual, digest, sizeof actual) == 0;
}

void seal_parts(unsigned char *file, const struct file_part *part, size_t parts)
{
    struct sha256_ctx context;
    BUG_ON(parts == 0 || part[0].bytes != file || part[0].size < SEAL_SIZE);
    uint64_t size = part[0].size;
    sha256_init(&context);
    sha256_update(&context, part[0].size - SEAL_SIZE, file + SEAL_SIZE);
    for (size_t i = 1; i < parts; i++) {
        sha256_update(&context, part[i].size, part[i].bytes);
        size += part[i].size;
    }
    memset(file, 0, SEAL_SIZE);
    memcpy(file, magic, sizeof magic);
    put_le(file + AT_FORMAT, SEAL_FORMAT, 4);
    put_le(file + AT_BLOCK, SEAL_SIZE, 4);
    put_le(file + AT_LENGTH, size, 8);
    sha256_end(&context, file + AT_BODY_DIGEST);
    sha256(file, AT_DIGEST, file + AT_DIGEST);
}

void seal_write(unsigned char *file, size_t size)
{
    seal_parts(file, &(struct file_part){file, size}, 1);
}

// A file that does not start like ours: the likely reasons, most useful first.
static int not_ours(const unsigned char *file, size_t size, const char *path)
{
    if (size == 0)
        return err_set(ERR_FORMAT, "%s is empty; it was never written or was cut off", path);
    if (size >= sizeof hdf5_magic && memcmp(file, hdf5_magic, sizeof hdf5_magic) == 0)
        return err_set(ERR_FORMAT, "%s is an HDF5 file, but not one that posgrad wrote", path);
    return err_set(ERR_FORMAT, "%s is not a posgrad file", path);
}

static int check_block(const unsigned char *file, const char *path)
{
    if (!digest_matches(file, AT_DIGEST, file + AT_DIGEST))
        return err_set(ERR_FORMAT,
                       "%s is damaged (digest of its first 512 bytes); use another copy", path);
    uint64_t format = get_le(file + AT_FORMAT, 4);
    if (format != SEAL_FORMAT || get_le(file + AT_BLOCK, 4) != SEAL_SIZE)
        return err_set(ERR_FORMAT,
                       "%s has file format %llu, and this posgrad reads %d; use a newer one", path,
                       (unsigned long long)format, SEAL_FORMAT);
    return 0;
}

int seal_check(const unsigned char *file, size_t size, const char *path)
{
    size_t prefix = size < sizeof magic ? size : sizeof magic;
    if (prefix == 0 || memcmp(file, magic, prefix) != 0)
        return not_ours(file, size, path);
    if (size < SEAL_SIZE)
        return err_set(ERR_FORMAT, "%s is truncated: %zu bytes; use another copy", path, size);
    int code = check_block(file, path);
    if (code < 0)
        return code;
    unsigned long long length = get_le(file + AT_LENGTH, 8);
    if (size < length)
        return err_set(ERR_FORMAT, "%s is truncated: %zu of %llu bytes; use another copy", path,
                       size, length);
    if (size > length)
        return err_set(ERR_FORMAT, "%s is damaged: %llu bytes were added at its end", path,
                       (unsigned long long)size - length);
    if (!digest_matches(file + SEAL_SIZE, size - SEAL_SIZE, file + AT_BODY_DIGEST))
        return err_set(ERR_FORMAT,
                       "%s is damaged, or was changed after posgrad wrote it; use another copy",
                       path);
    return 0;
}
