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
check "what data costs" '^  text +[0-9.]+ us .* %' "$bench/bench_tasks" -r 1 -j "$scratch/lines" copy text
check "of a text that is given" '^  text ' "$bench/bench_tasks" -r 1 -d README.md text
check "no text is left behind" '^0$' sh -c 'ls /tmp/bench_tasks.* 2>/dev/null | wc -l'
check "a line of JSON each" '^4$' grep -c -E '^\{"bench": .*\}$' "$scratch/lines"
check "served to other programs" '^[0-9.]+$' sh -c 'echo 1 | "$1" -S A' - "$bench/bench_step"
check "an unknown task is named" 'no task is called .z' sh -c '! "$1" z' - "$bench/bench_tasks"
check "an unknown shape is named" 'no shape Z' sh -c '! "$1" Z' - "$bench/bench_step"
exit $bad
