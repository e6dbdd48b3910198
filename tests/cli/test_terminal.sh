# What a terminal shows: one live line that is written over, in colour unless NO_COLOR is set.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"
if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    ok "no terminal"
    skip "a terminal" "script(1) is missing, or can open none here"
    finish
fi

# on_terminal COLUMNS COMMAND: screen is what it wrote, a line for each return of the carriage.
on_terminal() {
    script -qec "stty cols $1; $2" typescript </dev/null >/dev/null 2>&1
    tr '\r' '\n' <typescript >screen
}
train="'$TRAIN' --pe learned --task probe ${small[*]} --steps 3000"
train=${train/ --quiet/}
has() { if grep -q -a -P -- "$2" screen; then ok "$1"; else fail "$1" "$(head -n 5 screen | cat -v)"; fi; }
lacks() { if grep -q -a -P -- "$2" screen; then fail "$1" "$(grep -a -P -- "$2" screen | head -n 3 | cat -v)"; else ok "$1"; fi; }

on_terminal 100 "TERM=xterm $train --out-dir live --eval-every 1000"
has "a live line" '^\e\[1mstep \d+/3000\e\[0m  loss \d+\.\d{4}  accuracy \d\.\d{3}  \d+ tokens/s  \d+:\d\d left\e\[K$'
has "which is erased before other lines" '^\e\[Kstep 1000  validation loss'
has "the result" '^accuracy \d\.\d{3} on validation'
on_terminal 30 "TERM=xterm $train --out-dir narrow"
sed -i 's/\x1b\[[0-9]*[mK]//g' screen
has "a live line where there is little room" '^step \d+/3000  loss'
lacks "no line is wider than the terminal" '^step \d+/3000.{20}'
on_terminal 100 "NO_COLOR=1 TERM=xterm $train --out-dir plain"
has "a live line with NO_COLOR" '^step \d+/3000  loss'
lacks "no colour with NO_COLOR" '\e\[\d*m'
on_terminal 100 "TERM=dumb $train --log-every 1000 --out-dir dumb"
lacks "no escapes on a dumb terminal" '\e'
has "but lines" '^step 2000/3000  loss'
on_terminal 100 "TERM=xterm $train --log-every 1000 --out-dir piped | cat"
lacks "no escapes where stdout is a pipe" '\e'
on_terminal 100 "TERM=xterm $train --quiet --out-dir quiet"
lacks "no escapes with --quiet" '\e'
finish
