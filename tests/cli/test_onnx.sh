# Export of whole models to ONNX, as its user meets it. What the files compute is for
# tests/property/test_onnx.c.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

small_run learned learned
small_run none none
small_run random-positions+learned drawn

# said NAME WORDS COMMAND...: exit 0, nothing on stdout, and on stderr the one line with WORDS.
said() {
    local name=$1 words=$2
    shift 2
    run "$@"
    if [ "$status" -eq 0 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q -- "$words" err; then
        ok "$name"
    else
        fail "$name" "exit $status"
    fi
}

said "a table ends" '^posgrad: m.onnx: opset 17, any batch, rows of up to 8 tokens$' "$POSGRAD" export learned -o m.onnx
said "nothing ends" 'rows of any length$' "$POSGRAD" export none -o none.onnx
said "shorter rows" 'rows of up to 5 tokens$' "$POSGRAD" export learned -o short.onnx --length 5
said "longer rows" 'rows of any length$' "$POSGRAD" export none -o long.onnx --length 50
said "one token" 'rows of 1 token only$' "$POSGRAD" export learned -o one.onnx --length 1
said "positions are an input" 'positions, in order and below [0-9]*, are an input' "$POSGRAD" export drawn -o drawn.onnx
for word in tokens mask logits tok_emb.weight layers.0.attn.q.weight pe.learned.weight train_length; do
    grep -q -a "$word" m.onnx || fail "what is in the file" "no $word"
done
grep -q -a positions drawn.onnx || fail "what is in the file" "no positions"

run "$POSGRAD" export learned -o - --format onnx
if [ "$status" -eq 0 ] && cmp -s out m.onnx; then ok "the same on stdout, and every time"; else fail "on stdout" "exit $status"; fi
run "$POSGRAD" export learned/checkpoint.h5 -o n.onnx --what model
if [ "$status" -eq 0 ] && cmp -s n.onnx m.onnx; then ok "--what model is what it is"; else fail "--what model" "exit $status"; fi

refused "past the table" 1 'learned ends at 8 positions' "$POSGRAD" export learned -o x.onnx --length 9
refused "tables" 2 'format onnx holds a whole model' "$POSGRAD" export learned -o x.onnx --what tables
refused "one table" 2 'format onnx holds a whole model' "$POSGRAD" export learned -o x.onnx --table head.weight
refused "no average" 1 'has no moving average' "$POSGRAD" export learned -o x.onnx --what ema
refused "over what is there" 1 'm.onnx is there already.*--overwrite' "$POSGRAD" export learned -o m.onnx
refused "no such folder" 1 'nowhere/x.onnx' "$POSGRAD" export learned -o nowhere/x.onnx
refused "no run" 1 'm.onnx' "$POSGRAD" export m.onnx -o x.onnx
[ ! -e x.onnx ] && ok "a refusal leaves no file"

run "$POSGRAD" train --pe learned --task probe "${small[@]}" --ema 0.9 --out-dir average
said "the average" 'up to 8' "$POSGRAD" export average -o average.onnx --what ema
run "$POSGRAD" export average -o last.onnx
if [ "$status" -eq 0 ] && ! cmp -s last.onnx average.onnx; then ok "is another model"; else fail "the average" "is the last"; fi

# A full disk: the old file stays, and no part of a new one.
cp m.onnx before
status=0
(
    trap '' XFSZ
    ulimit -f 1
    exec "$POSGRAD" export learned -o m.onnx --overwrite
) >out 2>err || status=$?
if ! file_limits; then
    :
elif [ "$status" -eq 1 ] && grep -q 'cannot write' err && cmp -s m.onnx before && [ ! -e m.onnx.tmp ]; then
    ok "no room for the file"
else
    fail "no room for the file" "exit $status"
fi
run "$POSGRAD" export learned -o clipped.onnx --length 12 --extend clip
if [ "$status" -eq 0 ] && grep -q '12 tokens' err; then ok "past the training"; else fail "past the training" "exit $status"; fi
good "it is listed" '^onnx ' "$POSGRAD" list formats
finish
