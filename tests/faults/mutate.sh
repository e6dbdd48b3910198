#!/usr/bin/env bash
# Puts one mistake after the other into the sources that compute, and sees whether the tests notice.
#
#   mutate.sh [-n COUNT] [-s SEED] [-j JOBS] [-o FOLDER] [-m LIST] [-t "TESTS"] [-l MS] [-T TIMES] [-c] [FILE...]
#
# Mistakes are drawn by mutants.awk (or taken from LIST, in its form). Of each, the file is compiled
# anew, linked in front of the library that BUILD has, and the tests of its subject run until one
# fails: then it is caught. What does not compile is no mutant, and the next one is drawn. What
# compiles to the machine code of the right source, or stands in equivalent.txt, is no mistake: it is
# shown, and taken out of the count. Survivors are shown, too. Exit status 0: at least 95 % were caught.
#
# A survivor has all tests of the library behind it, some minutes. -l leaves out those that take longer
# than so many milliseconds and are not of the file's subject; -T takes FOLDER/times of an earlier run, which saves the run without any
# mistake.
#
# From make come BUILD, OWN (the level of vector code), CC, COMPILE and LIBS (flags).
set -uo pipefail
cd "$(dirname "$0")/../.."
here=tests/faults
BUILD=${BUILD:-build} OWN=${OWN:-base} CC=${CC:-cc}
COUNT=300 SEED=1 JOBS=$(nproc) OUT=$BUILD/mutants LIST="" ONLY="" LONGEST=1000000 TIMES="" GO_ON="" LEAST=95
while getopts n:s:j:o:m:t:l:T:c option; do
    case $option in
    n) COUNT=$OPTARG ;;
    s) SEED=$OPTARG ;;
    j) JOBS=$OPTARG ;;
    o) OUT=$OPTARG ;;
    m) LIST=$OPTARG ;;
    t) ONLY=$OPTARG ;;
    l) LONGEST=$OPTARG ;;
    T) TIMES=$OPTARG ;;
    c) GO_ON=yes ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
ulimit -c 0
# A test may take ten times as long as without a mistake, and so many seconds, of the processor's time,
# before it counts as hung; or as long as this where it sleeps.
SPARE=10 ASLEEP=300
# Mistakes of type are the compiler's to find.
FLAGS="-O1 -g0 -Werror=incompatible-pointer-types -Werror=int-conversion -Werror=implicit-function-declaration"
# Each test is linked anew: without debug information, and by the fastest linker that is there.
LINK="-g0 -Wl,-S$(command -v ld.gold >/dev/null && echo " -fuse-ld=gold")"

