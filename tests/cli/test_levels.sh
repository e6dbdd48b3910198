# One program for every processor: the vector code of each level trains, and checks its gradients.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"
good "system tells of the level at work" '^vectors +(avx512|avx2|base)' "$POSGRAD" system
own=$(sed -n -E 's/^vectors +([a-z0-9]+).*/\1/p' out)
levels=$(sed -n -E 's/^vectors +([a-z0-9]+)(; .* also: )?(.*)/\1, \3/p' out | tr -d ',')

loss_of() { tail -n 1 "$1/metrics.jsonl" | sed -E 's/.*"loss": ([0-9.e+-]+).*/\1/'; }
for level in $levels; do
    good "$level can be asked for" "^vectors +$level" env POSGRAD_SIMD="$level" "$POSGRAD" system
    good "$level trains" '^accuracy' env POSGRAD_SIMD="$level" "$TRAIN" --pe t5+urpe --task copy \
        "${small[@]}" --steps 20 --eval-every 20 --out-dir "$level"
    good "$level has right gradients" '^1 passed, 0 failed' \
        env POSGRAD_SIMD="$level" "$POSGRAD" gradcheck --op attention
    if awk -v a="$(loss_of "$level")" -v b="$(loss_of "$own")" \
        'BEGIN { exit !(a > 0 && (a - b) ^ 2 < (1e-4 * b) ^ 2) }'; then
        ok "$level ends where $own does"
    else
        fail "$level ends where $own does" "$(loss_of "$level"), not $(loss_of "$own")"
    fi
done
refused "a level that is none" 2 'POSGRAD_SIMD=mmx: this program has' env POSGRAD_SIMD=mmx "$POSGRAD" system
good "an empty one is not asked for" "^vectors +$own" env POSGRAD_SIMD= "$POSGRAD" system
for level in $levels; do
    [ "$level" = "$own" ] && continue
    run env POSGRAD_SIMD="$level" "$TRAIN" --resume "$own" --steps 22 --quiet
    if [ "$status" -eq 0 ] && grep -q "which round differently" err; then
        ok "a run that changes its level is told"
    else
        fail "a run that changes its level is told" "exit $status"
    fi
    break
done
finish
