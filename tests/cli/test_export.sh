# Export and inspect, from a run to files.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

small_run learned learned
small_run none none

good "inspect a folder" 'digest ok' "$POSGRAD" inspect learned
good "inspect a file" 'position_table .*\[8, 8\]  position, channel' "$POSGRAD" inspect learned/checkpoint.h5
good "inspect --json" '"digest": "ok"' "$POSGRAD" inspect learned --json
refused "inspect: nothing given" 2 'RUN is missing' "$POSGRAD" inspect
refused "inspect: not there" 1 'nowhere' "$POSGRAD" inspect nowhere
refused "inspect: no such format" 1 'config.json' "$POSGRAD" inspect learned/config.json

# A file's words are not the terminal's to obey.
data=$(printf 'data\033[2J.txt')
seq 1000 >"$data"
run "$TRAIN" --pe none --task text --arch decoder --data "$data" "${small[@]}" --out-dir escape
good "inspect: control characters of settings" 'data data\\x1b\[2J.txt' "$POSGRAD" inspect escape
if grep -q "$(printf '\033')" out; then fail "inspect" "an escape reached the terminal"; else ok "and none is shown raw"; fi
run "$POSGRAD" diff escape none
if grep -q 'x1b' out && ! grep -q "$(printf '\033')" out; then ok "nor by diff"; else fail "diff" "an escape reached the terminal"; fi

for format in csv h5 json npy npz safetensors; do
    run "$POSGRAD" export learned -o "table.$format"
    if [ "$status" -eq 0 ] && [ -s "table.$format" ] && [ ! -s out ] && [ ! -s err ]; then
        ok "export to $format"
    else
        fail "export to $format" "exit $status"
    fi
    run "$POSGRAD" export learned -o - --format "$format"
    if cmp -s out "table.$format"; then ok "the same on stdout"; else fail "$format on stdout" "differs"; fi
done
if [ "$(head -n 1 table.csv)" = "position,channel,value" ] && [ "$(wc -l <table.csv)" -eq 65 ]; then
    ok "csv has a header and a row an element"
else
    fail "csv" "$(head -n 2 table.csv)"
fi
# The header's extension is not its name.
run "$POSGRAD" export learned -o table.h
if [ "$status" -eq 0 ] && [ -s table.h ]; then ok "export to a header"; else fail "export to a header" "exit $status"; fi
run "$POSGRAD" export learned -o model.h --what model
# compiles NAME COMPILER FLAGS: two headers in one file, without a warning.
compiles() {
    local name=$1
    shift
    echo '#include "table.h"
#include "model.h"
float one(void);
float one(void) { return position_table[7][7] + layers_0_attn_q_weight[7][7]; }' >"use.$name"
    if ! command -v "$1" >/dev/null; then
        skip "headers in $name" "no $1"
    elif "$@" -Wall -Wextra -Wconversion -Wshadow -pedantic -Werror -c "use.$name" -o use.o 2>err; then
        ok "headers in $name"
    else
        fail "headers in $name" "$(head -n 3 err)"
    fi
}
compiles c "${CC:-cc}" -std=c11
compiles cc "${CXX:-c++}"
good "inspect an export" 'position_table .*\[8, 8\]  position, channel' "$POSGRAD" inspect table.h5
run "$POSGRAD" export table.h5 -o again.csv
if cmp -s again.csv table.csv; then ok "an export of an export"; else fail "an export of an export" "$(head -n 1 err)"; fi
refused "an export is no checkpoint" 1 'is no posgrad checkpoint' "$POSGRAD" eval table.h5
# Number by number: what awk reads of the CSV is what stands in the header.
awk -F, 'NR > 1 && NF == 3 && $1 == int((NR - 2) / 8) && $2 == (NR - 2) % 8 { print $3 + 0 }' table.csv >by_csv
awk '/^static/ { on = 1 } on { gsub(/^static.*=|[{};]/, " "); gsub(/f/, ""); gsub(/,/, "\n"); print }' table.h |
    awk 'NF && !/^#|\/\*|\*\// && $1 + 0 == $1 { for (i = 1; i <= NF; i++) print $i + 0 }' >by_header
if [ "$(wc -l <by_csv)" -eq 64 ] && cmp -s by_csv by_header; then
    ok "awk reads the same from csv and header"
else
    fail "awk reads the same from csv and header" "$(wc -l <by_csv) and $(wc -l <by_header) numbers"
fi
good "json has the encoding" '"encoding":"learned"' cat table.json
run "$POSGRAD" export learned -o model.npz --what model
if [ "$status" -eq 0 ] && grep -q -a 'layers.0.attn.q.weight.npy' model.npz; then
    ok "the whole model to npz"
else
    fail "the whole model to npz" "exit $status"
