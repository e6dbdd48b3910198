# The benchmarks work: once, at a small size. How fast they are is nobody's business here.
set -uo pipefail
BUILD=${BUILD:-build}
bench=$BUILD/float-${OWN:-base}/tests/bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0
check() { # NAME WORDS COMMAND...
    local name=$1 words=$2
    shift 2
    if "$@" >"$scratch/out" 2>&1 && grep -q -E -- "$words" "$scratch/out"; then
        echo "ok $name"
    else
        bad=1
        echo "FAIL $name"
        head -n 5 "$scratch/out"
    fi
}
check "the step of a shape" '^  A +[0-9.]+ ms +[0-9.]+ GFLOP/s' "$bench/bench_step" -r 1 -j "$scratch/lines" A
check "its profile" 'attention +backward' "$bench/bench_step" -r 1 -p A
check "what an encoding costs" '^  t5 +[0-9.]+ ms' "$bench/bench_encodings" -r 1 -s A -j "$scratch/lines" t5
check "a line of JSON each" '^2$' grep -c -E '^\{"bench": .*\}$' "$scratch/lines"
check "served to other programs" '^[0-9.]+$' sh -c 'echo 1 | "$1" -S A' - "$bench/bench_step"
check "an unknown shape is named" 'no shape Z' sh -c '! "$1" Z' - "$bench/bench_step"
exit $bad
