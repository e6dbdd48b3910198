# train --tensorboard: which event files there are after what. (What is in them is read by
# tests/property/test_tensorboard.c.)
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

args=(--pe learned --task probe "${small[@]}" --log-every 1)
same() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2' is not '$3'"; fi; }
files() { find "$1" -name '*tfevents*' | LC_ALL=C sort | tr '\n' ' '; }

good "a run" '^accuracy' "$TRAIN" "${args[@]}" --tensorboard --out-dir run
same "one file" "$(files run | wc -w)" 1
if files run | grep -q -E '^run/events\.out\.tfevents\.[0-9]{10}\.[^/ ]+\.[0-9]+\.posgrad $'; then
    ok "by the name that TensorBoard looks for"
else
    fail "its name" "$(files run)"
fi
if head -c 64 "$(files run | tr -d ' ')" | grep -q -a 'brain\.Event:2'; then ok "of its version"; else fail "of its version" ""; fi
good "without" '^accuracy' "$TRAIN" "${args[@]}" --out-dir without
same "no file" "$(files without)" ""
good "the bits are the same" 'equal|same' "$POSGRAD" diff run without
if cmp -s run/checkpoint.h5 without/checkpoint.h5; then ok "to the last byte"; else fail "to the last byte" "they differ"; fi
good "config.json remembers it" '^accuracy' "$TRAIN" --config run/config.json --out-dir again --quiet
same "so that there is one, too" "$(files again | wc -w)" 1

before=$(files run)
good "a run that is done" '^accuracy' "$TRAIN" --resume run --quiet
same "gets no other file" "$(files run)" "$before"
run "$TRAIN" --resume run --steps 8 --quiet
same "one that goes on does" "$(files run | wc -w)" 2
same "behind the others" "${before% }" "$(files run | cut -d ' ' -f 1)"
run "$TRAIN" --resume run --steps 12 --quiet --tensorboard=no
if [ "$status" -eq 0 ] && grep -q 'resume: --tensorboard was yes and is now no' err; then ok "off"; else fail "off" "exit $status"; fi
same "and no more files" "$(files run | wc -w)" 2
run "$TRAIN" --resume run --steps 16 --quiet --tensorboard
same "on again" "$(files run | wc -w)" 3
good "overwriting" '^accuracy' "$TRAIN" "${args[@]}" --tensorboard --out-dir run --overwrite
same "removes what was there" "$(files run | wc -w)" 1

seeds=(--seeds 0-1 --tensorboard --out-dir seeds)
good "seeds" '^mean' "$TRAIN" "${args[@]}" "${seeds[@]}"
same "a file each" "$(files seeds | tr ' ' '\n' | cut -d / -f 1,2 | tr '\n' ' ')" "seeds/s0 seeds/s1 "
before=$(files seeds)
run "$TRAIN" "${args[@]}" "${seeds[@]}"
same "the same again" "$status $(grep -c 'is finished already' err)" "0 2"
same "which were done" "$(files seeds)" "$before"

refused "neither yes nor no" 2 "tensorboard.*'maybe'" "$TRAIN" "${args[@]}" --tensorboard=maybe --out-dir no
good "the help" 'tensorboard --logdir' "$TRAIN" --help
finish
