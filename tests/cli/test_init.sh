# train --init-from and --freeze, and what posgrad inspect says of files of arrays: a table goes out
# of one run into another, and out again, byte for byte.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

fixtures=$root/tests/golden
same() { if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "$2 and $3 differ"; fi; }
says() { if grep -q -E -- "$2" out; then ok "$1"; else fail "$1" "there is no '$2'"; fi; }
# works NAME COMMAND...: exit 0.
works() {
    local name=$1
    shift
    run "$@"
    if [ "$status" -eq 0 ]; then ok "$name"; else fail "$name" "exit $status"; fi
}
# start NAME FILE OPTION...: a small run in NAME that starts from FILE.
start() {
    local name=$1 file=$2
    shift 2
    works "a run, $name" "$POSGRAD" train --pe learned --task probe "${small[@]}" --overwrite --out-dir "$name" \
        --init-from "$file" "$@"
}
# wrong NAME STATUS WORDS FILE OPTION...: such a run is refused, and leaves no folder.
wrong() {
    local name=$1 status=$2 words=$3 file=$4
    shift 4
    refused "$name" "$status" "$words" "$POSGRAD" train --pe learned --task probe "${small[@]}" --out-dir wrong \
        --init-from "$file" "$@"
    [ ! -e wrong ] || fail "$name" "it left a folder"
}

# --- out of one run, into another, frozen, and out again
small_run learned first
for format in npy npz safetensors h5; do
    works "a table as $format" "$POSGRAD" export first -o "table.$format"
    start "from-$format" "table.$format" --seed 7 --freeze 'pe.*'
    works "exported again as $format" "$POSGRAD" export "from-$format" -o "again.$format"
done
same "npy is the same" table.npy again.npy
for format in npz safetensors h5; do # these name the run that they are of, too
    run "$POSGRAD" export "from-$format" -o "by-$format.npy"
    same "what went by $format is the same" table.npy "by-$format.npy"
done
run "$POSGRAD" export from-npy -o all.npz --what model
run "$POSGRAD" export first -o first.npz --what model
if cmp -s all.npz first.npz; then fail "the rest was trained" "nothing differs"; else ok "the rest was trained"; fi

# --- a whole model: of a run, of its checkpoint, of an export
start plain first --steps 1 --lr 0 --seed 9
run "$POSGRAD" export plain -o plain.npz --what model
same "nothing is trained at rate 0" first.npz plain.npz
for format in npz safetensors h5; do
    run "$POSGRAD" export first -o "model.$format" --what model --overwrite
    start whole "model.$format" --steps 1 --lr 0 --seed 9
    run "$POSGRAD" export whole -o whole.npz --what model --overwrite
    same "a model from $format" first.npz whole.npz
done
start part 'first:pe.*' --seed 7 --freeze 'pe.*'
run "$POSGRAD" export part -o part.npy
same "the encoding of a run" table.npy part.npy

# --- what is said at the start, and kept
start said table.npy --freeze 'pe.*'
works "the settings again" "$POSGRAD" train --config said/config.json --overwrite --quiet --out-dir again
same "--config repeats the run" said/checkpoint.h5 again/checkpoint.h5
good "inspect shows where a run began" 'init_from \["table.npy"\]' "$POSGRAD" inspect said
says "and what was frozen" 'freeze \["pe\.\*"\]'
run "$POSGRAD" train --pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 8 --length 8 --batch-size 2 --steps 1 \
    --eval-batches 1 --threads 1 --out-dir loud --init-from table.npy --freeze 'pe.*,ln_f.bias'
says "the start is said" "^starts pe.learned.weight as 'table' \[8, 8\]$"
says "what is frozen is counted" 'parameters, 72 of them frozen, steps 1 to 1'
run "$POSGRAD" diff first said
says "diff shows the start" 'init_from'
says "and the digest" 'init_sha256'

# --- going on needs no file, and takes no other
mv table.npy gone.npy
works "a resumed run needs no file" "$POSGRAD" train --resume said --steps 6 --quiet
works "nor where it is named again" "$POSGRAD" train --resume said --steps 7 --quiet --init-from table.npy
refused "another file" 1 "not what the run was started with" "$POSGRAD" train --resume said --steps 8 --init-from gone.npy
refused "another pattern" 1 "not what the run was started with" "$POSGRAD" train --resume said --steps 8 --freeze 'ln*'
refused "another way" 1 "init-resize is none in the run" "$POSGRAD" train --resume said --init-resize truncate
good "it is scored without the file" 'learned' "$POSGRAD" eval said
refused "a file that is gone" 1 "there is no file table.npy" "$POSGRAD" train --config said/config.json --overwrite
cp again.npz table.npy
refused "a file with other bytes" 1 "is not the file that is wanted: its SHA-256 is [0-9a-f]{64}" \
    "$POSGRAD" train --config said/config.json --overwrite
mv gone.npy table.npy

# --- several seeds, and a trace
good "seeds" '95 % interval' "$POSGRAD" train --pe learned --task probe "${small[@]}" --out-dir many --seeds 0,1 \
    --init-from table.npy --freeze 'pe.*'
run "$POSGRAD" train --pe learned --task probe "${small[@]}" --out-dir many --seeds 0,1 --init-from table.npy --freeze 'pe.*'
grep -q 'seed 1 is finished already' err && ok "seeds that are finished" || fail "seeds that are finished" "$(cat err)"
run "$POSGRAD" train --pe learned --task probe "${small[@]}" --out-dir many --seeds 0,1 --init-from table.npy
[ "$status" -eq 2 ] && grep -q -- 'another number of --freeze' err && ok "seeds that are of another start" ||
    fail "seeds that are of another start" "exit $status"
