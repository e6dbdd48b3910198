# Bad input to train: one line that says what is wrong, and no run folder left behind.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

start() { refused "$1" "$2" "$3" "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir new "${@:4}"; }

refused "no --pe" 2 '--pe' "$TRAIN" --task probe
refused "no --task" 2 '--task' "$TRAIN" --pe learned
refused "misspelt encoding" 2 "did you mean 'learned'" "$TRAIN" --pe lerned --task probe
refused "unknown encoding" 2 "'quux'" "$TRAIN" --pe quux --task probe
refused "half a stack" 2 "'learned\+'|''" "$TRAIN" --pe learned+ --task probe
refused "an encoding twice" 2 'twice' "$TRAIN" --pe learned+learned --task probe
for case in \
    "rope --dim 36 --heads 4|odd number" \
    "rope2d --length 35|not a square" \
    "learned2d --length 35|not a square" \
    "t5 --pe-opt bucket=3|did you mean 'buckets'" \
    "learned --pe-opt max_length=5|max_length 5 is shorter" \
    "t5 --attention linear|linear attention has none" \
    "urpe --attention linear|linear attention has none" \
    "none --attention sofmax|did you mean 'softmax'" \
    "rope --pe-opt fraction=0.01|fraction 0.01" \
    "rope --pe-opt fraction=1.5|fraction 1.5 is out of range" \
    "rope --pe-opt layout=halves|pair.half" \
    "rope2d --dim 24 --heads 4 --length 36|divisible by 4" \
    "rope2d --length 36 --pe-opt grid_height=5|grid_height" \
    "rope+rope2d --length 36|cannot stack" \
    "shaw+deberta|cannot stack" \
    "random-positions|nothing after it reads any" \
    "rope+random-positions|put it first, as random-positions.rope" \
    "shift-positions+rope|reads more than their distances" \
    "random-positions+rope --pe-opt max_length=5|cannot be drawn from max_length 5" \
    "logn+rope --pe-opt logn.base=1|base 1 has no logarithm" \
    "alibi --attention linear|linear attention has none" \
    "deberta-emd --pe-opt max_length=2|max_length 2 is shorter"; do
    # shellcheck disable=SC2086
    refused "--pe ${case%|*}" 2 "${case#*|}" "$TRAIN" --task probe --out-dir new --pe ${case%|*}
done
for case in "--length 12 --task-opt height=5|length 12" "--length 12|length 12 is not a square" "--length 16 --task-opt answer=rows|'row'"; do
    # shellcheck disable=SC2086
    refused "probe2d ${case%|*}" 2 "${case#*|}" "$TRAIN" --pe learned --task probe2d --out-dir new ${case%|*}
done
refused "a decoder that cannot see the answers" 2 'even-tokens .* decoder cannot see' "$TRAIN" --pe none --task even-tokens --arch decoder --out-dir new
refused "misspelt task" 2 "did you mean 'probe'" "$TRAIN" --pe learned --task prob
start "misspelt optimizer" 2 "did you mean 'adamw'" --optimizer adamww
start "misspelt schedule" 2 "did you mean 'cosine'" --schedule cosin
start "unknown option of an encoding" 2 "pe-opt" --pe-opt nothing=1
start "an option without a value" 2 "KEY=VALUE" --pe-opt nothing
start "a word too many" 2 "'probe'" probe

start "dim not divisible by heads" '2' 'dim.*heads|heads.*dim' --dim 7
# Shapes that no machine holds: an error, and no process that the kernel has to kill.
for shape in "--dim 1048576 --length 1048576" "--length 1048576" "--dim 1048576" "--layers 1024 --dim 65536" \
    "--batch-size 1048576 --length 1048576" "--ff-dim 4194304 --dim 1048576 --layers 1024 --batch-size 1048576"; do
    # shellcheck disable=SC2086
    start "$shape" 1 'does not fit: make --batch-size' $shape
done
start "negative" 2 "^posgrad: --layers '?-1" --layers -1
start "zero" 2 "^posgrad: --heads '?0" --heads 0
start "too large for any integer" 2 "^posgrad: --steps 9+ is out of range" --steps 99999999999999999999
start "trailing letters" 2 "^posgrad: --steps '?12abc" --steps 12abc
start "empty number" 2 "^posgrad: --steps ''" --steps=
start "not a number" 2 "^posgrad: --lr '?nan" --lr nan
start "infinite" 2 "^posgrad: --lr 'inf'" --lr inf
start "too large for a real" 2 "^posgrad: --lr '1e999'" --lr 1e999
start "a real for an integer" 2 "^posgrad: --steps '?1.5" --steps 1.5
start "probability out of range" 2 "^posgrad: --dropout 1.5" --dropout 1.5
start "neither architecture" 2 "^posgrad: --arch 'sideways'" --arch sideways
refused "a folder's name that JSON cannot hold" 2 'out-dir.*UTF-8' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir $'new/\xff'
[ ! -e new ] && ok "no folder is left" || fail "no folder is left" "there is one"

refused "text without --data" 2 '--data' "$TRAIN" --pe learned --task text "${small[@]}" --out-dir new
refused "missing data" 1 'nowhere.txt' \
    "$TRAIN" --pe learned --task text --data nowhere.txt "${small[@]}" --out-dir new
: >empty.txt
refused "empty data" 1 'empty.txt' \
    "$TRAIN" --pe learned --task text --data empty.txt "${small[@]}" --out-dir new
mkdir hollow
refused "data is an empty folder" 1 "the folder 'hollow' has no file" \
    "$TRAIN" --pe learned --task text --data hollow "${small[@]}" --out-dir new

small_run learned run
refused "the folder is taken" 1 'run.*--overwrite|--overwrite.*run' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir run
cp run/checkpoint.h5 before.h5
refused "shortened, with = and with _ for -" 2 '^posgrad: --dim 9 is not divisible by --heads 2' \
    "$TRAIN" --pe learned --task=probe "${small[@]}" --batch_s=3 --out_dir=new --di=9
run "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir run --overwrite
if [ "$status" -eq 0 ] && cmp -s run/checkpoint.h5 before.h5; then
    ok "--overwrite, and the same bytes again"
else
    fail "--overwrite" "exit $status"
fi
mkdir mine && : >mine/thesis.tex
refused "a folder of something else" 1 'mine' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir mine
refused "a file in the place of the folder" 1 'before.h5' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir before.h5
if [ "$(id -u)" -ne 0 ]; then
    mkdir readonly && chmod a-w readonly
    refused "a folder that may not be written" 1 'readonly' \
        "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir readonly/run
else
    refused "a place that may not be written" 1 '/proc/run' \
        "$TRAIN" --pe learned --task probe "${small[@]}" --out-dir /proc/run
fi
if command -v flock >/dev/null; then
    lock=$(find run -name '*lock*' | head -n 1)
    exec 9<"${lock:-run}"
    if flock -n 9; then
        refused "a run that is in use" 1 'in use|another|lock' "$TRAIN" --resume run --steps 8 --quiet
    fi
    exec 9<&-
fi

refused "resume: not there" 1 'nowhere' "$TRAIN" --resume nowhere
refused "resume: another encoding" 1 'pe' "$TRAIN" --resume run --pe none
refused "resume: another attention" 1 'attention is softmax in the run' \
    "$TRAIN" --resume run --attention linear
refused "resume: another width" 1 'dim' "$TRAIN" --resume run --dim 16
refused "resume: data where there was none" 1 'task probe makes its own data' \
    "$TRAIN" --resume run --data x
# The text may be elsewhere, but must be the same one.
seq 3000 >text.txt
text=(--pe none --task text --arch decoder --data text.txt "${small[@]}")
good "a run over a text" accuracy "$TRAIN" "${text[@]}" --out-dir over
mv text.txt moved.txt
refused "resume: the text is gone" 1 "cannot open 'text.txt'" "$TRAIN" --resume over --steps 6
run "$TRAIN" --resume over --steps 6 --data moved.txt --quiet
if [ "$status" -eq 0 ] && grep -q -e '--data was text.txt and is now moved.txt' err; then
    ok "resume: the text was moved"
else
    fail "resume: the text was moved" "exit $status"
fi
sed 's/^7$/8/' moved.txt >moved.new && mv moved.new moved.txt
refused "resume: one letter is another" 1 '--data moved.txt is not the data' "$TRAIN" --resume over --steps 8
if [ "$("$POSGRAD" system | sed -n 's/^kernels *//p')" != Haswell ] && grep -q -w avx2 /proc/cpuinfo; then
    run env OPENBLAS_CORETYPE=Haswell "$TRAIN" --resume run --steps 5 --quiet
    if grep -q 'kernels (.*) other than these (blas_kernel Haswell.*), which round differently' err; then ok "resume: other kernels"; else fail "resume: other kernels" "$status"; fi
    rm -r run && small_run learned run
fi
refused "resume: another yes" 1 '--tie is no in the run and was given as yes' "$TRAIN" --resume run --tie
good "resume: the same name in capitals" 'accuracy' "$TRAIN" --resume run --pe Learned --quiet
# Nothing is said of the changes that are allowed before all of them are known to be.
refused "resume: fewer steps" 1 'step 4 already' "$TRAIN" --resume run --steps 2
refused "resume: a change allowed, then one refused" 1 'dim' "$TRAIN" --resume run --log-every 3 --dim 16
run "$TRAIN" --resume run --steps 6 --quiet
if [ "$status" -eq 0 ] && "$POSGRAD" inspect run | grep -q '^step     6,'; then
    ok "resume"
else
    fail "resume" "exit $status"
fi
cp -r run cut && head -c 600 run/checkpoint.h5 >cut/checkpoint.h5
refused "resume: truncated" 1 'truncated' "$TRAIN" --resume cut --steps 8
# HDF5 without our seal, and a trace in the place of a checkpoint.
tail -c +513 run/checkpoint.h5 >cut/checkpoint.h5
refused "resume: HDF5 of another kind" 1 'cut/checkpoint.h5 is an HDF5 file, but not one that posgrad wrote' "$TRAIN" --resume cut --steps 8
run "$POSGRAD" trace run -o trace.h5 && cp trace.h5 cut/checkpoint.h5
refused "resume: a trace" 1 'no posgrad checkpoint' "$TRAIN" --resume cut --steps 8
cp -r run gone && rm gone/checkpoint.h5
refused "resume: no checkpoint" 1 'checkpoint' "$TRAIN" --resume gone --steps 8

echo '{"layerz": 2}' >typo.json
refused "config: unknown key" 1 "did you mean 'layers'" "$TRAIN" --config typo.json
echo '{' >broken.json
refused "config: not JSON" 1 'broken.json' "$TRAIN" --config broken.json
refused "config: not there" 1 'nowhere.json' "$TRAIN" --config nowhere.json

refused "trace: no output" 2 '-o' "$POSGRAD" trace run
refused "trace: neither precision" 2 'half' "$POSGRAD" trace run -o x.h5 --precision half
refused "trace: settings beside a run" 2 'leave it out' "$POSGRAD" trace run -o x.h5 --dim 16
finish
