# What `make mutants` does, on three lines: a mistake that a test notices is caught, one that it
# cannot notice survives, and what compiles to the same code is no mistake. And what is drawn.
set -uo pipefail
BUILD=${BUILD:-build}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0
ok() { echo "ok $1"; }
fail() {
    bad=1
    echo "FAIL $1"
    head -n 20 "$scratch/out"
}
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then ok "$name"; else fail "$name"; fi
}
here=tests/faults
sources=$(ls autograd/ops/*.c optim/*.c autograd/kernels/vector.h)

draw() {
    # shellcheck disable=SC2086
    awk -v count=300 -v seed="$1" -f $here/mutants.awk $sources >"$scratch/$2"
}
draw 1 one
draw 1 again
draw 2 two
check "the same seed draws the same" cmp "$scratch/one" "$scratch/again"
check "another seed draws others" sh -c '! cmp -s "$1" "$2"' - "$scratch/one" "$scratch/two"
check "there are as many as asked for, each on its line" sh -c 'test "$(cut -f1,2 "$1" | sort -u | wc -l)" -eq 300' - "$scratch/one"
check "of seven kinds" sh -c 'test "$(cut -f3 "$1" | sort | uniq -c | awk "\$1 >= 40" | wc -l)" -eq 7' - "$scratch/one"
check "each differs from its line, and not in its comment alone" awk -F '\t' '
    { for (n = 1; (getline line < $1) > 0; n++) if (n == $2) break
      close($1)
      old = line; new = $4; sub(/\/\/.*/, "", old); sub(/\/\/.*/, "", new)
      if (old == new) { print; bad = 1 } }
    END { exit bad }' "$scratch/one"
check "what is said to be no mistake is about a line that is there" awk '
    BEGIN { RS = ""; FS = "\n" }
    NR > 1 { old = substr($2, 3); found = 0; RS = "\n"; FS = "^$"
             while ((getline line < $1) > 0) { sub(/^ +/, "", line); if (line == old) found = 1 }
             close($1); RS = ""; FS = "\n"
             if (!found || substr($3, 1, 2) != "+ " || NF < 4) { print; bad = 1 } }
    END { exit bad }' $here/equivalent.txt

# transpose.c: an index of one row, a line of other code for the same, and a sum that is added.
file=autograd/kernels/transpose.c
line() { grep -n -F -- "$1" $file | head -n 1 | cut -d: -f1; }
list() { # TEXT REPLACEMENT KIND
    printf '%s\t%s\t%s\t%s\n' $file "$(line "$1")" "$3" "$2"
}
{
    list 'to[j * to_row + i] = from' '            to[j * to_row + i] = from[j * from_row + i];' index
    list 'real *b = to' '            real *b = to + (j * to_row + i);' swap
} >"$scratch/list"
if [ -z "${COMPILE-}" ]; then
    echo "skip the rest: make has not said how to compile"
    exit $bad
fi
case ${SAN:+sanitizer}$COMPILE in
sanitizer* | *--coverage*)
    echo "skip the rest: the code of a sanitizer, or one that counts, tells one order of a sum from another"
    exit $bad
    ;;
esac
mutate() { # TEST
    bash $here/mutate.sh -n 2 -j 1 -o "$scratch/mutants" -m "$scratch/list" -t "$1" >"$scratch/verdict" 2>&1
    local status=$?
    cat "$scratch/verdict"
    return $status
}
check "a mistake is caught, the same code is none" mutate double/unit/test_transpose
check "and counted" grep -q '^2 mutants, 1 of them equivalent; 1 of 1 caught: 100.0 %' "$scratch/verdict"
survives() { ! mutate double/unit/test_rng; }
check "what no test looks at survives" survives
check "and is shown" grep -q '^survived autograd/kernels/transpose.c' "$scratch/verdict"
exit $bad
