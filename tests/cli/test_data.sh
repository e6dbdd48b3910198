# Tasks that read files, through the program: several texts, what is skipped, images with and
# without a file.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

mkdir texts
seq 1000 >texts/a
seq 5000 7000 >texts/b
: >texts/empty
train() { good "$1" 'accuracy [01]\.[0-9]{3} on validation' "$TRAIN" "${small[@]}" --out-dir run --overwrite "${@:2}"; }

train "images of its own on a grid" --task images --pe rope2d --length 36
train "images in a decoder" --task images --pe learned2d --length 36 --arch decoder
refused "images at a length that is no grid" 2 'length 32 is no square; give --length 36' \
    "$TRAIN" --task images --pe rope2d --out-dir new
train "masked text" --task masked-text --pe t5 --data texts/a
train "two texts" --task text --pe rope --arch decoder --data texts/a:texts/b
refused "masked text in a decoder" 2 'leave out --arch decoder' \
    "$TRAIN" --task masked-text --pe t5 --data texts/a --arch decoder --out-dir new
refused "a text that is not there" 1 "cannot open 'texts/c'" \
    "$TRAIN" --task masked-text --pe t5 --data texts/a:texts/c --out-dir new
refused "masked text of nothing" 1 "'texts/empty' is empty" \
    "$TRAIN" --task masked-text --pe t5 --data texts/empty --out-dir new
refused "images of a text" 1 'neither an IDX file nor HDF5' \
    "$TRAIN" --task images --pe rope2d --data texts/a --out-dir new
refused "a patch of nothing" 2 'patch is for images of a file' \
    "$TRAIN" --task images --pe rope2d --length 36 --task-opt patch=2 --out-dir new
[ ! -e new ] && ok "no folder is left" || fail "no folder is left" "there is one"

# skips NAME COMMAND...: it succeeds, and says on stderr, in one line, what it left out.
skips() {
    run "${@:2}"
    if [ "$status" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "1 of 3 files skipped: 'texts/empty' is empty" err; then
        ok "$1"
    else
        fail "$1" "exit $status"
    fi
}
skips "a folder of texts" "$TRAIN" --task text --pe none --arch decoder --data texts "${small[@]}" --out-dir folder
skips "and its trace" "$POSGRAD" trace folder -o trace.h5
skips "and its scores" "$POSGRAD" eval folder
good "and where it is compared" 'folder at 8: --data: 1 of 3 files skipped' "$POSGRAD" compare folder --lengths 8
run "$POSGRAD" eval folder --lengths 8,200
if grep -q "^posgrad: length 200: .*'texts/a' has" err && grep -q '^posgrad: length 8: .*1 of 3' err; then
    ok "what is skipped hangs on the length"
else
    fail "what is skipped hangs on the length" "exit $status"
fi
run "$TRAIN" --resume folder --steps 6 --quiet
grep -q 'files skipped' err && ok "and once more when it goes on" || fail "and once more when it goes on" "exit $status"
cat texts/a >>texts/b
refused "other texts now" 1 'is not the data that the run was started with' "$TRAIN" --resume folder --steps 8 --quiet

# cut NAME COMMAND...: the text is cut to nothing while it is mapped; the command says so and ends. It
# opens the text more than once, and a cut before the last time is another line: then it is cut later.
cut() {
    local pid later
    for later in 0 0.1 0.2 0.4 0.8 1.6 3.2; do
        cp texts/b cut-text
        "${@:2}" >out 2>err </dev/null &
        pid=$!
        while kill -0 $pid 2>/dev/null && ! grep -q cut-text /proc/$pid/maps 2>/dev/null; do sleep 0.01; done
        sleep $later
        : >cut-text
        wait $pid
        status=$?
        if [ $status -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q 'cut short while it was read' err; then
            ok "$1"
            return
        fi
        grep -q "'cut-text' is empty" err out || break
    done
    fail "$1" "exit $status"
}
if [ -e /proc/self/maps ]; then
    cp texts/b cut-text
    run "$TRAIN" --task text --pe none --arch decoder --data cut-text "${small[@]}" --out-dir cut-run
    cut "a text cut short under training" "$TRAIN" --task text --pe none --arch decoder --data cut-text \
        "${small[@]}" --steps 1000000000 --out-dir cut-long
    cut "under eval" "$POSGRAD" eval cut-run --samples 1000000000
    cut "under compare" "$POSGRAD" compare cut-run --lengths 8 --samples 1000000000
fi

# MNIST's format: a hundred images of 4 by 4, of two classes.
octal() { printf '\\%03o' "$1"; }
# idx SIZE...: the head of an IDX file of bytes.
idx() {
    printf "\\0\\0\\10$(octal $#)"
    for n in "$@"; do printf "\\0\\0\\0$(octal "$n")"; done
}
{ idx 100 4 4 && seq 1000 | head -c 1600; } >train-images-idx3-ubyte
{ idx 100 && for _ in $(seq 50); do printf '\0\1'; done; } >train-labels-idx1-ubyte
train "images of a file" --task images --pe rope2d --data train-images-idx3-ubyte --length 4
grep -q 'chance 0.500' out && ok "two classes" || fail "two classes" "chance is another"
refused "at another length" 2 '--length may be 16 \(patch 1\), 4 \(patch 2\), 1 \(patch 4\)' \
    "$TRAIN" --task images --pe rope2d --data train-images-idx3-ubyte --out-dir new
rm train-labels-idx1-ubyte
refused "without labels" 1 "labels .*'train-labels-idx1-ubyte' cannot be opened" \
    "$TRAIN" --task images --pe rope2d --data train-images-idx3-ubyte --out-dir new

# Crafted by somebody: h5dump of HDF5 1.10.8 ends with a signal on them.
for i in 1 2 3; do
    refused "a file that kills libhdf5, $i" 1 "^posgrad: --data: '.*kills_hdf5_$i.h5'" \
        "$TRAIN" --task images --pe rope2d --data "$root/tests/faults/kills_hdf5_$i.h5" --out-dir new
done

"$POSGRAD" list tasks --json >tasks.json
for word in none optional required; do
    grep -q "\"data\": \"$word\"" tasks.json && ok "data: $word" || fail "data: $word" "no task has it"
done
good "describe says where data comes from" '^data     from a file \(--data\), or made by the task itself' \
    "$POSGRAD" describe images
for task in images probe2d; do
    example=$("$POSGRAD" describe "$task" | sed -n 's/^  train //p')
    # shellcheck disable=SC2086
    run "$TRAIN" $example --steps 2 --eval-batches 1 --quiet --out-dir example --overwrite
    [ "$status" -eq 0 ] && ok "example of $task" || fail "example of $task" "exit $status"
done
finish