fi
run "$POSGRAD" export learned -o one.npy --what model --table head.weight
if [ "$status" -eq 0 ] && [ -s one.npy ]; then ok "one parameter"; else fail "one parameter" "exit $status"; fi
cp table.npy before
run "$POSGRAD" export learned --output=table.out --format=npy
if cmp -s table.out before; then ok "--format wins over the name"; else fail "--format" "$status"; fi

refused "over what is there" 1 'table.npy is there already.*--overwrite' "$POSGRAD" export learned -o table.npy
run "$POSGRAD" export learned -o table.npy --overwrite
if [ "$status" -eq 0 ] && cmp -s table.npy before; then ok "--overwrite"; else fail "--overwrite" "exit $status"; fi

# Tables of rows of another length.
small_run rope rope
good "--length: a row a token" '^15,1,' "$POSGRAD" export rope -o - --format csv --table rotation_sine --length 16
refused "--length past a table" 1 'learned ends at 8 positions, and length 9 was asked for.*--extend' \
    "$POSGRAD" export learned -o far.npy --length 9
good "--extend" '^8,0,' "$POSGRAD" export learned -o - --format csv --length 9 --extend clip
"$POSGRAD" export learned -o - --format csv --length 9 --extend clip |
    awk -F, '$1 >= 7 { v[$1 "," $2] = $3 } END { for (c = 0; c < 8; c++) if (v["7," c] != v["8," c] || v["7," c] == "") exit 1 }' &&
    ok "clipped, the last row is there twice"
run "$POSGRAD" export learned -o same.npy --length 8
if [ "$status" -eq 0 ] && cmp -s same.npy table.npy; then ok "at the training's length all is the same"; else fail "--length 8" "exit $status"; fi
good "the length is in the file" '"length":16,"reach":"extrapolated"' "$POSGRAD" export rope -o - --format json --length 16
# What a task reads may have moved.
seq 1000 >words.txt
run "$TRAIN" --pe alibi --task text --arch decoder --data words.txt "${small[@]}" --out-dir text
mv words.txt moved.txt
good "without --length no data is read" '^1,7,' "$POSGRAD" export text -o - --format csv --table relative_bias
refused "--length reads it" 1 'words.txt' "$POSGRAD" export text -o x.npz --length 16
good "--data" '^1,15,' "$POSGRAD" export text -o - --format csv --table relative_bias --length 16 --data moved.txt
refused "--data without --length" 2 'give --length' "$POSGRAD" export text -o x.npz --data moved.txt
refused "--extend without --length" 2 'give --length' "$POSGRAD" export learned -o x.npy --extend clip
refused "--extend of no way" 2 "did you mean 'clip'" "$POSGRAD" export learned -o x.npy --length 9 --extend clap
refused "--extend without a meaning" 1 'no meaning for rope' "$POSGRAD" export rope -o x.npz --length 9 --extend wrap
refused "--length of parameters" 2 'same at every length' "$POSGRAD" export learned -o x.npz --what model --length 9
refused "--length 0" 2 'length' "$POSGRAD" export learned -o x.npz --length 0
refused "--length of a file without a model" 1 'no posgrad checkpoint' "$POSGRAD" export table.h5 -o x.npz --length 8
refused "--length: no such table" 1 'there are: rotation_angles' "$POSGRAD" export rope -o x.npy --length 9 --table nothing
refused "none has no tables at a length" 1 'has no tables' "$POSGRAD" export none -o x.npy --length 9

refused "none has no tables" 1 'has no tables' "$POSGRAD" export none -o none.npy
refused "no RUN" 2 'RUN is missing' "$POSGRAD" export -o x.npy
refused "no output" 2 '-o FILE is missing' "$POSGRAD" export learned
refused "stdout without a format" 2 '--format' "$POSGRAD" export learned -o -
refused "unknown extension" 2 'x.nyp.*\.npy' "$POSGRAD" export learned -o x.nyp
refused "unknown format" 2 "did you mean 'npz'" "$POSGRAD" export learned -o x.npz --format nzp
refused "unknown table" 1 'there are: position_table' "$POSGRAD" export learned -o x.npy --table nothing
refused "several arrays in npy" 1 'choose by --table' "$POSGRAD" export learned -o x.npy --what model
refused "unknown --what" 2 "'all' is none of" "$POSGRAD" export learned -o x.npy --what all
refused "two RUNs" 2 'one RUN too many' "$POSGRAD" export learned none -o x.npy
refused "missing run" 1 'nowhere' "$POSGRAD" export nowhere -o x.npy
refused "missing folder of the output" 1 'nowhere/x.npy' "$POSGRAD" export learned -o nowhere/x.npy
mkdir folder.npy
refused "output is a folder" 1 'folder.npy' "$POSGRAD" export learned -o folder.npy
[ ! -e x.npy ] && [ ! -e x.npy.tmp ] && [ ! -e folder.npy.tmp ] && ok "a refusal leaves no file"

