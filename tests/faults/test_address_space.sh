# Little address space (ulimit -v): whatever there is, the program ends, and says what it lacks.
#
# OpenBLAS takes a buffer for each processor while it is loaded, and where it gets none asks for it
# for ever; so the program asks before.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/../cli/support.sh"

if [ -n "${SAN-}" ]; then
    skip "little address space" "a sanitizer wants all of it"
    ok "nothing to do"
    finish
fi
small_run learned old

# within NAME KILOBYTES COMMAND...: it ends, by itself, and is either done or says why not.
within() {
    local name=$1 size=$2
    shift 2
    status=0
    (ulimit -v "$size" && exec timeout -s KILL 60 "$@") >out 2>err </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        done_within=$((done_within + 1))
    elif [ "$status" -eq 127 ] && grep -q -E 'shared libraries|shared object' err; then
        loaded_not=$((loaded_not + 1)) # the dynamic linker itself, before anything of ours
    elif [ "$status" -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q -E '^posgrad: .*memory' err; then
        said_within=$((said_within + 1))
    else
        fail "$name within $size KiB" "exit $status"
        return 1
    fi
}

# sweep NAME COMMAND...: from nothing to what is surely enough.
sweep() {
    local name=$1 size
    shift
    done_within=0 said_within=0 loaded_not=0
    for size in 20000 60000 100000 140000 180000 220000 260000 300000 340000 400000 500000 700000 \
        $((1000000 + 300000 * ($(nproc) + 2))); do
        within "$name" $size "$@" || return
    done
    if [ $done_within -gt 0 ] && [ $said_within -gt 0 ]; then
        ok "$name: done in $done_within limits, and says that memory is short in $said_within"
    else
        fail "$name" "done $done_within, said $said_within, not loaded $loaded_not"
    fi
}

sweep version "$POSGRAD" --version
sweep train "$POSGRAD" train --pe learned --task probe "${small[@]}" --overwrite --out-dir new
sweep resume "$POSGRAD" train --resume old
sweep eval "$POSGRAD" eval old --threads 1 --json
sweep export "$POSGRAD" export --overwrite old -o old.npz
good "what was there before" 'digest ok' "$POSGRAD" inspect old
finish