works "a trace" "$POSGRAD" trace --pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 8 --length 8 \
    --batch-size 2 --threads 1 --init-from table.npy -o trace.h5
start traced trace.h5:pe.learned.weight --steps 1 --lr 0
run "$POSGRAD" export traced -o traced.npy
same "what a trace began with" table.npy traced.npy

# --- lengths
start decomposed table.npy --length 16 --init-resize hierarchical
start interpolated table.npy --length 16 --init-resize interpolate
start cut "$fixtures/tables_gpt2.safetensors:wpe.weight" --init-resize truncate
start skipped "$fixtures/tables_bert.safetensors:roberta.embeddings.position_embeddings.weight" --init-skip 2 --length 12

# --- what is refused
wrong "no such file" 1 "there is no file nothing.npy" nothing.npy:a=b
wrong "a device" 1 "not a regular file" /dev/null
: >empty.npy
wrong "a file of no bytes" 1 "none of the formats that are read: hdf5, npy" empty.npy
wrong "a length" 2 "\[16, 8\], and pe.learned.weight of this model has \[8, 8\]; --init-resize truncate" \
    "$fixtures/tables_gpt2.safetensors:wpe.weight"
wrong "a width" 2 "has \[8, 16\]; only the number of rows" "$fixtures/tables_keras.h5" --dim 16
wrong "a part of a name" 2 "did you mean 'bert.embeddings.position_embeddings.weight'" \
    "$fixtures/tables_bert.safetensors:position_embeddings.weight"
wrong "integers" 1 "of type I64" "$fixtures/tables_bert.safetensors:bert.embeddings.position_ids"
wrong "a parameter" 2 "did you mean 'pe.learned.weight'" table.npy=pe.lerned.weight
wrong "a model" 2 "It lacks 21 of its parameters: tok_emb.weight, .* 3 arrays beside them: bert" \
    "$fixtures/tables_bert.safetensors"
wrong "a text" 1 "none of the formats" "$fixtures/make_golden_tables.py"
wrong "no name" 2 "is not FILE" table.npy:
wrong "twice" 2 "starts pe.learned.weight twice" table.npy --init-from table.npy
wrong "a digest" 1 "is not the file that is wanted" table.npy --init-sha256 "$(printf '%064d' 0)"
wrong "no digest" 2 "no SHA-256" table.npy --init-sha256 12
refused "a way without a file" 2 "and there is none" "$POSGRAD" train --pe learned --task probe --init-resize truncate
wrong "a way for what is no table of positions" 2 "and no --init-from starts one" 'first:ln_f.*' --init-resize truncate
refused "nothing left to train" 2 "leaves no parameter" "$POSGRAD" train --pe learned --task probe --freeze '*'
refused "a pattern of nothing" 2 "did you mean 'head.weight'" "$POSGRAD" train --pe learned --task probe --freeze head.wieght
printf '\223NUMPY\1\0\66\0%-53s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ()}" >nan.npy
printf '\0\0\300\177' >>nan.npy
wrong "not a number, of another shape" 2 "\[\], and pe.learned.weight" nan.npy

# --- inspect
good "inspect of safetensors" '^  wpe.weight +128  F32 +\[16, 8\]  min 0, max 15.438, mean 7.7188, std 4.612$' \
    "$POSGRAD" inspect "$fixtures/tables_gpt2.safetensors"
says "its format" '^format   safetensors$'
says "its digest" "^sha256   $(sha256sum "$fixtures/tables_gpt2.safetensors" | cut -d ' ' -f 1)\$"
good "of npz" '^  half +96  <f2 +\[12, 8\]' "$POSGRAD" inspect "$fixtures/tables_numpy.npz"
good "of HDF5" '^  transformer/wpe/embeddings:0 +96  float32 +\[12, 8\]' "$POSGRAD" inspect "$fixtures/tables_keras.h5"
good "of npy" '^  table +64  <f4 +\[8, 8\]' "$POSGRAD" inspect table.npy
good "NaN is counted" '1 not finite$' "$POSGRAD" inspect nan.npy
good "as JSON" '"not_finite": 1' "$POSGRAD" inspect nan.npy --json
good "of our own HDF5" 'position_table' "$POSGRAD" inspect table.h5
refused "of something else" 1 "none of the formats" "$POSGRAD" inspect "$fixtures/make_golden_tables.py"
mkfifo pipe
refused "of a pipe, which nobody writes" 1 "not a regular file" timeout 60 "$POSGRAD" inspect pipe
wrong "a pipe" 1 "not a regular file" pipe
# A name that would drive the terminal.
printf '\111\0\0\0\0\0\0\0{"a\\u001b[31m\\u0007":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}   ' >escape.safetensors
good "control characters are shown" '^  a\\x1b\[31m\\x07 ' "$POSGRAD" inspect escape.safetensors
if grep -q "$(printf '\033')" out; then fail "and not obeyed" "an escape"; else ok "and not obeyed"; fi
wrong "nor in a line" 2 "\[0\], and pe.learned.weight" escape.safetensors
if grep -q "$(printf '\033')" err; then fail "no escape in a line" "an escape"; else ok "no escape in a line"; fi
finish
