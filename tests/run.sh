#!/usr/bin/env bash
# Runs every test program of BUILD in float and in double, then the test scripts, and counts.
#
# A program's own count of its tests is compared with what it reported as good, so a test that never
# ended counts as failed: a crash, an exit in the middle, a time limit. Last line: "N passed, M
# failed".
#
# UNDER is a command that programs are run by (valgrind); then scripts are left out. ONLY is a
# pattern of names: ONLY='tests/unit/*'.
set -uo pipefail
shopt -s extglob
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
export OWN=${OWN:-base}    # level of vector code that the programs were built for
LIMIT=${TEST_SECONDS:-300} # of one program
PRECISIONS=${PRECISIONS:-float double}
case $BUILD in /*) bin=$BUILD ;; *) bin=$PWD/$BUILD ;; esac
export POSGRAD=$bin/posgrad
# An OpenMP that spins between tests slows down its neighbours; bits do not depend on it.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 failures=()

# report NAME GOOD BAD SKIPPED SECONDS: one line, and what was said where something failed.
report() {
    local extra=""
    [ "$4" -gt 0 ] && extra=", $4 skipped"
    passed=$((passed + $2))
    failed=$((failed + $3))
    if [ "$3" -eq 0 ]; then
        printf 'ok    %-48s %3d passed%s (%ss)\n' "$1" "$2" "$extra" "$5"
    else
        printf 'FAIL  %-48s %3d passed, %d failed%s (%ss)\n' "$1" "$2" "$3" "$extra" "$5"
        grep -v -E '^\[ RUN  |^\[       OK |^ok ' "$log" | tail -n 60 | sed 's/^/      /'
        failures+=("$1")
    fi
}

count() { grep -c -E -- "$1" "$log"; }

run_program() {
    local start=$SECONDS status=0 total good bad skipped
    # shellcheck disable=SC2086 # (words of a command)
    timeout -k 10 "$LIMIT" ${UNDER-} "$1" >"$log" 2>&1 || status=$?
    # "Running N test(s).", in cmocka 1.1.7 with the name of the group before it. Skipped tests are
    # named twice: where they are met, and in the list at the end.
    total=$(sed -n -E 's/^\[==========\] (.*: )?Running ([0-9]+) test.*/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
    good=$(count '^\[       OK \]')
    skipped=$(sed -n -E 's/^\[  SKIPPED \] ([A-Za-z_0-9]+)$/\1/p' "$log" | sort -u | wc -l)
    [ "$skipped" -gt $((total - good)) ] && skipped=$((total - good))
    bad=$((total - good - skipped))
    [ "$status" -eq 124 ] && echo "stopped after $LIMIT s" >>"$log"
    [ "$status" -ne 0 ] && echo "exit status $status" >>"$log"
    # A program that says that it failed, or that ran nothing, did not pass.
    if [ "$bad" -le 0 ] && { [ "$status" -ne 0 ] || [ "$total" -eq 0 ]; }; then
        bad=1
    fi
    report "$2" "$good" "$bad" "$skipped" $((SECONDS - start))
}

# Scripts print "ok NAME" or "FAIL NAME" a check ("skip NAME: why" where it cannot be made here).
run_script() {
    local start=$SECONDS status=0 good bad
    timeout -k 10 "$LIMIT" bash "$1" >"$log" 2>&1 || status=$?
    good=$(count '^ok ')
    bad=$(count '^FAIL ')
    if [ "$status" -ne 0 ] || [ "$good" -eq 0 ]; then
        echo "exit status $status" >>"$log"
        [ "$bad" -eq 0 ] && bad=1
    fi
    report "$1" "$good" "$bad" "$(count '^skip ')" $((SECONDS - start))
}

for source in tests/*/test_*.c; do
    # shellcheck disable=SC2254 # (a pattern is meant)
    case $source in ${ONLY:-*}) ;; *) continue ;; esac
    [ -e "$source" ] || continue
    for precision in $PRECISIONS; do
        run_program "$bin/$precision-$OWN/${source%.c}" "$precision ${source%.c}"
    done
    # Kernels, with the vector code of lesser processors.
    for level in ${LEVELS-}; do
        program=$bin/float-$level/${source%.c}
        [ -x "$program" ] && run_program "$program" "float-$level ${source%.c}"
    done
done
for script in tests/*/test_*.sh; do
    # shellcheck disable=SC2254
    case $script in ${ONLY:-*}) ;; *) continue ;; esac
    [ -e "$script" ] && [ -z "${UNDER-}" ] && run_script "$script"
done

[ ${#failures[@]} -gt 0 ] && printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
