# A whole model for Hugging Face transformers, from a run to a folder.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

small_run learned learned
small_run t5 t5
run "$TRAIN" --pe rope --task copy --arch decoder --ema 0.9 "${small[@]}" --out-dir averaged

# said NAME WORDS COMMAND...: exit 0, nothing on stdout, one line with WORDS on stderr.
said() {
    local name=$1 words=$2
    shift 2
    run "$@"
    if [ "$status" -ne 0 ] || [ -s out ] || [ "$(wc -l <err)" -ne 1 ] || ! grep -q -E -- "$words" err; then
        fail "$name" "exit $status"
    else
        ok "$name"
    fi
}

said "a folder" '^posgrad: model: exact up to length 8, as MegatronBertForTokenClassification of transformers' \
    "$POSGRAD" export learned --what model --format hf -o model
if [ "$(ls model | tr '\n' ' ')" = "config.json model.safetensors posgrad_reference.json tokenizer.json tokenizer_config.json " ]; then
    ok "its files"
else
    fail "its files" "$(ls model)"
fi
said "shorter rows" 'exact up to length 5' "$POSGRAD" export learned --format hf -o short --length 5
good "have a shorter table" '"max_position_embeddings": 5' cat short/config.json
refused "longer ones" 1 'learned ends at 8' "$POSGRAD" export learned --format hf -o long --length 9
refused "an encoding that no architecture has" 1 't5 adds a bias.*--format onnx' \
    "$POSGRAD" export t5 --format hf -o t5-model
[ ! -e long ] && [ ! -e t5-model ] && [ ! -e t5-model.tmp ] && ok "a refusal leaves no folder"

refused "over what is there" 1 'model is there already.*--overwrite' "$POSGRAD" export learned --format hf -o model
cp -r model before
said "--overwrite" 'exact' "$POSGRAD" export learned --format hf -o model/ --overwrite
if diff -r model before && [ ! -e model.tmp ]; then ok "gives the same bytes"; else fail "the same bytes" "no"; fi
echo mine >model/notes.txt
refused "a folder with something else" 1 'model holds notes.txt' "$POSGRAD" export learned --format hf -o model --overwrite
rm model/notes.txt
refused "the run itself" 1 'learned is a folder that no export has made' \
    "$POSGRAD" export learned --format hf -o learned --overwrite
[ -s learned/checkpoint.h5 ] && ok "which stays"
echo file >file
refused "over a file" 1 'file is there already' "$POSGRAD" export learned --format hf -o file
refused "over a file, even so" 1 'is no folder' "$POSGRAD" export learned --format hf -o file --overwrite
[ "$(cat file)" = file ] && ok "which stays, too"
refused "no such folder above" 1 'nowhere/x.tmp' "$POSGRAD" export learned --format hf -o nowhere/x
refused "on stdout" 2 'a folder, which stdout is not' "$POSGRAD" export learned --format hf -o -
refused "tables alone" 2 'whole model' "$POSGRAD" export learned --format hf -o x --what tables
refused "one parameter" 2 'whole model' "$POSGRAD" export learned --format hf -o x --table head.weight

said "a decoder" 'GPTNeoXForCausalLM' "$POSGRAD" export averaged --format hf -o last
said "its average" 'GPTNeoXForCausalLM' "$POSGRAD" export averaged --format hf -o average --what ema
if cmp -s last/model.safetensors average/model.safetensors; then
    fail "the average is another model" "it is not"
else
    ok "the average is another model"
fi
said "past the training" 'exact at length 20, as GPTNeoXForCausalLM of transformers >=4.45' \
    "$POSGRAD" export averaged --format hf -o far --length 20 --extend interpolate
good "by frequencies of its own" longrope cat far/config.json
said "by another base" 'exact at length 20, as GPTNeoX.*>=4.40' \
    "$POSGRAD" export averaged --format hf -o wide --length 20 --extend ntk
said "a table that is clipped" 'exact up to length 12' \
    "$POSGRAD" export learned --format hf -o clipped --length 12 --extend clip
refused "a way that it has not" 1 'no meaning for rope' \
    "$POSGRAD" export averaged --format hf -o x --length 20 --extend wrap
refused "a way without --length" 2 'give --length' "$POSGRAD" export averaged --format hf -o x --extend ntk
good "the list has it" '^hf .*transformers' "$POSGRAD" list formats
good "and the help" 'hf .*transformers' "$POSGRAD" export --help
finish
