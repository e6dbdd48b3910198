# Signals, pipes and locks: whatever stops a training, it is saved first, soon, and says so; and one
# run folder has one writer.
#
# TIMES is how often each stop is tried (`make faults-signals`: 100). STRICT=1 holds a stop to one
# step and two seconds from the signal to the end; without, nothing depends on the clock but a guard
# of a minute.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/../cli/support.sh"
TIMES=${TIMES:-1}
STRICT=${STRICT:-}
exec 9<> <(:)
pause() { read -r -t "$1" -u 9 || true; } # SECONDS: without a process
# until_true COMMAND...: a minute at most.
until_true() {
    local i
    for ((i = 0; i < 6000; i++)); do
        "$@" && return 0
        pause 0.01
    done
    return 1
}
gone() { ! kill -0 -- "$1" 2>/dev/null; } # PID, or -GROUP
# ended PID: waits for it and leaves its `status`, and in `took` the milliseconds since `began`.
ended() {
    local i
    for ((i = 0; i < 30000; i++)); do
        gone "$1" && break
        pause 0.002
    done
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    kill -KILL "$1" 2>/dev/null
    status=0
    wait "$1" || status=$?
}
send() { # SIGNAL PID
    began=${EPOCHREALTIME/[.,]/}
    kill "-$1" "$2"
}
said() { grep -q -E -- "$1" err; }
step_of() { "$POSGRAD" inspect "$1" 2>/dev/null | sed -n 's/^step *\([0-9]*\),.*/\1/p'; }
declare -A number=([INT]=130 [TERM]=143 [HUP]=129)

# --- stops: in a step, beside a save, in an evaluation that would last for hours, with an output that
# nobody reads

model=(--pe learned --task copy --layers 1 --heads 2 --dim 32 --ff-dim 64 --length 32 --warmup 10
    --threads 1 --steps 100000000 --eval-batches 1)
in_step=(--batch-size 512 --eval-every 0 --save-every 0 --log-every 1)
in_save=(--batch-size 4 --eval-every 0 --save-every 1 --log-every 1)
in_evaluation=(--batch-size 64 --eval-every 3 --save-every 0 --log-every 1 --eval-batches 1000000)
in_pipe=(--batch-size 8 --eval-every 0 --save-every 0 --log-every 1)

begin() { # MOMENT FOLDER
    local -n of=in_$1
    rm -rf "$2"
    if [ "$1" = pipe ]; then
        unread
        "$TRAIN" "${model[@]}" "${of[@]}" --out-dir "$2" >full 2>err </dev/null &
    else
        "$TRAIN" "${model[@]}" "${of[@]}" --out-dir "$2" >out 2>err </dev/null &
    fi
    pid=$!
}
# A new FIFO `full`, which has a reader that does not read.
unread() {
    rm -f full
    mkfifo full
    exec 8<>full
}
# The same, full. A training that prints there waits before its first step, for as long as it takes
# to send it signals; drain reads all that it has to say.
full_pipe() {
    unread
    dd if=/dev/zero of=full bs=4096 count=100000 oflag=nonblock 2>/dev/null
}
drain() {
    exec 7<full 8<&-
    tr -d '\0' <&7 >all
    exec 7<&-
}
lines_of() { { wc -l <"$1/metrics.jsonl" || echo 0; } 2>/dev/null; }
has_lines() { [ "$(lines_of "$1")" -ge "$2" ]; }
# ready MOMENT FOLDER: waits until it is there.
ready() {
    local before=-1
    until_true has_lines "$2" 3
    [ "$1" != pipe ] || until [ "$(lines_of "$2")" = "$before" ]; do # a full pipe holds it up
        before=$(lines_of "$2")
        pause 0.2
    done
}
# is_stopped NAME SIGNAL FOLDER: what the process that has just ended left.
is_stopped() {
    local step
    step=$(sed -n -E "s/.*stopped by SIG$2 after step ([0-9]+), which is saved; go on with: train --resume $3\$/\1/p" err)
    if [ "$status" -ne "${number[$2]}" ]; then
        fail "$1" "exit $status after $took ms"
    elif [ -z "$step" ] || [ "$(wc -l <err)" -ne 1 ]; then
        fail "$1" "it does not say that it is saved"
    elif [ "$(step_of "$3")" != "$step" ]; then
        fail "$1" "the checkpoint holds step '$(step_of "$3")', not $step"
    elif [ -n "$STRICT" ] && [ "$took" -gt $((2000 + step_ms)) ]; then
        fail "$1" "it took $took ms, and a step $step_ms ms"
    else
        return 0
    fi
    return 1
}
# Milliseconds of the longest step that was logged.
longest_step() { sed -n 's/.*"step_ms": \([0-9]*\)\..*/\1/p' "$1/metrics.jsonl" | sort -n | tail -n 1; }

