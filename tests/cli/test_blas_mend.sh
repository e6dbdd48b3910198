# The mend for an OpenBLAS that does not know the CPU, with a library in front that names its
# kernels wrongly, as Debian's does on CPUs younger than itself.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

cat >shim.c <<'C'
// Says Prescott unless kernels were asked for; then says what was asked for.
#include <stdlib.h>
char *openblas_get_corename(void);
char *openblas_get_corename(void)
{
    char *asked = getenv("OPENBLAS_CORETYPE");
    return asked && *asked && !getenv("SHIM_STUBBORN") ? asked : (char *)"Prescott";
}
C
if ! ${CC:-cc} -shared -fPIC -o shim.so shim.c 2>err; then
    fail "the library in front" "does not compile"
    finish
fi
unset OPENBLAS_CORETYPE POSGRAD_BLAS_MENDED
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
flags=" $(sed -n 's/^flags[^:]*://p' /proc/cpuinfo | head -n 1) "
expected=""
case $flags in *" avx2 "*) case $flags in *" fma "*) expected=Haswell ;; esac ;; esac
if [[ $flags == *" avx512f "* && $flags == *" avx512bw "* && $flags == *" avx512dq "* &&
    $flags == *" avx512vl "* ]]; then
    expected=SkylakeX
fi
if [ -z "$expected" ]; then
    good "an old CPU needs no mend" 'none needed' env LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
    finish
fi

mended="mend +OpenBLAS took its Prescott kernels; restarted with OPENBLAS_CORETYPE=$expected"
good "slow kernels are mended" "$mended" env LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "and named" "^kernels +$expected" env LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "an empty variable is no choice" "$mended" \
    env OPENBLAS_CORETYPE= LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "the user's choice stands" 'OPENBLAS_CORETYPE=Nehalem is set by you' \
    env OPENBLAS_CORETYPE=Nehalem LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "a mend that does not help ends" "failed: OpenBLAS keeps its Prescott kernels, though $expected" \
    env SHIM_STUBBORN=1 LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "it can be switched off" 'POSGRAD_BLAS_MENDED is set' \
    env POSGRAD_BLAS_MENDED= LD_PRELOAD="$PWD/shim.so" "$POSGRAD" system
good "the name train survives it" '^Usage: posgrad train' \
    env LD_PRELOAD="$PWD/shim.so" "$TRAIN" --help
good "and so do the arguments" '^Usage: posgrad list' \
    env LD_PRELOAD="$PWD/shim.so" "$POSGRAD" list --help

# The checkpoint names the kernels that were mended in, not the ones that were first there.
run env LD_PRELOAD="$PWD/shim.so" "$POSGRAD" train --pe none --task probe "${small[@]}" --out-dir run
good "a checkpoint names them, too" "kernels $expected" "$POSGRAD" inspect run
finish
