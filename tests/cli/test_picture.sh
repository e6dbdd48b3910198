# posgrad inspect: pictures of tables, on a terminal and where they are asked for.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

small_run t5 t5
small_run none none
has() { if grep -q -a -P -- "$2" out; then ok "$1"; else fail "$1" "there is no '$2'"; fi; }
lacks() { if grep -q -a -P -- "$2" out; then fail "$1" "there is '$2'"; else ok "$1"; fi; }
plain() { env -u COLUMNS LC_ALL=C TERM=xterm "$@"; }

run plain "$POSGRAD" inspect t5
has "the tables are named" '^  relative_bias .*head, offset$'
lacks "no picture in a pipe" '^relative_bias:'
good "a picture that is asked for" '^relative_bias: head 2, offset 15; -?[0-9.]+ to [0-9.]+$' \
    plain "$POSGRAD" inspect t5 --picture
has "beside the facts" 'digest ok'
has "of each table" '^bucket_bias: bucket 32, head 2;'
has "its axis" '^offset -7 +0 +7$'
has "a sign without colours" '^\.:-= -[0-9.e-]+ to 0, \+\*#@ 0 to [0-9.e-]+, blank near 0'
lacks "no escapes in a pipe" '\e'
lacks "nothing but ASCII" '[\x80-\xff]'
good "one table" '^relative_bias: ' plain "$POSGRAD" inspect t5 --table relative_bias
lacks "and nothing else" 'digest|bucket_bias'
good "a parameter" '^layers.0.attn.q.weight: axis_0 8, axis_1 8;' \
    plain "$POSGRAD" inspect t5/checkpoint.h5 --table layers.0.attn.q.weight
good "a run without tables" 'digest ok' plain "$POSGRAD" inspect none --picture
refused "its table" 1 'none has no tables' "$POSGRAD" inspect none --table position_table
refused "a table that is not there" 1 "called 'bias'; there are: bucket_bias, relative_bias" \
    "$POSGRAD" inspect t5 --table bias
refused "a group of parameters" 1 "no array is called 'layers'" "$POSGRAD" inspect t5 --table layers
refused "with --json" 2 'no pictures' "$POSGRAD" inspect t5 --json --picture
if [ -c /dev/full ]; then
    run sh -c 'exec "$@" >/dev/full' - "$POSGRAD" inspect t5 --picture
    if [ "$status" -ne 0 ] && [ -s err ]; then ok "a full device"; else fail "a full device" "exit $status"; fi
fi

# No line of cells is wider than COLUMNS.
run plain env COLUMNS=30 "$POSGRAD" inspect t5 --table relative_bias
has "it fits COLUMNS" '^offset -7     0      7$'
run plain env COLUMNS=20 "$POSGRAD" inspect t5 --table layers.0.mlp.up.weight
has "what does not fit" '^axis_1 0      7$'
run "$POSGRAD" train --pe learned --task probe "${small[@]}" --dim 64 --out-dir wide
run plain env COLUMNS=40 "$POSGRAD" inspect wide --table position_table
has "is made of several values" 'farthest from 0 of 1 x 3 values$'
if [ "$(sed -n '2,10p' out | awk '{ if (length > most) most = length } END { print most }')" -le 39 ]; then
    ok "no wider than COLUMNS"
else
    fail "no wider than COLUMNS" "$(sed -n '2,10p' out | awk '{ print length }')"
fi
run plain env COLUMNS=many "$POSGRAD" inspect wide --table position_table
has "COLUMNS that is no number" '^channel  0 {61}63$'
if LC_ALL=C.UTF-8 locale charmap 2>/dev/null | grep -q UTF-8; then
    run env LC_ALL=C.UTF-8 "$POSGRAD" inspect t5 --table relative_bias
    has "blocks where the locale has them" '^▁▂▃▄ -'
else
    skip "blocks where the locale has them" "there is no C.UTF-8"
fi

if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    skip "a picture on a terminal" "script(1) is missing, or can open none here"
    finish
fi
screen() { script -qec "stty cols $1; unset COLUMNS; $2 '$POSGRAD' inspect $3" typescript </dev/null >out 2>&1; }
screen 70 "LC_ALL=C TERM=xterm NO_COLOR=" t5
has "a picture on a terminal" '^relative_bias: '
has "in colour" '^\e\[31m\.:-=\+\*#@\e\[0m above 0, \e\[36m\.:-=\+\*#@\e\[0m below, both up to '
screen 70 "LC_ALL=C TERM=xterm NO_COLOR=1" t5
has "a picture with NO_COLOR" '^\.:-= -[0-9.e-]+ to 0, '
lacks "no escapes with NO_COLOR" '\e'
screen 40 "LC_ALL=C TERM=xterm NO_COLOR=1" "wide --table position_table"
has "as wide as the terminal" 'farthest from 0 of 1 x 3 values'
screen 70 "LC_ALL=C TERM=dumb" t5
lacks "none on a dumb terminal" '^relative_bias: '
screen 70 "LC_ALL=C TERM=xterm" "t5 --json"
lacks "none in JSON" '^relative_bias: '
finish