subject_files() {
    ls autograd/ops/*.[ch] autograd/kernels/*.[ch] src/encodings/*.c src/encodings/common/*.c optim/*.c optim/optimizers/*.c \
        optim/schedules/*.c | grep -v -E '/(list\.[ch]|registry\.c|theorem\.[ch]|(blas|level|peak|selftest)\.[ch])$'
}

# What tests the library: not files, folders, ends of runs.
library_tests() {
    ls tests/{ops,golden,encodings,property}/test_*.c tests/unit/test_{product,vector,transpose,optim}.c tests/faults/test_nonfinite.c |
        grep -v -E '/(property/test_(saves|resume|run|theorem)|golden/test_golden_reader)\.c$' |
        sed -n -E 's#^tests/(.*)\.c$#float/\1\ndouble/\1#p'
}

# The tests for a file, "PRECISION/PATH": those of its subject, then all that it is linked into and
# reached from, the shortest first.
tests_of() {
    local first never=none
    case $1 in
    optim/*)
        never="/(ops|golden/test_golden_(ops|model|encodings)|encodings|unit/test_(product|vector|transpose)|property/test_.*(encodings|bounds|extension|padding|paired))"
        first="double/unit/test_optim double/golden/test_golden_optim float/unit/test_optim float/golden/test_golden_optim"
        ;;
    src/*)
        never="/(ops|unit|golden/test_golden_(ops|optim))"
        first="double/golden/test_golden_encodings double/property/test_build_bounds float/property/test_encodings_tables
        double/encodings/test_rotary double/encodings/test_absolute float/property/test_extension double/property/test_encodings"
        ;;
    autograd/kernels/*) first="float/unit/test_vector double/unit/test_vector double/unit/test_product float/unit/test_product
        float/unit/test_transpose double/ops/test_bounds double/ops/test_ops_forward double/ops/test_gradcheck" ;;
    autograd/ops/attention*) first="double/ops/test_bounds double/golden/test_golden_ops double/golden/test_golden_encodings double/ops/test_backward
        double/ops/test_attention double/ops/test_gradcheck" ;;
    *) first="double/ops/test_bounds double/ops/test_backward float/ops/test_bounds double/ops/test_ops_forward
        double/golden/test_golden_ops double/golden/test_golden_model double/ops/test_gradcheck" ;;
    esac
    # shellcheck disable=SC2086
    if [ -n "$ONLY" ]; then
        printf '%s\n' $ONLY
    else
        { printf '%s\n' $first; sort -k 2n "$OUT/times" | awk -v longest="$LONGEST" '$2 <= longest {print $1}' | grep -v -E "$never"; } |
            awk '!seen[$0]++'
    fi
}

# --- one mutant

objects() { # SOURCES PRECISION FILE: what is to be compiled again
    case $3 in
    *.c) echo "${3%.c}" ;;
    *) grep -l -E -- "/${3##*/}( |$)" $(find "$BUILD/$2-$OWN/autograd" "$BUILD/$2-$OWN/optim" "$BUILD/$2-$OWN/src" -name '*.d') |
        sed "s#^$BUILD/$2-$OWN/##; s#\.d\$##" ;;
    esac
}

# compile SOURCES PRECISION FILE FOLDER: the objects that depend on FILE, of a folder of sources.
compile() {
    local name names define=""
    [ "$2" = double ] && define=-DPOSGRAD_DOUBLE
    mkdir -p "$4"
    names=$(objects "$@")
    [ -n "$names" ] || return 1 # nobody includes it
    for name in $names; do
        # shellcheck disable=SC2086
        (cd "$1" && $CC ${COMPILE-} $FLAGS $define -DPOSGRAD_ENTRY="posgrad_$2_$OWN" -MF /dev/null -c -o "$4/${name//\//-}.o" "$name.c") \
            2>>"$4/errors" || return 1
    done
}

