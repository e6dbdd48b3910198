# posgrad eval: scores at other lengths, in every form of output, and what it refuses.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

small_run learned learned
run "$POSGRAD" train --pe rope --task copy "${small[@]}" --keep 2 --save-every 2 --out-dir rope
[ "$status" -eq 0 ] || fail "a run of copy" "exit $status"
state() { (cd "$1" && sha256sum -- * && ls -la --time-style=full-iso) | grep -v ' \.\.$'; }
same() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2' is not '$3'"; fi; }

before=$(state rope)
good "one length, the training's" '^ +8  inside +0\.' "$POSGRAD" eval rope
same "and no other" "$(grep -c '^ *[0-9]' out)" 1
good "several, in order, once each" '^length +encoding +accuracy' "$POSGRAD" eval rope --lengths 16,8,32,16,8
same "their rows" "$(awk '/^ *[0-9]/ {print $1, $2}' out | tr '\n' ' ')" "8 inside 16 extrapolated 32 extrapolated "
if command -v flock >/dev/null; then
    good "while another holds its lock" 'inside' flock rope "$POSGRAD" eval rope
fi
same "nothing in the run is touched" "$(state rope)" "$before"
good "a checkpoint file" 'step 4;' "$POSGRAD" eval rope/checkpoint.h5
good "an elder one" 'step 2;' "$POSGRAD" eval rope --checkpoint 2
good "the test split" '; test$' "$POSGRAD" eval rope --split test --samples 10
same "the samples" "$(awk '/^ *8/ {print $(NF - 1)}' out)" 10

"$POSGRAD" eval rope --lengths 8,40 --json --threads 1 >one
"$POSGRAD" eval rope --lengths 8,40 --json --threads 3 >three
if cmp -s one three; then ok "any threads, the same bits"; else fail "any threads, the same bits" "they differ"; fi
good "JSON" '"encoding": "extrapolated"' "$POSGRAD" eval rope --lengths 40 --json
good "CSV to stdout" '^8,none,inside,[0-9.]+,' "$POSGRAD" eval rope --lengths 8,40 --csv -
same "which is all" "$(wc -l <out)" 3
cp out wanted
good "CSV to a file" '^length ' "$POSGRAD" eval rope --lengths 8,40 --csv scores.csv
if cmp -s wanted scores.csv; then ok "the same rows"; else fail "the same rows" "they differ"; fi

# What a length cannot have.
good "undefined among others" '^ +16 +undefined +-' "$POSGRAD" eval learned --lengths 8,16
if grep -q '^length 16: ' out; then ok "with the reason"; else fail "with the reason" "it is not there"; fi
good "undefined in JSON" '"scored": false' "$POSGRAD" eval learned --lengths 8,16 --json
refused "undefined alone" 1 '.' "$POSGRAD" eval learned --lengths 16
refused "no such row" 1 'copy' "$POSGRAD" eval rope --lengths 2 --csv half.csv
if [ -e half.csv ]; then fail "nothing is half written" "half.csv"; else ok "nothing is half written"; fi

# Ways past the end, in one table.
good "ways beside each other" '^length +extend +encoding +accuracy' \
    "$POSGRAD" eval learned --lengths 4,8 --extend none,clip,wrap,clip
same "their rows" "$(awk '/^ *[0-9]/ {print $1, $2, $3}' out | tr '\n' ' ')" \
    "4 none inside 4 clip inside 4 wrap inside 8 none inside 8 clip inside 8 wrap inside "
run "$POSGRAD" train --pe learned --task copy "${small[@]}" --length 9 --out-dir table
run "$POSGRAD" eval table --lengths 17 --extend none,clip,interpolate --csv -
same "past the end" "$(cut -d , -f 1-3 out | tr '\n' ' ')" \
    "length,extend,encoding 17,none,undefined 17,clip,clipped 17,interpolate,interpolated "
refused "a way without a meaning" 1 'has no meaning for rope' "$POSGRAD" eval rope --lengths 40 --extend wrap,clip

if file_limits; then
    refused "a file limit" 1 'limited.csv' bash -c 'ulimit -f 1; exec "$@"' - \
        "$POSGRAD" eval rope --lengths 3,4,5,6,7,8,9,10,11,12,13 --csv limited.csv
