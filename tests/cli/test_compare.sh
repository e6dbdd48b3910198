# posgrad compare and posgrad diff: tables over seeds, what is kept apart, what differs, what is
# refused.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

same() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2' is not '$3'"; fi; }
has() { if grep -q -E -- "$2" out; then ok "$1"; else fail "$1" "stdout does not say '$2'"; fi; }
# grid FOLDER OPTION...: a run of the grid.
grid() {
    run "$POSGRAD" train --task copy "${small[@]}" --length 9 "${@:2}" --out-dir "grid/$1"
    [ "$status" -eq 0 ] || fail "a run of the grid" "exit $status"
}
for seed in 0 1 2; do
    grid "copy/none-$seed" --pe none --seed $seed
    grid "copy/rope-$seed" --pe rope --seed $seed
done
grid rope-half --pe rope --pe-opt layout=half
grid probe-none --pe none --task probe

# --- compare
good "a folder of runs" '^encoding +copy +probe$' "$POSGRAD" compare grid
has "mean, interval, seeds" '^none +0\.[0-9]{3} \(0\.[0-9]{3} to [01]\.[0-9]{3}, n 3\) +0\.[0-9]{3} \(n 1\)$'
has "an encoding with options is another" '^rope layout=half +0\.[0-9]{3} \(n 1\) +-$'
good "named runs" 'n 2\)' "$POSGRAD" compare grid/copy/none-0 grid/copy/none-1/checkpoint.h5
cp out ends
good "a folder with a slash, and runs below twice" 'left out: .*none-0 has the encoding, task and seed of' \
    "$POSGRAD" compare grid/ grid/copy/none-0
# Mean and interval by hand: t is 12.706 for two runs.
last() { grep '"validation"' "grid/$1/metrics.jsonl" | tail -n 1 | sed 's/.*"loss": \([0-9.e-]*\).*/\1/'; }
run "$POSGRAD" compare grid/copy/none-0 grid/copy/none-1 --metric loss --csv -
got=$(awk -F, 'END {printf "%.5f %.5f %.5f", $5, $6, $7}' out)
wanted=$(awk -v a="$(last copy/none-0)" -v b="$(last copy/none-1)" 'BEGIN {
    m = (a + b) / 2; d = a > b ? a - b : b - a
    printf "%.5f %.5f %.5f", m, m - 12.7062047 * d / 2, m + 12.7062047 * d / 2}')
same "mean and interval of the losses" "$got" "$wanted"
good "JSON" '"encoding": "rope layout=half"' "$POSGRAD" compare grid --json
same "values in JSON" "$(grep -c '"n": 3' out)" 2
good "CSV to a file" '^encoding ' "$POSGRAD" compare grid --csv cells.csv
same "its rows" "$(wc -l <cells.csv)" 5
good "another metric" '^exact match on validation' "$POSGRAD" compare grid --metric exact-match

# At other lengths every run is scored anew; at the training's it gives what it gave.
good "at several lengths" '^encoding +copy at 9 +copy at 17 +probe at 9' "$POSGRAD" compare grid --lengths 17,9
"$POSGRAD" compare grid/copy --csv - --metric loss | cut -d , -f 4- >then
"$POSGRAD" compare grid/copy --csv - --metric loss --lengths 9 --threads 2 | cut -d , -f 4- >now
if cmp -s then now; then ok "at the training's length they are what they were"; else fail "at the training's length" "they differ"; fi
run "$POSGRAD" train --task copy "${small[@]}" --length 9 --pe learned --out-dir table
good "undefined in a cell" '^learned +0\.[0-9]{3} \(n 1\) +undefined$' "$POSGRAD" compare table --lengths 9,17
has "with the reason" '^table at 17: '
good "undefined in CSV" '^"?[^,]*,learned,copy at 17,0,,,,$' "$POSGRAD" compare table --lengths 17 --csv -
good "the test split" '^accuracy on test: ' "$POSGRAD" compare grid/copy --split test --samples 8
refused "samples of what was scored before" 2 'goes with' "$POSGRAD" compare grid --samples 8
refused "no length" 2 'is no length' "$POSGRAD" compare grid --lengths 9,x

