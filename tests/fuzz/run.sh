#!/usr/bin/env bash
# `make fuzz`: runs programs that libFuzzer is linked into, one after the other, FUZZ_SECONDS each.
#
# run.sh FOLDER NAME...: FOLDER has the programs fuzz_NAME and gets what they find: corpus/NAME goes
# on where the last time ended, crash/NAME-* are inputs that ended one. Fails where there is any.
set -uo pipefail
cd "$(dirname "$0")/../.."
folder=$1
shift
seconds=${FUZZ_SECONDS:-60}
bad=0
mkdir -p "$folder/crash"

# Words that are worth trying: the keys of all options, and the names of all rows of all lists.
words=$folder/words.dict
{
    grep -rhoE '^ *\{"[a-z0-9_-]+", +OPTION_' autograd optim datasets src --include=*.c | grep -oE '"[^"]+"'
    grep -rhoE '\.name = "[a-z0-9_-]+"' optim datasets src --include=*.c | grep -oE '"[^"]+"'
    printf '"%s"\n' pe-opt task-opt optimizer-opt pe_opt task_opt optimizer_opt yes no nan inf 1e999 -1 '[' ']' '{' '}' ': ' ', ' '=' '+'
} | sort -u >"$words.$$" && mv "$words.$$" "$words" # others may be reading it

export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
for name in "$@"; do
    program=$folder/fuzz_$name grown=$folder/corpus/$name log=$folder/$name.log
    mkdir -p "$grown"
    # As long as the longest that it begins with.
    longest=$(find "tests/fuzz/corpus/$name" -type f -printf '%s\n' | sort -n | tail -n 1)
    [ "$longest" -gt 4096 ] || longest=4096
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len="$longest" -print_final_stats=1
        -artifact_prefix="$folder/crash/$name-" -dict="$words")
    if "$program" "${options[@]}" ${FUZZ_OPTIONS-} "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        reached=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)
        echo "ok   $name: $runs executions in $seconds s, $reached"
    else
        bad=1
        echo "FAIL $name:"
        grep -v -E '^#[0-9]+|^ *NEW_FUNC' "$log" | tail -n 40 | sed 's/^/     /'
        found=$(sed -n -E 's/.*Test unit written to (.*)/\1/p' "$log" | tail -n 1)
        [ -z "$found" ] || echo "     again: $program $found"
    fi
done
exit $bad