fi
if ls limited.csv* >/dev/null 2>&1; then fail "nothing is left of it" "$(ls limited.csv*)"; else ok "nothing is left of it"; fi

for text in 0 -8 8, ,8 8,,16 eight 8x 1e3 99999999999 ' 8' ''; do
    refused "--lengths '$text'" 2 "is no length" "$POSGRAD" eval rope "--lengths=$text"
done
refused "unknown way" 2 "no way is called 'nonne'; did you mean 'none'" "$POSGRAD" eval rope --extend nonne
refused "another unknown way" 2 "there are none, clip" "$POSGRAD" eval rope --extend none,xyzzy1234
refused "unknown split" 2 'validation' "$POSGRAD" eval rope --split training
refused "no samples" 2 "samples" "$POSGRAD" eval rope --samples many
good "what each way is" '^  yarn +slow rotations' "$POSGRAD" eval --help
refused "no RUN" 2 'RUN is missing' "$POSGRAD" eval
refused "two RUNs" 2 'one RUN too many' "$POSGRAD" eval rope learned
refused "two for stdout" 2 'both want stdout' "$POSGRAD" eval rope --json --csv -
refused "a RUN that is not there" 1 'nowhere' "$POSGRAD" eval nowhere
refused "a folder that is no run" 1 'checkpoint.h5' "$POSGRAD" eval "$scratch"
refused "an elder one that is not there" 1 'checkpoint-3.h5' "$POSGRAD" eval rope --checkpoint 3
refused "a best one that is not there" 1 'best.h5' "$POSGRAD" eval rope --checkpoint best
refused "an elder one of a file" 2 'no run folder' "$POSGRAD" eval rope/checkpoint.h5 --checkpoint 2
refused "no checkpoint of that name" 2 'neither last, best nor a step' "$POSGRAD" eval rope --checkpoint worst
refused "CSV over the run" 1 'replace a file of the run' "$POSGRAD" eval rope --csv rope/checkpoint.h5
refused "CSV into no name" 1 'name of the file to write is empty' "$POSGRAD" eval rope --csv ''
head -c 1000 rope/checkpoint.h5 >cut.h5
refused "a damaged one" 1 'cut.h5' "$POSGRAD" eval cut.h5

run "$POSGRAD" train --pe rope --task copy "${small[@]}" --eval-every 1 --keep-best --ema 0.5 --out-dir best
good "the best one" '^rope on copy, .*, step [0-9];' "$POSGRAD" eval best --checkpoint best

# A text that changed is another text, unless it is asked for.
seq 2000 >text && seq 3000 5000 >other
run "$POSGRAD" train --pe none --task text --arch decoder --data text "${small[@]}" --out-dir text-run
good "bits per byte" 'bits per byte$' "$POSGRAD" eval text-run --lengths 8,16
good "another text" ' 8 ' "$POSGRAD" eval text-run --data other
cp other text
refused "a text that changed" 1 'not the data' "$POSGRAD" eval text-run

# The picture.
good "a picture where it is asked for" 'trained, to length 8' "$POSGRAD" eval rope --lengths 8,16 --plot
run "$POSGRAD" eval rope --lengths 8,16
if grep -q chance\ *= out; then fail "none in a pipe" "there is one"; else ok "none in a pipe"; fi
if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    skip "a picture on a terminal" "script(1) is missing, or can open none here"
    finish
fi
screen() { script -qec "stty cols 70; $1 '$POSGRAD' eval rope --lengths 8,16,32" typescript </dev/null >out 2>&1; }
screen "LC_ALL=C TERM=xterm NO_COLOR="
if grep -q $'\033\\[2m-\033\\[0m chance' out; then ok "a picture on a terminal, in colour"; else fail "a picture on a terminal, in colour" ""; fi
screen "LC_ALL=C TERM=xterm NO_COLOR=1"
if grep -q '= trained, to length 8' out && ! grep -q $'\033' out && ! LC_ALL=C grep -q $'[\x80-\xff]' out; then
    ok "in plain ASCII"
else
    fail "in plain ASCII" ""
fi
finish
