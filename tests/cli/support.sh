# Sourced by the scripts of this folder: a scratch folder, and checks that print one line each.
#
# POSGRAD is the program under test (tests/run.sh sets it), and TRAIN is it under its other name.
set -uo pipefail
POSGRAD=${POSGRAD:-$PWD/build/posgrad}
if [ ! -x "$POSGRAD" ]; then
    echo "FAIL there is no program $POSGRAD"
    exit 1
fi
scratch=$(mktemp -d)
TRAIN=$scratch/train
ln -s "$POSGRAD" "$TRAIN"
cleanup() {
    chmod -R u+w "$scratch" 2>/dev/null
    rm -rf "$scratch"
}
trap cleanup EXIT
root=$PWD
cd "$scratch" || exit 1
bad=0

ok() { echo "ok $1"; }
skip() { echo "skip $1: $2"; }
# Whether a limit on the size of files is ours to meet: ThreadSanitizer writes a file before main.
file_limits() { [ -z "${TSAN_OPTIONS-}" ] || { skip "a file limit" "ThreadSanitizer does not start"; false; }; }
fail() {
    bad=$((bad + 1))
    echo "FAIL $1: $2"
    sed 's/^/  stdout: /' out 2>/dev/null | head -n 20
    sed 's/^/  stderr: /' err 2>/dev/null | head -n 20
}

# run COMMAND...: out, err and $status are what it left.
run() {
    status=0
    "$@" >out 2>err </dev/null || status=$?
}

# good NAME WORDS COMMAND...: exit 0, nothing on stderr, and WORDS (a regular expression) on stdout.
good() {
    local name=$1 words=$2
    shift 2
    run "$@"
    if [ "$status" -ne 0 ]; then
        fail "$name" "exit $status"
    elif [ -s err ]; then
        fail "$name" "stderr is not empty"
    elif ! grep -q -E -- "$words" out; then
        fail "$name" "stdout does not say '$words'"
    else
        ok "$name"
    fi
}

# refused NAME STATUS WORDS COMMAND...: that exit status, nothing on stdout, one line on stderr that
# has WORDS. For wrong usage (2) the line may be followed by a pointer to --help.
refused() {
    local name=$1 expected=$2 words=$3 lines
    shift 3
    run "$@"
    lines=$(wc -l <err)
    [ "$expected" -eq 2 ] && lines=$(sed '/^Try /,$d' err | wc -l)
    if [ "$status" -ne "$expected" ]; then
        fail "$name" "exit $status, not $expected"
    elif [ -s out ]; then
        fail "$name" "stdout is not empty"
    elif [ "$lines" -ne 1 ]; then
        fail "$name" "stderr has $lines lines"
    elif ! head -n 1 err | grep -q -E '^(posgrad|train)[a-z ]*: '; then
        fail "$name" "the line does not begin with the program's name"
    elif ! head -n 1 err | grep -q -i -E -- "$words"; then
        fail "$name" "the line does not say '$words'"
    else
        ok "$name"
    fi
}

# A run folder to damage: as small as a run gets.
small=(--layers 1 --heads 2 --dim 8 --ff-dim 8 --length 8 --batch-size 2 --steps 4 --warmup 1
    --eval-every 0 --eval-batches 1 --threads 1 --quiet)
small_run() {
    run "$POSGRAD" train --pe "$1" --task probe "${small[@]}" --out-dir "$2"
    [ "$status" -eq 0 ] || fail "a small run with $1" "exit $status"
}

finish() {
    cd "$root" || exit 1
    exit $((bad > 0))
}