for moment in step save evaluation pipe; do
    for signal in INT TERM HUP; do
        good_ones=0 longest=0 step_ms=0
        for ((i = 0; i < TIMES; i++)); do
            begin $moment run
            ready $moment run
            pause "0.0$((RANDOM % 100))"
            send $signal $pid
            ended $pid
            step_ms=$(longest_step run)
            [ "$took" -gt "$longest" ] && longest=$took
            is_stopped "SIG$signal, $moment" $signal run && good_ones=$((good_ones + 1))
        done
        [ $good_ones -eq "$TIMES" ] && ok "SIG$signal, $moment: saved and ended, $good_ones of $TIMES"
        [ -n "$STRICT" ] && echo "# SIG$signal, $moment: the longest took $longest ms; a step $step_ms ms"
    done
done

# --- a save on request, as soon; the run goes on
for moment in step save evaluation; do
    good_ones=0 longest=0
    for ((i = 0; i < TIMES; i++)); do
        begin $moment run
        ready $moment run
        pause "0.0$((RANDOM % 100))"
        send USR1 $pid
        until_true said '^posgrad: step [0-9]+ is saved$'
        took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
        step_ms=$(longest_step run)
        [ "$took" -gt "$longest" ] && longest=$took
        step=$(sed -n 's/^posgrad: step \([0-9]*\) is saved$/\1/p' err)
        kept=$(step_of run)
        if gone $pid || [ "${kept:-0}" -lt "${step:-1}" ]; then
            fail "SIGUSR1, $moment" "step '$step' was said to be saved after $took ms, and it is '$kept'"
        elif [ -n "$STRICT" ] && [ "$took" -gt $((2000 + step_ms)) ]; then
            fail "SIGUSR1, $moment" "it took $took ms, and a step $step_ms ms"
        else
            good_ones=$((good_ones + 1))
        fi
        kill -KILL $pid
        wait $pid 2>/dev/null
    done
    [ $good_ones -eq "$TIMES" ] && ok "SIGUSR1, $moment: saved, and goes on, $good_ones of $TIMES"
    [ -n "$STRICT" ] && echo "# SIGUSR1, $moment: the longest took $longest ms; a step $step_ms ms"
done

