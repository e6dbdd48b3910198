# An OpenBLAS without threads is wrong when two threads call it: with a library in front that says
# how it was built, such a one is refused wherever more than one thread would be used.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

cat >shim.c <<'C'
// 0, 1, 2: serial, pthreads, OpenMP.
#include <stdlib.h>
int openblas_get_parallel(void);
int openblas_get_parallel(void)
{
    return atoi(getenv("SHIM_PARALLEL"));
}
C
if ! ${CC:-cc} -shared -fPIC -o shim.so shim.c 2>err; then
    fail "the library in front" "does not compile"
    finish
fi
# The mend would start the program anew, which is another test's matter.
export POSGRAD_BLAS_MENDED='' ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
as() {
    local kind=$1
    shift
    env SHIM_PARALLEL="$kind" LD_PRELOAD="$PWD/shim.so" "$@"
}
serial() { as 0 "$@"; }
wrong='serial build.*wrong on 2 threads; install .*libopenblas-openmp-dev.*--threads 1'
train=(train --pe none --task probe "${small[@]}")

refused "train with two threads" 1 "$wrong" serial "$POSGRAD" "${train[@]}" --threads 2 --out-dir two
if [ -e two ]; then fail "it touches no folder" "there is one"; else ok "it touches no folder"; fi
refused "train in double" 1 "$wrong" \
    serial "$POSGRAD" trace --pe none --task probe --threads 2 --precision double -o two.h5
refused "gradcheck" 1 "$wrong" serial env OMP_NUM_THREADS=2 "$POSGRAD" gradcheck --op matmul
good "gradcheck with one thread" '^1 passed, 0 failed' \
    serial env OMP_NUM_THREADS=1 "$POSGRAD" gradcheck --op matmul
good "train with one thread" '^accuracy ' serial "$POSGRAD" "${train[@]}" --threads 1 --out-dir one
refused "resume with two" 1 "$wrong" serial "$POSGRAD" train --resume one --steps 6 --threads 2
run serial "$POSGRAD" trace one --threads 1 -o one.h5
if [ "$status" -eq 0 ] && [ -s one.h5 ]; then
    ok "trace with one"
else
    fail "trace with one" "exit $status"
fi
good "what computes nothing has no need of it" 'none' serial "$POSGRAD" inspect one
good "system says it" '^threading +serial build: wrong with more than one thread' \
    serial "$POSGRAD" system
for kind in "1 pthreads" "2 OpenMP"; do
    good "the build with ${kind#* } is good" '^accuracy ' \
        as "${kind% *}" "$POSGRAD" "${train[@]}" --threads 2 --out-dir "${kind#* }"
    good "and system does not complain" "^threading +${kind#* } build\$" \
        as "${kind% *}" "$POSGRAD" system
done
finish
