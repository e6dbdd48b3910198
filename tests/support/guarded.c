// Pages with one behind them that is closed.
#include "guarded.h"

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

struct guarded guarded_new(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), open = (size + page - 1) / page * page;
    struct guarded g = {.whole = open + page};
    g.memory = mmap(NULL, g.whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.memory != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.memory + open, page, PROT_NONE), 0);
    g.start = (char *)g.memory + open - size;
    return g;
}

void guarded_free(struct guarded *guarded)
{
    munmap(guarded->memory, guarded->whole);
    *guarded = (struct guarded){0};
}
