# posgrad reproduce: the list, the commands it would run, a table at a size for a test, a stop and
# going on, and what it refuses.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

tiny="--steps 2 --dim 8 --heads 2 --ff-dim 8 --layers 1 --batch-size 2"
cells=6 # of urpe

good "the list" '^urpe +position' "$POSGRAD" reproduce --list
good "help names the recipes" 'length-generalization' "$POSGRAD" reproduce --help
good "the commands" 'posgrad train .*--pe t5\+urpe' "$POSGRAD" reproduce urpe --dry-run
good "the paper's size" '--dim 768' "$POSGRAD" reproduce urpe --dry-run --full
good "the options that are added win" "--dim 8 .*--seed 3$" "$POSGRAD" reproduce urpe --dry-run --seed 3 --train "$tiny"
if [ -e runs ]; then fail "a dry run makes nothing" "there is a folder"; else ok "a dry run makes nothing"; fi

good "a table" 'cells with an expectation are as expected' \
    "$POSGRAD" reproduce urpe --quiet --train "$tiny" --out-dir first
cp out table
good "the same table again" '^t5\+urpe ' "$POSGRAD" reproduce urpe --quiet --train "$tiny" --out-dir first
if cmp -s out table; then ok "and the same bytes"; else fail "and the same bytes" "they differ"; fi
good "elsewhere, one at a time" '^t5\+urpe ' \
    "$POSGRAD" reproduce urpe --quiet --jobs 1 --train "$tiny" --out-dir second
if cmp -s out table; then ok "the same table"; else fail "the same table" "they differ"; fi
for run in first/*-s0; do
    cmp -s "$run/checkpoint.h5" "second/${run#first/}/checkpoint.h5" || fail "the same run" "$run"
done
[ "$(find first -name checkpoint.h5 | wc -l)" -eq $cells ] || fail "all runs are there" "they are not"
good "JSON" '"as_expected"' "$POSGRAD" reproduce urpe --json --train "$tiny" --out-dir first
good "several seeds" '\+-' "$POSGRAD" reproduce urpe --quiet --seeds 2 --train "$tiny" --out-dir first

# Stopped in the middle, and gone on with: as if it had not been.
more="--steps 400 --dim 8 --heads 2 --ff-dim 8 --layers 1 --batch-size 2"
"$POSGRAD" reproduce urpe --quiet --jobs 2 --train "$more" --out-dir whole >whole.table 2>err
"$POSGRAD" reproduce urpe --quiet --jobs 2 --train "$more" --out-dir parts >out 2>err &
pid=$!
for _ in $(seq 200); do
    [ -n "$(find parts -name metrics.jsonl 2>/dev/null)" ] && break
    sleep 0.01
done
kill -TERM $pid
wait $pid
status=$?
if [ "$status" -eq 143 ] && grep -q 'the same command goes on' err; then
    ok "a stop says how to go on"
elif [ "$status" -eq 0 ]; then
    skip "a stop says how to go on" "it was done before"
else
    fail "a stop says how to go on" "exit $status"
fi
good "it goes on" '^t5\+urpe ' "$POSGRAD" reproduce urpe --quiet --train "$more" --out-dir parts
if cmp -s out whole.table; then ok "to the same table"; else fail "to the same table" "they differ"; fi

refused "no name" 2 'NAME is missing' "$POSGRAD" reproduce
refused "an unknown one" 2 "did you mean 'urpe'" "$POSGRAD" reproduce urp
refused "two" 2 'one NAME too many' "$POSGRAD" reproduce urpe probe
refused "rubbish for a number" 2 'jobs .x. is not a whole number' "$POSGRAD" reproduce urpe --jobs x
refused "a text for one that reads none" 2 'reads no text' "$POSGRAD" reproduce urpe --data "$POSGRAD"
refused "no text" 2 'give one with --data' "$POSGRAD" reproduce logn --data nowhere
refused "a size that it has not" 2 'one size' "$POSGRAD" reproduce probe --full
refused "options of nothing" 1 'unrecognized option|no option|is not' \
    "$POSGRAD" reproduce urpe --json --train "--colour red" --out-dir third
refused "another experiment in the folder" 1 'defines the run' \
    "$POSGRAD" reproduce urpe --json --train "--steps 2 --dim 16" --out-dir first
touch plain
refused "a folder that cannot be" 1 'plain' "$POSGRAD" reproduce urpe --json --out-dir plain/x
finish