# run_test TEST FOLDER OBJECTS...: links it in front of the library and runs it. Where the mistake is in
# HEADER, a test that includes it is compiled anew.
run_test() {
    local precision=${1%%/*} path=tests/${1#*/} folder=$2 limit
    shift 2
    local built=$BUILD/$precision-$OWN
    local object=$built/$path.o define=""
    [ "$precision" = double ] && define=-DPOSGRAD_DOUBLE
    if [ -n "${HEADER-}" ] && grep -q -E "/${HEADER##*/}( |\$)" "$built/$path.d"; then
        object=$folder/test.o
        # shellcheck disable=SC2086
        (cd "$folder/sources" && $CC ${COMPILE-} $FLAGS $define -MF /dev/null -c -o "$object" "$path.c") 2>>"$folder/errors" || return 99
    fi
    # shellcheck disable=SC2086
    $CC ${COMPILE-} $LINK -MF /dev/null -o "$folder/test" "$object" "$built"/tests/support/*.o "$@" "$built/libposgrad.a" ${LIBS-} \
        -lcmocka 2>>"$folder/errors" || return 99
    limit=$(awk -v name="$precision/${path#tests/}" -v spare=$SPARE -v most=$ASLEEP '
        $1 == name {n = $2 / 100 + spare} END {print int(n ? n : most)}' "$OUT/times")
    # (bash would tell of a signal)
    { (ulimit -t "$limit" && exec timeout -k 5 $ASLEEP "$folder/test") >"$folder/output" 2>&1; } 2>/dev/null
}

# is_explained FILE, with OLD and NEW (the line) in the environment: whether equivalent.txt has it.
is_explained() {
    awk -v file="$1" '
        function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
        BEGIN { RS = ""; FS = "\n" }
        $1 == file && trim(substr($2, 2)) == ENVIRON["OLD"] && trim(substr($3, 2)) == ENVIRON["NEW"] { found = 1 }
        END { exit !found }' "$here/equivalent.txt"
}

# is_same_code FOLDER FILE: whether the right source compiles to the same code, in both precisions.
is_same_code() {
    local precision right
    for precision in float double; do
        right=$OUT/right/${2//\//-}/$precision
        if [ ! -e "$right/done" ]; then
            compile "$PWD" "$precision" "$2" "$right" || return 1
            rm -f "$right/errors"
            touch "$right/done"
        fi
        diff -r -q -x done "$right" "$1/$precision" >/dev/null || return 1
    done
}

# judge NUMBER FILE LINE NEW-TEXT FOLDER: prints what became of it.
judge() {
    local file=$2 line=$3 text=$4 folder=$5 precision test status old HEADER=""
    case $file in *.h) HEADER=$file ;; esac
    rm -rf "$folder"/{float,double}
    old=$(sed -n "${line}p" "$file")
    NEW_TEXT=$text awk -v line="$line" 'NR == line {print ENVIRON["NEW_TEXT"]; next} {print}' "$file" >"$folder/sources/$file"
    for precision in float double; do
        if ! compile "$folder/sources" "$precision" "$file" "$folder/$precision"; then
            echo "unbuilt	the compiler"
            return
        fi
        rm -f "$folder/$precision/errors"
    done
    OLD=$(trim "$old") NEW=$(trim "$text") is_explained "$file" && echo "equivalent	explained" && return
    is_same_code "$folder" "$file" && echo "equivalent	the same machine code" && return
    for test in $(tests_of "$file"); do
        run_test "$test" "$folder" "$folder/${test%%/*}"/*.o
        status=$?
        if [ $status -ne 0 ]; then
            [ $status -eq 99 ] && echo "unbuilt	the linker" && return
            [ $status -ge 124 ] && test="$test ($(case $status in 124 | 137 | 152) echo hung ;; *) echo "signal $((status - 128))" ;; esac))"
            echo "caught	$test"
            return
        fi
    done
    echo "survived	"
}
trim() { sed -E 's/^[ \t]+//; s/[ \t]+$//' <<<"$1"; }

# --- all of them

worker() {
    local folder=$OUT/worker-$1 number file line kind text
    mkdir -p "$folder/sources"
    cp -R autograd optim datasets src tests "$folder/sources/"
    while IFS=$'\t' read -r number file line kind text; do
        [ "$(cat "$OUT"/result/* 2>/dev/null | grep -c -v '^[0-9]*	unbuilt')" -ge "$COUNT" ] && break
        mkdir "$OUT/claim/$number" 2>/dev/null || continue
        judge "$number" "$file" "$line" "$text" "$folder" |
            sed "s#^#$number	#" >"$OUT/claim/$number/result"
        mv "$OUT/claim/$number/result" "$OUT/result/$number"
        cp "$file" "$folder/sources/$file"
        [ -t 2 ] && printf '\r%s mutants' "$(ls "$OUT/result" | wc -l)" >&2
    done < <(awk '{print NR "\t" $0}' "$OUT/drawn")
}

[ -n "$GO_ON" ] || rm -rf "$OUT"
mkdir -p "$OUT/claim" "$OUT/result"
OUT=$(cd "$OUT" && pwd)
for claim in "$OUT"/claim/*; do
    [ -e "$OUT/result/${claim##*/}" ] || rm -rf "$claim"
