# A BLAS kernel that is wrong on this processor: with a library in front whose products have one
# wrong element in odd shapes, whatever computes is refused with one line, and nothing else is.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

cat >shim.c <<'C'
// OpenBLAS's products, and where the width does not fill a vector 1 more in the last element.
#define _GNU_SOURCE
#include <dlfcn.h>
#define PRODUCT(NAME, REAL)                                                                        \
    void NAME(int order, int ta, int tb, int m, int n, int k, REAL alpha, const REAL *a, int lda,  \
              const REAL *b, int ldb, REAL beta, REAL *c, int ldc);                                \
    void NAME(int order, int ta, int tb, int m, int n, int k, REAL alpha, const REAL *a, int lda,  \
              const REAL *b, int ldb, REAL beta, REAL *c, int ldc)                                 \
    {                                                                                              \
        void (*next)(int, int, int, int, int, int, REAL, const REAL *, int, const REAL *, int,     \
                     REAL, REAL *, int);                                                           \
        *(void **)&next = dlsym(RTLD_NEXT, #NAME);                                                 \
        next(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                         \
        if (n % 16 == 1)                                                                           \
            c[(m - 1) * ldc + n - 1] += 1;                                                         \
    }
PRODUCT(cblas_sgemm, float)
PRODUCT(cblas_dgemm, double)
C
if ! ${CC:-cc} -shared -fPIC -o shim.so shim.c -ldl 2>err; then
    fail "the library in front" "does not compile"
    finish
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
wrong() { env LD_PRELOAD="$PWD/shim.so" "$@"; }
line="^posgrad: OpenBLAS's product \(kernels [A-Za-z0-9_]+\) is wrong on this processor: element .*; (set OPENBLAS_CORETYPE=|install)"
small_run learned run
train=(train --pe none --task probe "${small[@]}")

refused "train" 1 "$line" wrong "$POSGRAD" "${train[@]}" --out-dir new
if [ -e new ]; then fail "it touches no folder" "there is one"; else ok "it touches no folder"; fi
refused "resume" 1 "$line" wrong "$POSGRAD" train --resume run --steps 6
refused "eval" 1 "$line" wrong "$POSGRAD" eval run --lengths 8
refused "compare at lengths" 1 "$line" wrong "$POSGRAD" compare run --lengths 8
refused "trace" 1 "$line" wrong "$POSGRAD" trace run -o trace.h5
refused "trace in double" 1 "$line" \
    wrong "$POSGRAD" trace --pe none --task probe --precision double -o trace.h5
refused "gradcheck" 1 "$line" wrong "$POSGRAD" gradcheck --op add
refused "reproduce" 1 "$line" wrong "$POSGRAD" reproduce probe --out-dir reproduced
good "what computes nothing goes on" '^step     4,' wrong "$POSGRAD" inspect run
good "list" learned wrong "$POSGRAD" list encodings
good "system" '^kernels' wrong "$POSGRAD" system
good "help" '^Usage: posgrad train' wrong "$POSGRAD" train --help
good "reproduce --dry-run" 'train' wrong "$POSGRAD" reproduce probe --dry-run
finish
