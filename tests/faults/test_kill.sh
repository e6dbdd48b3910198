# Killed at any moment: training gets SIGKILL at random moments, goes on with other threads - to be
# killed again, perhaps - and must end in the files that it leaves when nobody kills it.
#
# KILLS is how many (`make faults-kill`: 1000), SEED the start of all random numbers, which is
# printed: the same one gives the same runs, threads and delays again, as nearly as a machine can.
# After each kill every checkpoint must be readable, the newest at least as new as the last that was
# said to be saved ({"saved": true, ...} of --json), and at most one temporary file be left.
#
# A process is stopped for a look before it is killed: what it printed tells where it was, a thread
# called posgrad-save that a save was under way beside it.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/../cli/support.sh"
KILLS=${KILLS:-20}
SEED=${SEED:-$(((RANDOM << 15 | RANDOM) + 1))}
RANDOM=$SEED
echo "# KILLS=$KILLS SEED=$SEED"

# --- the runs: one that does little but save, one that does little but evaluate, one of many steps,
# and several seeds in one command. What an encoding, a task and a run can keep of the past is in one
# or the other: random positions, dropout, an average, parts of a batch, the best state, elder ones.
tiny=(--layers 1 --heads 2 --dim 16 --ff-dim 16 --length 16 --batch-size 4 --warmup 10 --log-every 1
    --json)
of_saves=(--pe learned --task copy --dropout 0.1 --ema 0.9 --steps 40 --save-every 1 --keep 3
    --eval-every 20 --eval-batches 1)
of_evaluations=(--pe random-positions+rope --task copy --arch decoder --length 17 --task-opt min_length=2
    --curriculum 30 --steps 40 --save-every 5 --eval-every 2 --eval-batches 100 --keep-best)
of_steps=(--pe t5 --task text --arch decoder --data text.md --accumulate 2 --optimizer lion
    --patience 100 --steps 800 --save-every 50 --eval-every 200 --eval-batches 2)
of_seeds=(--pe shaw --task sort --seeds 0-2 --steps 50 --save-every 10 --eval-every 25
    --eval-batches 1 --keep-best --label-smoothing 0.1)
kinds=(saves evaluations steps seeds)
cp "$root/README.md" text.md

# arguments KIND: into `args`.
arguments() {
    local -n of=of_$1
    args=("${tiny[@]}" "${of[@]}")
}

# --- one life of a run

draw() { drawn=$((((RANDOM << 15) | RANDOM) % $1)); } # not in a subshell, where RANDOM is another
exec 9<> <(:)
pause() { read -r -t "$1" -u 9 || true; } # SECONDS: without a process

# begin KIND FOLDER: starts it, or goes on with what is there, in the background; `lines` is what it
# prints. Never as many threads as in its life before.
threads=1
begin() {
    local how=(--out-dir "$2")
    draw 3
    threads=$((1 + (threads + drawn) % 4))
    arguments "$1"
    if [ "$1" != seeds ] && [ -e "$2/checkpoint.h5" ]; then
        args=("${tiny[@]: -1}" --resume "$2")
        how=()
    elif [ "$1" != seeds ]; then
        how+=(--overwrite)
    fi
    : >lines
    "$TRAIN" "${args[@]}" "${how[@]}" --threads $threads >lines 2>err </dev/null &
    pid=$!
}

# Where several seeds are trained: what was printed of the one that is on.
of_this_run() {
    if [ "$1" = seeds ]; then tac lines | sed '/"done"/,$d' | tac; else cat lines; fi
}

declare -A fell=([start]=0 [step]=0 [evaluation]=0 [end]=0 [saving]=0 [half]=0)
# look KIND FOLDER: where the process is that was just stopped.
look() {
    local last every step where=step comm
    arguments "$1"
    every=$(sed -E 's/.*--eval-every ([0-9]+).*/\1/' <<<"${args[*]}")
    last=$(of_this_run "$1" | grep '"split"' | tail -n 1)
    step=$(sed -E 's/^\{"step": ([0-9]+),.*/\1/' <<<"$last")
    if [ -z "$last" ]; then
        where=start
    elif [[ $last == *'"train"'* && $((step % every)) -eq 0 ]]; then
        where=evaluation
    elif [[ $last == *'"validation"'* && " ${args[*]} " == *" --steps $step "* ]]; then
        where=end
    fi
    saving=""
    for comm in /proc/$pid/task/*/comm; do
        [ "$(cat "$comm" 2>/dev/null)" = posgrad-save ] && saving=", saving"
    done
    [ "$where" = end ] && saving=", saving"
    place=$where$saving
}

# count_kill FOLDER: in the place where it fell.
count_kill() {
    local where=${place%, saving}
    fell[$where]=$((fell[$where] + 1))
    [ "$where" != "$place" ] && fell[saving]=$((fell[saving] + 1))
    [ -n "$(find "$1" -name '*.tmp' 2>/dev/null)" ] && fell[half]=$((fell[half] + 1))
    kills=$((kills + 1))
    here=$((here + 1))
    [ $((kills % 100)) -ne 0 ] || echo "# $kills kills"
}

# wrong WHAT: something that must not be.
wrong() {
    fail "$kind $trial (SEED=$SEED)" "after $story: $1"
    good_so_far=""
}

# --- what a kill must leave

# check_run FOLDER: of one run. `acknowledged` holds the last step of each folder that was said to be
# saved.
declare -A acknowledged
check_run() {
    local file said step count
    said=$(sed -n -E 's/^\{"saved": true, "step": ([0-9]+)\}$/\1/p' "$2" | tail -n 1)
    [ -n "$said" ] && acknowledged[$1]=$said
    count=$(find "$1" -name '*.tmp' | wc -l)
    [ "$count" -le 1 ] || wrong "$count temporary files: $(find "$1" -name '*.tmp' -printf '%f ')"
    for file in "$1"/*.h5; do
        [ -e "$file" ] || continue
        "$POSGRAD" inspect "$file" >inspected 2>&1 || wrong "$file: $(cat inspected)"
        [ "${file##*/}" = checkpoint.h5 ] || continue
        step=$(sed -n 's/^step *\([0-9]*\),.*/\1/p' inspected)
        [ "${step:-0}" -ge "${acknowledged[$1]:-0}" ] ||
            wrong "$file holds step $step, and ${acknowledged[$1]} was said to be saved"
    done
    [ -e "$1/checkpoint.h5" ] || [ "${acknowledged[$1]:-0}" -eq 0 ] ||
        wrong "there is no $1/checkpoint.h5, and step ${acknowledged[$1]} was said to be saved"
}