grid other/long --pe none --seed 1 --steps 6
good "what differs is kept apart" '^steps 6$' "$POSGRAD" compare grid
has "and named in both" '^steps 4$'
rm -r grid/other
cp -r grid/copy/none-2 grid/cut && truncate -s 1000 grid/cut/checkpoint.h5
good "a damaged run of a folder is left out" 'left out: grid/cut/checkpoint.h5' "$POSGRAD" compare grid
refused "a damaged run that is named" 1 'grid/cut/checkpoint.h5' "$POSGRAD" compare grid/copy/none-0 grid/cut
mkdir empty
refused "a folder without runs" 1 'no run in empty' "$POSGRAD" compare empty
refused "nothing of that name" 1 'nowhere' "$POSGRAD" compare nowhere
refused "no RUN" 2 'RUN is missing' "$POSGRAD" compare
refused "unknown metric, nearest" 2 "did you mean 'accuracy'" "$POSGRAD" compare grid --metric acuracy
refused "unknown metric" 2 'there are accuracy' "$POSGRAD" compare grid --metric speed
refused "two for stdout" 2 'both want stdout' "$POSGRAD" compare grid --json --csv -

# --- diff
# says NAME STATUS WORDS COMMAND...: that status, nothing on stderr, and WORDS on stdout.
says() {
    run "${@:4}"
    if [ "$status" -ne "$2" ] || [ -s err ]; then fail "$1" "exit $status, not $2"; else has "$1" "$3"; fi
}
says "a run and itself" 0 '^equal: ' "$POSGRAD" diff grid/copy/none-0 grid/copy/none-0
cp -r grid/copy/none-0 twin
says "a run and its twin" 0 '^equal: ' "$POSGRAD" diff grid/copy/none-0/checkpoint.h5 twin
says "another seed" 1 '^seed +0 +1$' "$POSGRAD" diff grid/copy/none-0 grid/copy/none-1
has "its parameters" '^tok_emb.weight +\[.*\] +[0-9.e-]+ +[0-9.e-]+$'
has "and how many are the same" '^parameters: 2[0-9] in both, [0-9]+ of them equal bit for bit$'
small_run learned learned
small_run none none
says "another encoding" 1 '^pe +learned +none$' "$POSGRAD" diff learned none
has "a parameter of one only" '^pe.learned.weight +\[8, 8\] +only in A$'
says "a resumed run has more steps" 1 '^step +4 +6$' "$POSGRAD" diff twin \
    "$("$TRAIN" --resume grid/copy/none-0 --steps 6 --quiet >/dev/null 2>&1; echo grid/copy/none-0)"
says "JSON of equal ones" 0 '"equal": true' "$POSGRAD" diff twin twin --json
says "JSON" 1 '"bitwise_equal": false' "$POSGRAD" diff learned none --json
cp -r twin $'na\xefve' 2>/dev/null && {
    says "a name that is no UTF-8" 0 '"a": "na.ve/checkpoint.h5"' "$POSGRAD" diff $'na\xefve' twin --json
    good "compared" '"na.ve"' "$POSGRAD" compare $'na\xefve' --json
    good "scored" '"run": "na.ve"' "$POSGRAD" eval $'na\xefve' --json
}
if [ -e /dev/full ]; then
    status=0
    "$POSGRAD" diff learned none >/dev/full 2>err || status=$?
    if [ $status -eq 2 ] && grep -q 'cannot write the output' err; then
        ok "differences that nobody can read are trouble"
    else
        fail "differences that nobody can read are trouble" "exit $status"
    fi
fi
refused "diff of one" 2 'two RUNs are wanted' "$POSGRAD" diff twin
refused "diff of three" 2 'too many' "$POSGRAD" diff twin twin twin
refused "diff with nothing" 2 'nowhere' "$POSGRAD" diff twin nowhere
refused "diff with a damaged one" 2 'grid/cut/checkpoint.h5' "$POSGRAD" diff twin grid/cut
finish
