# The program and its commands: names, help, versions, lists, system.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

good "help names the commands" '^  gradcheck ' "$POSGRAD" --help
good "help of a command" '^Usage: posgrad inspect' "$POSGRAD" help inspect
good "version" '^posgrad [0-9]+\.[0-9]+\.[0-9]+$' "$POSGRAD" --version
refused "no command" 2 'command is missing' "$POSGRAD"
refused "unknown command, nearest" 2 "did you mean 'train'" "$POSGRAD" trian
refused "unknown command" 2 "no command is called 'xyzzy'" "$POSGRAD" xyzzy
refused "empty command" 2 "no command" "$POSGRAD" ""
refused "option before the command" 2 "--pe" "$POSGRAD" --pe learned

for command in train eval compare diff export inspect trace gradcheck list system; do
    good "$command --help" "^Usage: posgrad $command" "$POSGRAD" "$command" --help
    refused "$command: unknown option" 2 "unrecognized option '--no-such-thing'" \
        "$POSGRAD" "$command" --no-such-thing
done
refused "train: nearest option" 2 "'--optimiser'; did you mean '--optimizer'" \
    "$POSGRAD" train --pe learned --optimiser=adam
refused "train: nearest option after a value that looks like one" 2 "did you mean '--steps'" \
    "$POSGRAD" train --out-dir --stepps --stepz 4
refused "inspect: nearest option" 2 "'--jsn'; did you mean '--json'" "$POSGRAD" inspect -j --jsn run
refused "an abbreviation of one option" 2 '--task is missing' "$POSGRAD" train --pro --pe none
refused "of several" 2 "'--patience' or '--pe" "$POSGRAD" train --p
refused "what takes no value" 2 "option '--profile' doesn't allow an argument" "$POSGRAD" train "$(printf -- '--pro=\r')"
refused "export: nearest option" 2 "did you mean '--format'" "$POSGRAD" export -o --what --fromat npz run
# Every command that a help text names is there.
for command in "" train eval compare diff export inspect trace gradcheck list system; do
    # shellcheck disable=SC2086
    for named in $("$POSGRAD" $command --help | grep -o "'posgrad [a-z]*" | cut -d ' ' -f 2); do
        good "help of '$command' names $named" 'Usage' "$POSGRAD" "$named" --help
    done
done
good "started as train" "^Usage: posgrad train" "$TRAIN" --help
good "started as train from here" "^Usage: posgrad train" ./train --help
good "help of train names every encoding" 'sinusoidal' "$TRAIN" --help
good "help of export names every format" '  npz ' "$POSGRAD" export --help

for list in encodings tasks optimizers schedules formats ops; do
    good "list $list" '^[a-z]' "$POSGRAD" list "$list"
    good "list $list --json" '^\[$' "$POSGRAD" list "$list" --json
done
good "list has the null model" '^none ' "$POSGRAD" list encodings
good "list has options" '^ +--optimizer-opt beta1=0.9  ' "$POSGRAD" list optimizers
good "list has options in JSON" '"default"' "$POSGRAD" list optimizers --json
refused "list of nothing" 2 'encodings, tasks' "$POSGRAD" list
refused "list: nearest" 2 "did you mean 'tasks'" "$POSGRAD" list task
refused "list: unknown" 2 "no list of 'cheeses'" "$POSGRAD" list cheeses
refused "list: two" 2 'one list too many' "$POSGRAD" list tasks ops

good "system names the kernels" '^kernels ' "$POSGRAD" system
# OpenMP's own way of waiting makes a step tens of times slower beside another program.
good "threads do not spin for long" '^waiting +1000 turns' \
    env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT "$POSGRAD" system
good "the user's own way stands" '^waiting +passive' env -u GOMP_SPINCOUNT OMP_WAIT_POLICY=passive "$POSGRAD" system
good "and his own turns" '^waiting +7 turns' env -u OMP_WAIT_POLICY GOMP_SPINCOUNT=7 "$POSGRAD" system
good "system --json" '"blas_kernel": ' "$POSGRAD" system --json
refused "system takes no argument" 2 "'now'" "$POSGRAD" system now

good "gradcheck runs in double" 'pass op    softmax' "$POSGRAD" gradcheck --op softmax
good "gradcheck of an encoding, through a whole model" 'pass model +learned decoder' "$POSGRAD" gradcheck --pe learned
refused "gradcheck: a seed" 2 "'x' is not a number" "$POSGRAD" gradcheck --op softmax --seed x
refused "gradcheck: nearest op" 1 "did you mean 'softmax'" "$POSGRAD" gradcheck --op sofmax
refused "gradcheck: nearest encoding" 1 "did you mean 'learned'" "$POSGRAD" gradcheck --pe lerned

good "a profile names ops, rates and the rest" 'attention +backward +1 .* GFLOP/s .*of the limit' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --profile --out-dir profiled
if grep -q '^  batch and update' out; then ok "and the rest"; else fail "and the rest" "not there"; fi
good "a profile as JSON" '"profile": \{"steps": 4, .*"op": "attention", "pass": "forward"' \
    "$TRAIN" --pe learned --task probe "${small[@]}" --profile --json --out-dir profiled-json

if [ -w /dev/full ]; then
    run sh -c '"$1" list ops >/dev/full' - "$POSGRAD"
    if [ "$status" -eq 1 ] && grep -q "cannot write the output" err; then
        ok "a full output is an error"
    else
        fail "a full output is an error" "exit $status"
    fi
fi
run sh -c '"$1" list ops --json | head -n 1' - "$POSGRAD"
if [ "$status" -eq 0 ] && [ ! -s err ]; then ok "a reader that leaves is none"; else fail "a reader that leaves" "$status"; fi
finish