# --- the same signal twice: at once it is one wish (timeout(1) does that), later it ends the program.
# The second is sent when the first has arrived. Whoever ends after half a second proves nothing.
pending() { (($((16#$(sed -n 's/^ShdPnd:\s*//p' "/proc/$1/status" 2>/dev/null || echo 0))) & 1 << 14)); }
good_ones=0 tries=0
while [ $good_ones -lt "$TIMES" ] && [ $tries -lt $((50 * TIMES)) ]; do
    tries=$((tries + 1))
    begin step run
    ready step run
    send TERM $pid
    while pending $pid 2>/dev/null; do :; done
    kill -TERM $pid 2>/dev/null
    ended $pid
    step_ms=$(longest_step run)
    if [ "$status" -eq 143 ] && [ ! -s err ] && [ "$took" -ge 500 ]; then continue; fi
    is_stopped "SIGTERM twice at once" TERM run || break
    good_ones=$((good_ones + 1))
done
if [ $good_ones -eq "$TIMES" ]; then ok "SIGTERM twice at once: saved and ended, $good_ones of $TIMES"; else fail "SIGTERM twice at once" "$good_ones of $TIMES in $tries tries"; fi

run timeout 1 "$TRAIN" "${model[@]}" "${in_step[@]}" --out-dir timed
if [ "$status" -eq 124 ] && said 'stopped by SIGTERM after step [0-9]*, which is saved'; then ok "timeout(1)"; else fail "timeout(1)" "exit $status"; fi

# A save that does not end: checkpoint.h5 is a FIFO that nobody reads.
begin step run
ready step run
mkfifo run/checkpoint.h5
send TERM $pid
pause 1.5
if gone $pid; then fail "a stop waits for its save" "it does not"; else ok "a stop waits for its save"; fi
send TERM $pid
ended $pid
if [ "$status" -eq 143 ] && [ ! -s err ]; then ok "a second SIGTERM ends it at once"; else fail "a second SIGTERM ends it at once" "exit $status"; fi

# --- at the start: nothing is lost, as nothing was there; what there is goes on
"$TRAIN" "${model[@]}" "${in_save[@]}" --steps 40 --out-dir start --quiet >out 2>err
is_it() { [ "/proc/$1/exe" -ef "$POSGRAD" ]; }
bad_ones=0
for ((i = 0; i < 4 * TIMES; i++)); do
    before=$(step_of start)
    "$TRAIN" --resume start --steps 100000000 >out 2>err &
    pid=$!
    until_true is_it $pid # before, it is a copy of this shell, with its traps
    pause "0.0$((RANDOM % 100))"
    send TERM $pid
    ended $pid
    after=$(step_of start)
    [ "$status" -eq 143 ] && [ "${after:-0}" -ge "${before:-1}" ] || bad_ones=$((bad_ones + 1))
done
if [ $bad_ones -eq 0 ]; then ok "SIGTERM at the start: nothing is lost, $((4 * TIMES)) of $((4 * TIMES))"; else fail "SIGTERM at the start" "$bad_ones"; fi

# --- signals that end nothing
short=("${model[@]}" "${in_pipe[@]}" --steps 1000)
"$TRAIN" "${short[@]}" --out-dir plain --quiet >out 2>err
has_open() { # PID FILE
    local fd
    for fd in "/proc/$1/fd/"*; do [ "$fd" -ef "$2" ] && return 0; done
    return 1
}
as_plain() { cmp -s plain/checkpoint.h5 "$1/checkpoint.h5"; }
full_pipe
"$TRAIN" "${short[@]}" --out-dir asked >full 2>err &
pid=$!
until_true [ -e asked/metrics.jsonl ]
for _ in 1 2 3 4 5; do kill -PIPE $pid && kill -USR1 $pid; done
drain
ended $pid
if [ "$status" -eq 0 ] && said '^posgrad: step 1 is saved$' && as_plain asked; then
    ok "SIGUSR1 saves, says so, and goes on; SIGPIPE does nothing"
else
    fail "SIGUSR1 and SIGPIPE" "exit $status"
fi
full_pipe
nohup "$TRAIN" "${short[@]}" --out-dir nohup >full 2>err &
pid=$!
until_true [ -e nohup/metrics.jsonl ]
kill -HUP $pid
drain
ended $pid
if [ "$status" -eq 0 ] && as_plain nohup; then ok "SIGHUP under nohup"; else fail "SIGHUP under nohup" "exit $status"; fi

# --- pipes
"$TRAIN" "${short[@]}" --out-dir headed 2>err | head -n 1 >out
status=${PIPESTATUS[0]}
if [ "$status" -eq 0 ] && [ ! -s err ] && as_plain headed; then ok "a reader that goes away"; else fail "a reader that goes away" "exit $status"; fi
unread
"$TRAIN" "${short[@]}" --json --out-dir slow >full 2>err &
pid=$!
ready pipe slow
drain
ended $pid
if [ "$status" -eq 0 ] && [ "$(grep -c '"split": "train"' all)" -eq 1000 ] && as_plain slow; then
    ok "a reader that comes late gets every line"
else
    fail "a reader that comes late gets every line" "exit $status"
fi
rm -rf run
unread
"$TRAIN" "${model[@]}" "${in_pipe[@]}" --out-dir run >full 2>full &
pid=$!
ready pipe run
send TERM $pid
ended $pid
if [ "$status" -eq 143 ] && [ -n "$(step_of run)" ]; then ok "a full pipe for both outputs"; else fail "a full pipe for both outputs" "exit $status"; fi
# The result of a run that is done, which nobody reads.
"$TRAIN" "${short[@]}" --out-dir done --quiet >out 2>err
full_pipe
"$TRAIN" --resume done --quiet >full 2>err &
pid=$!
until_true has_open $pid done/metrics.jsonl
pause 0.5
send TERM $pid
ended $pid
if [ "$status" -eq 143 ] && as_plain done; then ok "a result that nobody reads"; else fail "a result that nobody reads" "exit $status"; fi

# --- several seeds, and an experiment. All of a group get what a terminal sends, as here.
in_group() { setsid "$@" >out 2>err </dev/null & pid=$!; }
for signal in INT TERM HUP; do
    rm -rf seeds
    in_group "$TRAIN" "${model[@]}" "${in_pipe[@]}" --seeds 3-5 --out-dir seeds
    ready step seeds/s3
    began=${EPOCHREALTIME/[.,]/}
    kill -$signal -- -$pid
    ended $pid
    if [ "$status" -eq "${number[$signal]}" ] && [ -n "$(step_of seeds/s3)" ] && [ ! -e seeds/s4 ] && said 'go on with the same command'; then
        ok "SIG$signal, --seeds"
    else
        fail "SIG$signal, --seeds" "exit $status"
    fi
done
tiny="--steps 100000000 --dim 16 --heads 2 --ff-dim 16 --layers 1 --batch-size 4 --save-every 0 --log-every 1"
both_train() { [ "$(find experiment -name metrics.jsonl -size +1k 2>/dev/null | wc -l)" -eq 2 ]; }
stop_experiment() { # SIGNAL...: to the whole group
    local signal
    rm -rf experiment
    in_group "$POSGRAD" reproduce urpe --jobs 2 --train "$tiny" --out-dir experiment
    until_true both_train
    began=${EPOCHREALTIME/[.,]/}
    for signal in "$@"; do kill "-$signal" -- -$pid; done
    ended $pid
    left=$(find experiment -name checkpoint.h5 | wc -l)
}
# Twice at once is what timeout(1) does; when it takes half a second to arrive, it is an end at once.
for signals in INT TERM HUP "TERM TERM"; do
    for ((i = 0; i < 20; i++)); do
        # shellcheck disable=SC2086
        stop_experiment $signals
        [ "$signals" = "TERM TERM" ] && [ "$left" -ne 2 ] && [ "$took" -ge 500 ] || break
    done
    if [ "$status" -eq "${number[${signals%% *}]}" ] && [ "$left" -eq 2 ] && said 'the same command goes on' && gone -$pid; then
        ok "SIG$signals, reproduce: both trainings are saved"
    else
        fail "SIG$signals, reproduce" "exit $status, $left checkpoints"
    fi
done

# --- one writer
full_pipe
"$TRAIN" "${short[@]}" --out-dir owned >full 2>err &
pid=$!
until_true [ -e owned/metrics.jsonl ]
send TERM $pid
ended $pid
if [ "$(step_of owned)" = 1 ]; then ok "SIGTERM before the first step"; else fail "SIGTERM before the first step" "exit $status"; fi
"$TRAIN" --resume owned >full 2>owner &
pid=$!
until_true has_open $pid owned/metrics.jsonl # and so the lock, which a look must not take
refused "a run that is being written names its writer" 1 "by another process \\(pid $pid\\)" "$TRAIN" --resume owned
refused "overwriting one" 1 "by another process \\(pid $pid\\)" "$TRAIN" "${model[@]}" --out-dir owned --overwrite
kill -KILL $pid
wait $pid 2>/dev/null
good "a dead owner's run goes on" accuracy "$TRAIN" --resume owned --quiet
if as_plain owned; then ok "to the same bits"; else fail "to the same bits" "they differ"; fi
# A process on another machine has the lock of metrics.jsonl alone, as NFS knows no other.
before=$(find owned -type f -exec sha256sum {} + | sort)
exec 6<>owned/metrics.jsonl
flock -x 6
refused "a run that another machine writes" 1 'by another process' "$TRAIN" --resume owned --steps 4000
refused "overwriting that" 1 'by another process' "$TRAIN" "${model[@]}" --out-dir owned --overwrite
if [ "$(find owned -type f -exec sha256sum {} + | sort)" = "$before" ]; then ok "nothing of it is touched"; else fail "nothing of it is touched" "it is"; fi
exec 6<&-

# A folder that is moved while its run goes on: what is in its place then is another's.
"$TRAIN" "${model[@]}" "${in_pipe[@]}" --out-dir place >owner 2>err &
pid=$!
ready step place
mv place moved
good "another run in the place of one that was moved" accuracy "$TRAIN" "${short[@]}" --out-dir place --quiet
kill -TERM $pid
status=0
wait $pid || status=$?
if [ "$status" -eq 1 ] && grep -q 'place is no longer the folder that the run is in' owner err && as_plain place; then
    ok "is not written over"
else
    fail "is not written over" "exit $status"
fi

# Two at the same instant: both wait for a line.
mkfifo gate
exec 5<>gate
at_once() { exec bash -c ': >"$1"; shift; read -r _ <gate; exec "$@" 5<&-' - "$@"; }
one_wins() { # FOLDER COMMAND...
    local folder=$1 first second a b before
    before=$(lines_of "$1")
    shift
    rm -f here1 here2
    at_once here1 "$@" >out1 2>err1 </dev/null &
    first=$!
    at_once here2 "$@" >out2 2>err2 </dev/null &
    second=$!
    until_true [ -e here1 ] && until_true [ -e here2 ]
    printf '\n\n' >&5
    until_true eval "gone $first || gone $second"
    pause 0.02
    until_true has_lines "$folder" $((before + 3))
    kill -TERM $first $second 2>/dev/null
    a=0 b=0
    wait $first || a=$?
    wait $second || b=$?
    cat err1 err2 >err
    if [ "$a $b" != "1 143" ] && [ "$a $b" != "143 1" ]; then
        fail "two at once" "exit $a and $b"
    elif ! said 'by another process' || ! said 'which is saved'; then
        fail "two at once" "they say other things"
    elif ! sed -E 's/^\{"step": ([0-9]+), "split": "train".*\}$/\1/' "$folder/metrics.jsonl" | awk '$0 != NR { exit 1 }'; then
        fail "two at once" "metrics.jsonl is of both"
    elif [ -z "$(step_of "$folder")" ]; then
        fail "two at once" "there is no checkpoint"
    else
        return 0
    fi
    return 1
}
started=0 resumed=0
for ((i = 0; i < 3 * TIMES && i < 100; i++)); do
    rm -rf race
    one_wins race "$TRAIN" "${model[@]}" "${in_pipe[@]}" --out-dir race && started=$((started + 1))
    one_wins race "$TRAIN" --resume race && resumed=$((resumed + 1))
done
if [ $started -eq $i ] && [ $resumed -eq $i ]; then ok "two at the same instant: one wins, $i of $i, and $i of $i resumed"; else fail "two at the same instant" "$started and $resumed of $i"; fi
finish