run "$POSGRAD" trace learned -o trace.h5
good "inspect a trace" 'logits' "$POSGRAD" inspect trace.h5
refused "a trace has no tables" 1 'is a trace' "$POSGRAD" export trace.h5 -o x.npy
run "$POSGRAD" trace learned -o double.h5 --precision=double
good "a trace in double" 'float64|double' "$POSGRAD" inspect double.h5

head -c 700 learned/checkpoint.h5 >short.h5
refused "inspect: truncated" 1 'short.h5.*truncated' "$POSGRAD" inspect short.h5
refused "export: truncated" 1 'short.h5.*truncated' "$POSGRAD" export short.h5 -o x.npy
cp learned/checkpoint.h5 flipped.h5
printf '\377' | dd of=flipped.h5 bs=1 seek=2000 conv=notrunc 2>/dev/null
cmp -s flipped.h5 learned/checkpoint.h5 && printf '\000' | dd of=flipped.h5 bs=1 seek=2000 conv=notrunc 2>/dev/null
refused "inspect: damaged" 1 'flipped.h5.*damaged' "$POSGRAD" inspect flipped.h5
: >empty.h5
refused "inspect: empty" 1 'empty' "$POSGRAD" inspect empty.h5
# What must not be replaced.
cp learned/checkpoint.h5 copy.h5
refused "export over the checkpoint" 1 'another name' \
    "$POSGRAD" export learned -o learned/checkpoint.h5 --format npy
refused "export over its config" 1 'another name' "$POSGRAD" export learned -o learned/config.json
refused "export over its source" 1 'another name' "$POSGRAD" export copy.h5 -o ./copy.h5 --format npy
refused "trace over the checkpoint" 1 'another name' "$POSGRAD" trace learned -o learned/checkpoint.h5
refused "trace over its source" 1 'another name' "$POSGRAD" trace copy.h5 -o copy.h5
if cmp -s copy.h5 learned/checkpoint.h5 && [ -s learned/config.json ]; then
    ok "the run is untouched"
else
    fail "the run is untouched" "it is not"
fi
mkfifo pipe
timeout 20 cat pipe >through.csv &
run timeout 20 "$POSGRAD" export learned -o pipe --format csv
[ -p pipe ] && wait $!
if [ "$status" -eq 0 ] && cmp -s through.csv table.csv && [ -p pipe ]; then
    ok "into a pipe, which stays"
else
    fail "into a pipe" "exit $status, $(ls -l pipe)"
fi
echo old >linked.csv
ln -s linked.csv link.csv
refused "over what a link leads to" 1 "is there already" "$POSGRAD" export learned -o link.csv
[ "$(cat linked.csv)" = old ] && ok "which stays"
run "$POSGRAD" export learned -o link.csv --overwrite
if [ -L link.csv ] && cmp -s linked.csv table.csv; then ok "through a link, which stays"; else fail "through a link" "$(ls -l link.csv)"; fi
if [ -c /dev/full ]; then
    ln -s /dev/full full.csv # so that a mistake here replaces the link, not the device
    refused "into a full device" 1 'full.csv: No space' "$POSGRAD" export learned -o full.csv
    for format in h5 header json npy npz safetensors; do
        refused "$format into a full device" 1 'full.csv: No space' \
            "$POSGRAD" export learned -o full.csv --format "$format"
    done
fi
refused "into a folder" 1 'is a folder' "$POSGRAD" export learned -o learned --format csv
refused "into a name that ends in a slash" 1 'folder' "$POSGRAD" export learned -o new/ --format csv

# A folder.
run "$POSGRAD" export learned -o points --format projector
if [ "$status" -eq 0 ] && [ ! -s err ] && [ "$(wc -l <points/tensors.tsv)" -eq 8 ] &&
    [ "$(wc -l <points/metadata.tsv)" -eq 8 ] && [ "$(head -n 1 points/tensors.tsv | wc -w)" -eq 8 ] &&
    grep -q 'tensor_name: "position_table"' points/projector_config.pbtxt; then
    ok "a folder for the projector"
else
    fail "a folder for the projector" "exit $status, $(ls points)"
fi
refused "over it" 1 'points is there already.*--overwrite' "$POSGRAD" export learned -o points --format projector
run "$POSGRAD" export learned -o points --format projector --overwrite
if [ "$status" -eq 0 ] && [ ! -e points.tmp ]; then ok "over it, with --overwrite"; else fail "over it" "exit $status"; fi
refused "over a run" 1 'no export has made' "$POSGRAD" export learned -o learned --format projector --overwrite
refused "a folder to stdout" 2 'stdout' "$POSGRAD" export learned -o - --format projector
refused "one axis" 1 'no rows' "$POSGRAD" export learned -o other --format projector --what model --table ln_f.bias
[ ! -e other ] && ok "which leaves none"
finish