# check KIND FOLDER: of all its runs. With several, the one that is on is the newest; what it said
# begins after the result of the one before.
check() {
    local one
    if [ "$1" != seeds ]; then
        [ ! -d "$2" ] || check_run "$2" lines
        return
    fi
    for one in "$2"/s*; do
        [ -d "$one" ] || continue
        : >mine
        [ -d "$2/s$((${one##*/s} + 1))" ] || of_this_run seeds >mine
        check_run "$one" mine
    done
}

# summary FOLDER: names and SHA-256 of all that a run leaves; metrics.jsonl without its times, and
# config.json without what a run may be given anew.
summary() {
    (cd "$1" && find . -type f ! -name '*.jsonl' ! -name config.json -exec sha256sum {} + | sort -k 2
        for file in $(find . -name '*.jsonl' -o -name config.json | sort); do
            sed -E 's/, "step_ms.*//; /"(threads|out_dir)"/d' "$file" | sha256sum | sed "s#-#$file#"
        done)
}

# --- reference runs, whose time is what delays are drawn from

declare -A whole_time
for kind in "${kinds[@]}"; do
    began=${EPOCHREALTIME/[.,]/}
    begin "$kind" "whole-$kind"
    wait $pid || fail "the run of $kind that nobody kills" "exit $?"
    whole_time[$kind]=$((${EPOCHREALTIME/[.,]/} - began))
    summary "whole-$kind" >"whole-$kind.sums"
done

# --- trials: one to four lives that end by a kill, and one that does not

kills=0 trial=0 same=0
one_trial() {
    local delay life lives status
    here=0 story="" good_so_far=yes
    acknowledged=()
    rm -rf run
    draw 4
    lives=$((1 + drawn))
    for ((life = 0; life < lives && kills < KILLS; life++)); do
        draw "${whole_time[$kind]}"
        delay=$drawn
        begin "$kind" run
        pause "$(printf '%d.%06d' $((delay / 1000000)) $((delay % 1000000)))"
        if kill -STOP $pid 2>/dev/null; then look "$kind" run; fi
        kill -KILL $pid 2>/dev/null
        status=0
        wait $pid 2>/dev/null || status=$?
        if [ "$status" -ne 137 ]; then # it was at its end before
            whole_time[$kind]=$((whole_time[$kind] * 9 / 10))
            break
        fi
        story+="${story:+; }$threads threads, killed after $delay us ($place)"
        count_kill run
        check "$kind" run
    done
    [ "${status:-137}" -eq 137 ] || [ "$status" -eq 0 ] || wrong "exit $status: $(cat err)"
    begin "$kind" run
    status=0
    wait $pid || status=$?
    [ "$status" -eq 0 ] || wrong "exit $status: $(cat err)"
    summary run >run.sums
    cmp -s run.sums "whole-$kind.sums" ||
        wrong "another end: $(diff run.sums "whole-$kind.sums" | grep '^[<>]' | sed 's/  */ /g' | tr '\n' ' ')"
    if [ -n "$good_so_far" ]; then same=$((same + here)); fi
}
while [ "$kills" -lt "$KILLS" ]; do
    kind=${kinds[$((trial % ${#kinds[@]}))]}
    trial=$((trial + 1))
    one_trial
done

echo "# $kills kills in $trial runs: ${fell[start]} before the first step, ${fell[step]} in a step, ${fell[evaluation]} in an evaluation, ${fell[end]} after the last;"
echo "# of these ${fell[saving]} while a save was under way; ${fell[half]} left a temporary file"
if [ "$same" -eq "$kills" ] && [ "$bad" -eq 0 ]; then
    ok "$same of $kills kills: all ends bit-identical, no checkpoint lost, damaged or older than was said"
else
    fail "kills" "$same of $kills went well"
fi
finish
