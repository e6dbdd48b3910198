# posgrad describe, and what list encodings --json says of each: found out from models, so checked
# against models.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

names() { "$POSGRAD" list "$1" --json | sed -n 's/^    "name": "\(.*\)",$/\1/p'; }

for name in $(names encodings); do
    good "describe $name" "^$name: " "$POSGRAD" describe "$name"
    for words in '^family ' '^formula ' '^source ' '^for example$'; do
        grep -q "$words" out || fail "describe $name" "it does not say '$words'"
    done
done
for name in $(names tasks); do
    good "describe task $name" "^$name: " "$POSGRAD" describe "$name"
done
good "by an alias" '^rope: ' "$POSGRAD" describe roformer
good "an option with its choices and default" '^  layout .*pair\|half \(pair\)' "$POSGRAD" describe rope
good "shapes in letters" 'pe.deberta.weight \[2T, C\]  starts as N\(0, 0.02\)' "$POSGRAD" describe deberta
good "sides of a grid" 'bias2d.weight \[\(2Gh-1\)\(2Gw-1\), H\]' "$POSGRAD" describe bias2d
good "a kernel of three is no letter" 'pe.conv.weight \[3, C\]' "$POSGRAD" describe conv
good "layers have a letter" 'pe.floater.start \[3, L, C\]' "$POSGRAD" describe floater
good "a factor of one" 'pe.urpe.factor \[2T-1, H\]  starts as 1' "$POSGRAD" describe urpe
good "ways past the training length" '^  clip wrap interpolate hierarchical$' "$POSGRAD" describe learned
good "exports by axes" 'relative_bias \[head, offset\]' "$POSGRAD" describe t5
good "what a task scores" '^scored ' "$POSGRAD" describe probe2d
refused "describe nothing" 2 'name an encoding' "$POSGRAD" describe
refused "describe two" 2 "'t5'" "$POSGRAD" describe rope t5
refused "describe: nearest" 2 "did you mean 'rope'" "$POSGRAD" describe roep
refused "describe: unknown" 2 "'quux'" "$POSGRAD" describe quux

# Examples work as they are printed, but for their number of steps.
for name in rope rope2d learned2d t5 random-positions; do
    example=$("$POSGRAD" describe "$name" | sed -n 's/^  train //p')
    # shellcheck disable=SC2086
    run "$TRAIN" $example --steps 2 --eval-batches 1 --quiet --out-dir example --overwrite
    [ "$status" -eq 0 ] && ok "example of $name" || fail "example of $name" "exit $status"
done

run "$POSGRAD" list encodings --json
cp out encodings.json
for key in name family citation parameters shape start exports axes claims composes_with options; do
    grep -q "\"$key\":" encodings.json && ok "list has $key" || fail "list has $key" "it has not"
done

# partners NAME: what describe says it stacks with, a name a line.
partners() { "$POSGRAD" describe "$1" | sed -n '/^stacks with$/{n;p}' | tr -s ' ' '\n'; }
# stack A B yes|no: what describe says, and what train does.
stack() {
    local said=no done=no
    partners "$1" | grep -q -x "$2" && said=yes
    run "$TRAIN" --pe "$1+$2" --task probe2d --length 16 --layers 1 --heads 2 --dim 16 --ff-dim 8 --steps 1 \
        --batch-size 2 --eval-batches 1 --quiet --out-dir stacked --overwrite
    [ "$status" -eq 0 ] && done=yes
    if [ "$said $done" = "$3 $3" ]; then
        ok "$1+$2: $3"
    else
        fail "$1+$2" "describe says $said, train $done, and right is $3"
    fi
}
stack rope urpe yes
stack t5 urpe yes
stack learned rope yes
stack shaw rope yes
stack t5 bias2d yes
stack shaw deberta no
stack transformer-xl xlnet no
stack deberta deberta-emd no
stack rope rope2d no
stack complex shaw no
stack complex t5 no
stack none rope no
[ -z "$(partners none)" ] && ok "none stands alone" || fail "none stands alone" "$(partners none)"
finish
