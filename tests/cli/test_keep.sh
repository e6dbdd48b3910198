# --keep N: how many checkpoints stay, through stops, kills, resumes and --overwrite.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh"

args=(--pe learned --task probe "${small[@]}" --steps 10 --save-every 2)
# checkpoints FOLDER: those that are there, with the step that each holds.
checkpoints() {
    local file
    for file in "$1"/checkpoint*.h5*; do
        echo "${file##*/}:$("$POSGRAD" inspect "$file" | sed -n 's/^step *\([0-9]*\),.*/\1/p')"
    done | sort -V | tr '\n' ' '
}
# holds NAME FOLDER LIST
holds() {
    local list
    list=$(checkpoints "$2")
    if [ "$list" = "$3 " ]; then ok "$1"; else fail "$1" "there are $list, not $3"; fi
}

good "a run that keeps one" accuracy "$TRAIN" "${args[@]}" --out-dir one
holds "one is checkpoint.h5" one "checkpoint.h5:10"
good "a run that keeps three" accuracy "$TRAIN" "${args[@]}" --keep 3 --out-dir three
holds "three" three "checkpoint-6.h5:6 checkpoint-8.h5:8 checkpoint.h5:10"
good "inspect an elder one" '^step     8,' "$POSGRAD" inspect three/checkpoint-8.h5
good "export an elder one" '"step":6' "$POSGRAD" export three/checkpoint-6.h5 -o - --format json
refused "resume of an elder one" 1 'copy it over' "$TRAIN" --resume three/checkpoint-8.h5
refused "export over an elder one" 1 'another name' "$POSGRAD" export three -o three/checkpoint-8.h5 -f npy

# Back to an elder one, and forward again: the same bits, and the same files.
cp -r three back && cp back/checkpoint-6.h5 back/checkpoint.h5
good "from an elder one" accuracy "$TRAIN" --resume back --quiet
holds "from an elder one: what stays" back "checkpoint-6.h5:6 checkpoint-8.h5:8 checkpoint.h5:10"
if cmp -s back/checkpoint.h5 three/checkpoint.h5 && cmp -s back/checkpoint-8.h5 three/checkpoint-8.h5; then
    ok "from an elder one: the same bits"
else
    fail "from an elder one: the same bits" "they differ"
fi

run "$TRAIN" --resume three --steps 14 --quiet
holds "a resumed run goes on pruning" three "checkpoint-10.h5:10 checkpoint-12.h5:12 checkpoint.h5:14"
run "$TRAIN" --resume three --steps 18 --keep 2 --quiet
if grep -q -e '--keep was 3 and is now 2' err; then ok "a resume may change it"; else fail "a resume may change it" "$status"; fi
holds "a resume that keeps two" three "checkpoint-16.h5:16 checkpoint.h5:18"
cp three/checkpoint.h5 three/checkpoint-mine.h5
run "$TRAIN" --resume three --steps 20 --keep 1 --quiet
holds "a resume that keeps one, and what is not ours" three "checkpoint-mine.h5:18 checkpoint.h5:20"

# A second name of the same file is what a kill between the two steps of a save leaves.
cp -r back killed && rm killed/checkpoint-*.h5 && ln killed/checkpoint.h5 killed/checkpoint-10.h5
: >killed/checkpoint-elder.h5.tmp
run "$TRAIN" --resume killed --steps 12 --quiet
holds "after a kill within a save" killed "checkpoint-10.h5:10 checkpoint.h5:12"
# What kills at other moments leave goes when the run goes on, even one that is done; what is not ours stays.
cp -r three left
for file in checkpoint.h5 best.h5 config.json checkpoint-elder.h5 checkpoint-4.h5 checkpoint-mine.h5; do : >left/$file.tmp; done
cp left/checkpoint.h5 left/checkpoint-2.h5
good "a run that was killed" 'all 20 steps are done' "$TRAIN" --resume left
if [ "$(cd left && echo *)" = "checkpoint-mine.h5 checkpoint-mine.h5.tmp checkpoint.h5 config.json metrics.jsonl" ]; then
    ok "what it left is gone"
else
    fail "what it left is gone" "$(cd left && echo *)"
fi
mkdir early && echo '{' >early/config.json.tmp
good "a run that was killed before it began" accuracy "$TRAIN" "${args[@]}" --out-dir early
good "--overwrite" accuracy "$TRAIN" "${args[@]}" --out-dir back --overwrite
holds "--overwrite removes all" back "checkpoint.h5:10"
refused "none" 2 '--keep 0 is out of range' "$TRAIN" "${args[@]}" --keep 0 --out-dir none

# Files that only look like a run's.
mkdir other && echo '{"name": "web"}' >other/config.json
refused "--overwrite of another's config.json" 1 'not that of a run' "$TRAIN" "${args[@]}" --out-dir other --overwrite
mkdir keras && echo weights >keras/checkpoint.h5
refused "--overwrite of another's checkpoint.h5" 1 'not that of a run' "$TRAIN" "${args[@]}" --out-dir keras --overwrite
if [ "$(cat other/config.json keras/checkpoint.h5)" = $'{"name": "web"}\nweights' ]; then
    ok "both are untouched"
else
    fail "both are untouched" "they are not"
fi
mkdir -p folder/checkpoint.h5
refused "a folder called checkpoint.h5" 1 'folder/checkpoint.h5 is a folder' "$TRAIN" --resume folder
refused "no name" 1 'empty' "$TRAIN" --resume ''
finish
