// Fuzzing what this side of the wall believes of a stranger's HDF5 file: the answer of a reader
// that a crafted file has taken over.
//
// An input is an answer (struct foreign_set, as it comes through the pipe), then the file. Reaches:
// foreign_hdf5_check and, where it is content, every element. libhdf5 itself is on the other side:
// tests/faults/test_wall.c has damaged files for it.
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/foreign_hdf5.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct foreign_set set;
    if (size < sizeof set)
        return 0;
    memcpy(&set, data, sizeof set);
    const uint8_t *file = data + sizeof set;
    int64_t bytes = (int64_t)(size - sizeof set);
    int code = foreign_hdf5_check("file", bytes, "images", &set);
    fuzz_judge(code);
    if (code < 0 || set.kind == FOREIGN_OTHER)
        return 0;
    int64_t count = foreign_set_count(&set);
    BUG_ON(count < 0 || count > bytes);
    volatile double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += set.kind == FOREIGN_REAL ? foreign_set_real(&set, file, i)
                                        : (double)foreign_set_integer(&set, file, i);
    (void)sum; // what counts is that all can be read
    return 0;
}
