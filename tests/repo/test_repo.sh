# The repository checked against its own rules: who may include whom, lists in step with files,
# names that are banned.
#
# BUILD is where the library was built: what it defines is compared with the rows of the lists. The
# rules are those of README and CONTRIBUTING.md.
set -uo pipefail
BUILD=${BUILD:-build}
bad=0
ok() { echo "ok $1"; }
fail() {
    bad=$((bad + 1))
    echo "FAIL $1:"
    sed 's/^/  /'
}
# verdict NAME: what comes on stdin is what is wrong.
verdict() {
    local wrong
    wrong=$(cat)
    if [ -z "$wrong" ]; then ok "$1"; else fail "$1" <<<"$wrong"; fi
}
sources() {
    find autograd optim datasets src tests -name '*.[ch]'
}

# --- include direction, room by room (the table of README's tour)
arrows() {
    local file line target
    while IFS=: read -r file line; do
        target=${line#*\"}
        echo "$file $(dirname "$file")/${target%%\"*}"
    done < <(grep -E '^ *# *include *"' $(sources) /dev/null)
}
# "a/b/../c" becomes "a/c".
plain() { sed -E ':a; s#(^| |/)[^/ .][^/ ]*/\.\./#\1#; ta'; }
room() {
    case $1 in
    autograd/base/*) echo base ;;
    autograd/kernels/*) echo kernels ;;
    autograd/*) echo autograd ;;
    optim/*) echo optim ;;
    datasets/*) echo datasets ;;
    src/encodings/*) echo encodings ;;
    src/model/*) echo model ;;
    src/train/* | src/io/*) echo train ;;
    src/cli/* | src/report/* | src/recipes/*) echo cli ;;
    tests/*) echo tests ;;
    *) echo nowhere ;;
    esac
}
may_include() {
    case $1 in
    base) echo " base " ;;
    kernels) echo " base kernels " ;;
    autograd) echo " base kernels autograd " ;;
    optim) echo " base kernels autograd optim " ;;
    datasets) echo " base datasets " ;;
    encodings) echo " base kernels autograd encodings " ;;
    model) echo " base kernels autograd encodings model " ;;
    train) echo " base kernels autograd optim datasets encodings model train " ;;
    cli) echo " base kernels autograd optim datasets encodings model train cli " ;;
    tests) echo " base kernels autograd optim datasets encodings model train cli tests " ;;
    esac
}
while read -r file target; do
    [ -e "$target" ] || echo "$file includes $target, which is not there"
    [[ $(may_include "$(room "$file")") == *" $(room "$target") "* ]] ||
        echo "$file may not include $target"
done < <(arrows | plain) | verdict "includes run one way"

# only NAME PATTERN FILES...: nothing outside FILES has PATTERN.
only() {
    local name=$1 pattern=$2 file
    shift 2
    grep -l -E "$pattern" $(sources) | grep -v '^tests/' | while read -r file; do
        [[ " $* " == *" $file "* ]] || echo "$file"
    done | verdict "$name"
}
only "cblas.h stays where it is" '# *include <cblas' autograd/kernels/gemm.c autograd/kernels/blas.c
only "hdf5.h stays where it is" '# *include <(hdf5|H5)' autograd/base/quiet_hdf5.h autograd/base/foreign_hdf5.c
only "quiet_hdf5.h stays where it is" '# *include *".*quiet_hdf5\.h"' autograd/base/quiet_hdf5.c \
    autograd/base/foreign_hdf5.c src/io/h5file.c
only "parallel regions stay where they are" '# *pragma omp +(parallel|for|task|sections)' autograd/base/par.c

# --- lists against files and against what the library defines
rows() { sed -n -E 's/^[A-Z]+\(([a-z0-9_]+)\)$/\1/p' "$1"; }

# in_step LIST PREFIX TYPE FILE-PATTERN OTHERS: rows are sorted where the head of the list says so;
# each row has a file ('' where files hold several) that defines PREFIX_row; every PREFIX_* object
# of the library is a row, but for the OTHERS.
library=$BUILD/float-${OWN:-base}/libposgrad.a
in_step() {
    local list=$1 prefix=$2 pattern=$3 others=$4 row file symbol symbols
    {
        [ -n "$(rows "$list")" ] || echo "$list has no rows"
        if head -n 1 "$list" | grep -q 'in order of name'; then
            rows "$list" | LC_ALL=C sort -c 2>&1 | sed "s#^sort: -#$list is out of order#"
        fi
        rows "$list" | sort | uniq -d | sed "s#^#$list has twice: #"
        grep -v -E '^(//.*|[A-Z]+\([a-z0-9_]+\)|)$' "$list" | sed "s#^#$list has a strange line: #"
        if [ -n "$pattern" ]; then
            for row in $(rows "$list"); do
                file=${pattern//%/$row}
                [ -e "$file" ] || echo "$list has $row, and there is no $file"
                [ ! -e "$file" ] || grep -q "${prefix}_$row\b" "$file" ||
                    echo "$file does not define ${prefix}_$row"
            done
        fi
        symbols=$(nm -g --defined-only "$library" 2>/dev/null |
            sed -n -E "s/^[0-9a-f]+ [RDBV] ${prefix}_([a-z0-9_]+)\$/\1/p")
        for row in $(rows "$list"); do
            grep -q -x "$row" <<<"$symbols" || echo "$list has $row, which nothing defines"
        done
        for symbol in $symbols; do
            [[ " $others " == *" $symbol "* ]] || rows "$list" | grep -q -x "$symbol" ||
                echo "${prefix}_$symbol is defined and has no row in $list"
        done
    } | verdict "$list is in step"
}
[ -e "$library" ] || fail "the library is built" <<<"there is no $library"
in_step autograd/ops/list.h ag_op "" "count"
in_step src/encodings/list.h pe "src/encodings/%.c" "list count extension_name"
in_step optim/optimizers/list.h optimizer "optim/optimizers/%.c" "list count"
in_step optim/schedules/list.h schedule "optim/schedules/%.c" "list count"
in_step datasets/tasks/list.h task "datasets/tasks/%.c" "list count"
in_step src/cli/list.h command "src/cli/command_%.c" "count"
in_step src/recipes/list.h recipe "src/recipes/%.c" "list count"
in_step src/io/hf/list.h hf "src/io/hf/%.c" "list count"
in_step src/io/export_list.h export "src/io/export_%.c" "formats format_count"
in_step src/io/import_list.h import "src/io/import_%.c" "formats format_count"

# A file of a folder of one file a row has its row.
{
    for list in src/encodings optim/schedules datasets/tasks; do
        for file in "$list"/*.c; do
            name=$(basename "$file" .c)
            [ "$file" = src/encodings/registry.c ] || rows "$list/list.h" | grep -q -x "$name" ||
                echo "$file has no row in $list/list.h"
        done
    done
    for file in src/cli/command_*.c; do
        name=$(basename "$file" .c)
        rows src/cli/list.h | grep -q -x "${name#command_}" || echo "$file has no row"
    done
} | verdict "every file has its row"

# --- names
banned() {
    grep -n -E "$2" $(sources) | grep -v -E "^$3" | verdict "$1"
}
banned "no assertion that lets NaN pass" 'assert_(float|double)_(not_)?equal' 'tests/support/check'
banned "nothing is left for later" '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' -
banned "no function that cannot say that it failed" \
    '\b(atoi|atol|atoll|atof|gets|strtok|sprintf|vsprintf|rand|srand|drand48|tmpnam|mktemp) *\(' tests/
banned "structs have no typedef" '^ *typedef +struct' 'autograd/ag_ops.h'
banned "no path of one machine" '"/(home|work|root)/' -
{
    grep -n "$(printf '\t')" $(sources)
    grep -n ' $' $(sources)
} | verdict "no tab and no space at the end of a line"
for file in $(sources); do
    head -n 1 "$file" | grep -q '^// ' || echo "$file does not say what it is for"
done | verdict "every file says what it is for"
for file in $(find autograd optim datasets src tests -name '*.h'); do
    case $(basename "$file") in list.h | *_list.h) continue ;; esac
    grep -q '^#ifndef POSGRAD_[A-Z0-9_]*_H$' "$file" || echo "$file has no guard of ours"
done | verdict "every header has its guard"

# --- the top of the tree
for entry in *; do
    case $entry in
    src | autograd | optim | datasets | tests | Makefile | README.md | LICENSE | CONTRIBUTING.md) ;;
    CITATION.cff | build* | posgrad | train | runs | config.mk) ;;
    *) echo "$entry does not belong here" ;;
    esac
done | verdict "the top of the tree has what it should"
if command -v clang-format-14 >/dev/null; then
    clang-format-14 --dry-run $(sources) 2>&1 | grep warning: | verdict "files are as clang-format leaves them"
else
    echo "skip files are as clang-format leaves them: there is no clang-format-14"
fi
for script in $(find tests .ci -name '*.sh') .ci/run .ci/deps; do
    bash -n "$script" 2>&1
done | verdict "scripts parse"
exit $((bad > 0))
