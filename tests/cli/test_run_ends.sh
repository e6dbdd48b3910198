# The ways in which a run may end before its last step: signals, kills, full disks, lost files. What
# is left goes on to the same bits as a run that nothing stopped.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

args=(--pe learned --task copy --layers 1 --heads 2 --dim 16 --ff-dim 16 --length 16 --batch-size 4
    --steps 4000 --warmup 10 --eval-every 500 --eval-batches 1 --save-every 100 --log-every 50
    --threads 1 --dropout 0.1)
run "$TRAIN" "${args[@]}" --out-dir whole
[ "$status" -eq 0 ] || fail "a run that nothing stops" "exit $status"
if grep -q -a -P '\e|\r' out err; then fail "plain lines in a pipe" "there are escapes"; else ok "plain lines in a pipe"; fi

# has_saved FOLDER: waits for the first checkpoint, ten seconds at most.
has_saved() {
    local i
    for i in $(seq 1000); do
        [ -e "$1/checkpoint.h5" ] && return 0
        sleep 0.01
    done
    return 1
}
same() { # same NAME FOLDER
    if cmp -s whole/checkpoint.h5 "$2/checkpoint.h5"; then ok "$1"; else fail "$1" "the bits differ"; fi
}

for signal in INT:130 TERM:143; do
    name=${signal%:*}
    "$TRAIN" "${args[@]}" --out-dir "$name" >out 2>err &
    has_saved "$name"
    kill "-$name" $!
    status=0
    wait $! || status=$?
    if [ "$status" -eq "${signal#*:}" ] && [ "$(wc -l <err)" -eq 1 ] &&
        grep -q "stopped by SIG$name after step [0-9]*, which is saved; go on with: train --resume $name" err; then
        ok "SIG$name says how to go on"
    else
        fail "SIG$name" "exit $status"
    fi
    good "resume after SIG$name" '^accuracy' "$TRAIN" --resume "$name"
    same "the same bits after SIG$name" "$name"
done
good "a run that is done says so" 'all 4000 steps are done' "$TRAIN" --resume INT

"$TRAIN" "${args[@]}" --save-every 0 --steps 1000000 --out-dir asked >asked.out 2>asked.err &
until grep -q '"step": 50,' asked/metrics.jsonl 2>/dev/null; do sleep 0.01; done
kill -USR1 $!
if has_saved asked && kill -0 $! 2>/dev/null; then ok "SIGUSR1 saves and goes on"; else fail "SIGUSR1" "nothing is saved"; fi
refused "a run that another process writes" 1 'another process' "$TRAIN" --resume asked
refused "overwriting one" 1 'another process' "$TRAIN" "${args[@]}" --out-dir asked --overwrite
kill -KILL $!
wait $! 2>/dev/null

# Killed at any moment, again and again, from the start to the end.
for try in 1 2 3; do
    folder=killed$try kills=0
    for _ in $(seq 30); do
        if [ -e "$folder/checkpoint.h5" ]; then
            "$TRAIN" --resume "$folder" --quiet >out 2>err &
        else
            "$TRAIN" "${args[@]}" --out-dir "$folder" --overwrite --quiet >out 2>err &
        fi
        sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
        kill -KILL $! 2>/dev/null || break
        wait $! 2>/dev/null
        kills=$((kills + 1))
    done
    # (On a machine so slow that no run came to its first save, there is nothing to go on with.)
    if [ -e "$folder/checkpoint.h5" ]; then
        run "$TRAIN" --resume "$folder" --quiet
    else
        run "$TRAIN" "${args[@]}" --out-dir "$folder" --overwrite --quiet
    fi
    same "the same bits after $kills kills" "$folder"
    strip() { sed 's/, "step_ms.*//' "$1/metrics.jsonl"; }
    if [ "$(strip whole)" = "$(strip "$folder")" ]; then
        ok "the same metrics after $kills kills"
    else
        fail "the same metrics after $kills kills" "they differ"
    fi
done

# A disk that is full from the start, then one that fills: here a file system of our own, where we
# may mount one, and otherwise a limit on the size of files.
if mkdir disk && mount -t tmpfs -o size=120k tmpfs disk 2>/dev/null; then
    trap 'umount "$scratch/disk" 2>/dev/null; cleanup' EXIT
    full=("${args[@]}" --log-every 1 --out-dir disk/run)
    run "$TRAIN" "${full[@]}" --quiet
    saved=$("$POSGRAD" inspect disk/run 2>/dev/null | sed -n 's/^step *\([0-9]*\),.*/\1/p')
    if [ "$status" -eq 1 ] && [ "${saved:-4000}" -lt 4000 ] && [ ! -e disk/run/checkpoint.h5.tmp ] &&
        [ "$(grep -c 'was not saved: cannot write.*No space' err)" -eq 1 ] &&
        tail -n 1 err | grep -q 'step 4000 is not saved: cannot write .*No space'; then
        ok "a disk that fills: step $saved stays"
    else
        fail "a disk that fills" "exit $status, step '$saved'"
    fi
    if awk '!/^\{.*\}$/ { exit 1 }' disk/run/metrics.jsonl; then ok "no half line"; else fail "no half line" "there is one"; fi
    mount -o remount,size=4m disk
    good "resume when there is room again" accuracy "$TRAIN" --resume disk/run --log-every 1 --quiet
    head -c 8m /dev/zero >disk/fill 2>/dev/null
    refused "a full disk at the start" 1 'No space left' "$TRAIN" "${args[@]}" --out-dir disk/new
    umount disk
