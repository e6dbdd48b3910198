# What train does beside the loop: several seeds, early stopping and the best checkpoint, averages,
# parts of a batch, curricula.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

args=(--pe learned --task copy --layers 1 --heads 2 --dim 16 --ff-dim 16 --length 16 --batch-size 4
    --steps 60 --warmup 5 --eval-every 10 --eval-batches 1 --threads 1)

# --- seeds
good "three seeds" '^mean ' "$TRAIN" "${args[@]}" --seeds 0-1,4 --out-dir three --quiet
if [ -s three/s0/checkpoint.h5 ] && [ -s three/s1/checkpoint.h5 ] && [ -s three/s4/checkpoint.h5 ]; then
    ok "a folder a seed"
else
    fail "a folder a seed" "$(ls three)"
fi
run "$TRAIN" "${args[@]}" --seed 4 --out-dir alone --quiet
if cmp -s alone/checkpoint.h5 three/s4/checkpoint.h5; then ok "a seed is a run"; else fail "a seed is a run" "other bits"; fi
cp three/s1/checkpoint.h5 before
run "$TRAIN" "${args[@]}" --seeds 0-2 --out-dir three --quiet
if [ "$status" -eq 0 ] && [ "$(grep -c 'is finished already' err)" -eq 2 ] && cmp -s before three/s1/checkpoint.h5 &&
    [ -s three/s2/checkpoint.h5 ] && grep -q '^95 % interval' out; then
    ok "finished seeds are left, new ones run"
else
    fail "finished seeds are left, new ones run" "exit $status"
fi
run "$TRAIN" "${args[@]}" --seeds 0-2 --out-dir three --json
if tail -n 1 out | grep -q '^{"seeds": \[{"seed": 0, .*"accuracy": {"mean": [0-9.e-]*, "low": [0-9.e-]*, "high": [0-9.e-]*}'; then
    ok "as JSON"
else
    fail "as JSON" "$(tail -n 1 out)"
fi
refused "other settings for the same folder" 2 '--dim is 16 in the run' \
    "$TRAIN" "${args[@]}" --dim 32 --seeds 0 --out-dir three --quiet
"$TRAIN" "${args[@]}" --steps 100000 --seeds 7,8 --out-dir stop --quiet >out 2>err &
until [ -s stop/s7/metrics.jsonl ]; do sleep 0.01; done
kill -INT $!
status=0
wait $! || status=$?
if [ "$status" -eq 130 ] && grep -q 'go on with the same command' err && [ ! -e stop/s8 ] && [ ! -s out ]; then
    ok "a stop saves the seed and starts no other"
else
    fail "a stop saves the seed and starts no other" "exit $status"
fi
for list in 1,,2 3-1 x 1- '' 1,1; do
    refused "--seeds '$list'" 2 'seeds' "$TRAIN" "${args[@]}" --seeds "$list" --out-dir none
done
refused "--seeds and --seed" 2 'both given' "$TRAIN" "${args[@]}" --seeds 1 --seed 2 --out-dir none
refused "--seeds and --resume" 2 'leave out --resume' "$TRAIN" --resume alone --seeds 1

# --- the best checkpoint, and the end by itself
patient=("${args[@]}" --lr 0.3 --schedule constant --steps 2000)
good "a run that ends itself" '^ended after step [0-9]*: 2 evaluations' "$TRAIN" "${patient[@]}" --patience 2 --out-dir patient --quiet
good "its best is a checkpoint" '^step .*seed 0' "$POSGRAD" inspect patient/best.h5
good "its best is exported" '^position,channel' "$POSGRAD" export patient/best.h5 -o - -f csv
refused "resume of the best" 1 'copy it over' "$TRAIN" --resume patient/best.h5
refused "export over the best" 1 'another name' "$POSGRAD" export patient -o patient/best.h5 -f npy
good "it stays at its end" 'ended by itself after step' "$TRAIN" --resume patient
refused "no patience at all" 1 '--patience' "$TRAIN" --resume patient --patience 0
run "$TRAIN" --resume patient --patience 3 --quiet
if [ "$status" -eq 0 ] && grep -q 'patience was 2 and is now 3' err; then ok "more patience goes on"; else fail "more patience goes on" "$status"; fi
good "--overwrite removes the best" '^accuracy' "$TRAIN" "${args[@]}" --out-dir patient --overwrite --quiet
if [ -e patient/best.h5 ]; then fail "no best is left" "it is there"; else ok "no best is left"; fi
good "the best without an end" '^best kept/best.h5 \(step [0-9]*, accuracy' \
    "$TRAIN" "${args[@]}" --keep-best --early-stop-metric accuracy --out-dir kept --quiet

# --- averages, parts, curricula
good "an average" '^accuracy' "$TRAIN" "${args[@]}" --ema 0.9 --out-dir ema --quiet
good "an average is inspected" '^moving average' "$POSGRAD" inspect ema
good "an average is exported" '"head.weight"' "$POSGRAD" export ema -o - -f json --what ema
refused "no average" 1 'without --ema' "$POSGRAD" export kept -o - -f json --what ema
refused "no such export" 2 'none of tables, model and ema' "$POSGRAD" export kept -o - -f json --what x
run "$TRAIN" "${args[@]}" --accumulate 2 --out-dir parts --quiet
if [ "$status" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q 'equal to rounding, not to the bit' err; then
    ok "parts that round say so"
else
    fail "parts that round say so" "exit $status"
fi
good "a trace of a run in parts" '"shape": \[4, 16\]|tokens +64  \[4, 16\]' \
    sh -c '"$1" trace parts -o parts.h5 && "$1" inspect parts.h5' sh "$POSGRAD"
for part in 1 4; do
    good "parts that do not round: $part" '^accuracy' "$TRAIN" "${args[@]}" --batch-size 48 --length 32 --dim 64 \
        --ff-dim 64 --steps 3 --accumulate "$part" --out-dir "part$part" --quiet
    "$POSGRAD" export "part$part" -o "part$part.csv" --what model --table head.weight >/dev/null
done
if cmp -s part1.csv part4.csv; then ok "they have the same bits"; else fail "they have the same bits" "they differ"; fi
refused "parts of odd sizes" 2 'does not divide' "$TRAIN" "${args[@]}" --accumulate 3 --out-dir none
refused "a curriculum of nothing" 2 'min_length=N' "$TRAIN" "${args[@]}" --curriculum 10 --out-dir none
good "a curriculum" '^accuracy' "$TRAIN" "${args[@]}" --curriculum 30 --task-opt min_length=2 --out-dir grown --quiet
refused "another curriculum" 1 'defines the run' "$TRAIN" --resume grown --curriculum 20
if [ -e none ]; then fail "refusals leave nothing" "there is a folder"; else ok "refusals leave nothing"; fi
finish
