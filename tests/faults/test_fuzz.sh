# Every target of fuzzing on its committed corpus and on mutations of it, in this build and without
# libFuzzer: the short form of `make fuzz`.
set -uo pipefail
BUILD=${BUILD:-build}
MUTATIONS=${MUTATIONS:-2000}
export OMP_NUM_THREADS=1
bad=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    program=$BUILD/float-${OWN:-base}/tests/fuzz/$name
    if said=$("$program" "tests/fuzz/corpus/${name#fuzz_}" "$MUTATIONS" 2>&1); then
        echo "ok $name: $said"
    else
        bad=1
        echo "FAIL $name:"
        tail -n 40 <<<"$said"
    fi
done
exit $bad