else
    skip "a disk that fills" "no file system can be mounted here"
fi
run bash -c 'ulimit -f 20; exec "$@"' - "$TRAIN" "${args[@]}" --out-dir limited --steps 200 --quiet
if ! file_limits; then
    :
elif [ "$status" -eq 1 ] && [ ! -e limited/checkpoint.h5 ] && [ ! -e limited/checkpoint.h5.tmp ] &&
    tail -n 1 err | grep -q 'is not saved: cannot write.*File too large'; then
    ok "a limit on the size of files"
else
    fail "a limit on the size of files" "exit $status"
fi

# A folder that another user owns.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 755 . && cp "$POSGRAD" program && chmod 755 program
    other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    if other test -x ./program; then
        mkdir readonly
        other_run() { refused "$1" 1 "$2" setpriv --reuid=65534 --regid=65534 --clear-groups ./program train "${@:3}"; }
        other_run "a folder that may not be written" 'readonly/new: Permission denied' "${args[@]}" --out-dir readonly/new
        other_run "an empty one" 'readonly/config.json.tmp: Permission denied' "${args[@]}" --out-dir readonly
        other_run "overwriting another's run" 'cannot remove whole/checkpoint.h5: Permission denied' "${args[@]}" --out-dir whole --overwrite
        other_run "going on with another's run" 'Permission denied' --resume whole --steps 5000
        chmod 600 whole/checkpoint.h5
        other_run "a checkpoint that may not be read" 'whole/checkpoint.h5: Permission denied' --resume whole
        echo secret >secret.txt && chmod 600 secret.txt
        other_run "data that may not be read" 'secret.txt.*Permission denied' --pe none --task text --arch decoder --data secret.txt
        if [ -z "$(ls readonly)" ]; then ok "nothing is left there"; else fail "nothing is left there" "$(ls readonly)"; fi
    else
        skip "another user" "may not come here"
    fi
else
    skip "another user" "root alone can become one"
fi

# Started without stdin, stdout and stderr: what would be printed must not land in the run's files,
# which get the first numbers that are free.
loud=("${small[@]/--quiet/--log-every=1}")
for closed in '>&-' '2>&-' '<&- >&- 2>&-'; do
    status=0
    bash -c '"$@" '"$closed" - "$TRAIN" --pe learned --task probe "${loud[@]}" --out-dir closed \
        --overwrite >/dev/null 2>&1 || status=$?
    if "$POSGRAD" inspect closed >out 2>err && awk '!/^\{.*\}$/ { exit 1 }' closed/metrics.jsonl; then
        ok "with $closed"
    else
        fail "with $closed" "$(head -n 2 closed/metrics.jsonl)"
    fi
done
run bash -c '"$1" list tasks >&-' - "$POSGRAD"
if [ "$status" -eq 1 ] && grep -q 'cannot write the output' err; then ok "a closed output is an error"; else fail "a closed output is an error" "exit $status"; fi

# Data that another program cuts short.
head -c 300000 /dev/zero >data.txt
"$TRAIN" --pe none --task text --arch decoder --data data.txt --steps 1000000 --eval-every 0 --log-every 50 \
    --save-every 50 --out-dir data >out 2>err &
has_saved data
: >data.txt
status=0
wait $! || status=$?
if [ "$status" -eq 1 ] && grep -q '^posgrad: a data file was cut short while it was read' err && [ "$(wc -l <err)" -eq 1 ]; then
    ok "data that is cut short"
else
    fail "data that is cut short" "exit $status"
fi

# Numbers that run away.
refused "a loss that is not finite" 1 'step [0-9]+: the (loss|validation loss after the update) is NaN, first seen in layers.*holds step' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --steps 500 --lr 1e6 --weight-decay 1000 --warmup 0 --save-every 1 --out-dir away
good "its last good checkpoint" 'digest ok' "$POSGRAD" inspect away
run "$POSGRAD" trace away -o away.h5
if [ "$status" -eq 0 ]; then ok "which computes"; else fail "which computes" "exit $status"; fi
finish