done
[ $# -gt 0 ] || set -- $(subject_files)
if [ -n "$GO_ON" ]; then
    [ -s "$OUT/drawn" ] || exit 2
elif [ -n "$LIST" ]; then
    cp "$LIST" "$OUT/drawn"
else
    awk -v count=$((2 * COUNT + 20)) -v seed="$SEED" -f $here/mutants.awk "$@" >"$OUT/drawn"
fi

# Without a mistake everything passes, and this is how long it takes, in milliseconds.
time_one() { # TEST
    local began folder=$OUT/right/${1//\//-}
    mkdir -p "$folder"
    began=$(date +%s%N)
    if run_test "$1" "$folder"; then
        echo "$1 $((($(date +%s%N) - began) / 1000000))" >>"$OUT/times"
    else
        { echo "$1 fails without any mistake:"; tail -n 5 "$folder/output" "$folder/errors"; } >>"$OUT/wrong"
    fi
    rm -f "$folder/test"
}
: >"$OUT/times"
if [ -n "$TIMES" ]; then
    cp "$TIMES" "$OUT/times"
else
    for test in ${ONLY:-$(library_tests)}; do
        while [ "$(jobs -r | wc -l)" -ge "$JOBS" ]; do wait -n; done
        time_one "$test" &
    done
    wait
    if [ -e "$OUT/wrong" ]; then
        cat "$OUT/wrong"
        exit 2
    fi
fi

for ((job = 0; job < JOBS; job++)); do
    worker $job &
done
wait
[ -t 2 ] && printf '\r' >&2

# In the order of the draw, so that the same seed counts the same mutants whatever was ready first.
cat "$OUT"/result/* | sort -n | awk -F '\t' -v count="$COUNT" '$2 == "unbuilt" || n++ < count' |
    awk -F '\t' 'NR == FNR {what[FNR] = $0; next} {print what[$1] "\t" $2 "\t" $3}' "$OUT/drawn" - >"$OUT/verdicts"

awk -F '\t' -v least=$LEAST '
    {
        area = $1
        sub(/\/[^\/]*$/, "", area)
        drawn[$3 SUBSEP $5]++; drawn[area SUBSEP $5]++; all[$5]++
        if (!($3 in is_kind)) { is_kind[$3]; kind[++kinds] = $3 }
        if (!(area in is_area)) { is_area[area]; place[++areas] = area }
    }
    function row(name, key) {
        if (drawn[key SUBSEP "caught"] + drawn[key SUBSEP "survived"] + drawn[key SUBSEP "equivalent"] == 0)
            return
        printf "%-28s %7d %10d %10d %10d\n", name, drawn[key SUBSEP "caught"] + drawn[key SUBSEP "survived"] + drawn[key SUBSEP "equivalent"],
            drawn[key SUBSEP "equivalent"], drawn[key SUBSEP "caught"], drawn[key SUBSEP "survived"]
    }
    END {
        printf "%-28s %7s %10s %10s %10s\n", "", "mutants", "equivalent", "caught", "survived"
        for (i = 1; i <= kinds; i++)
            row(kind[i], kind[i])
        for (i = 1; i <= areas; i++)
            row(place[i], place[i])
        judged = all["caught"] + all["survived"]
        share = judged ? 100 * all["caught"] / judged : 0
        printf "%d mutants, %d of them equivalent; %d of %d caught: %.1f %%\n", judged + all["equivalent"], all["equivalent"],
            all["caught"], judged, share
        exit !(share >= least)
    }' "$OUT/verdicts"
status=$?
awk -F '\t' '$5 == "survived" || $5 == "equivalent"' "$OUT/verdicts" | while IFS=$'\t' read -r file line kind text verdict why; do
    printf '%s %s:%s (%s)%s\n- %s\n+ %s\n' "$verdict" "$file" "$line" "$kind" "${why:+: $why}" \
        "$(trim "$(sed -n "${line}p" "$file")")" "$(trim "$text")"
done
exit $status
