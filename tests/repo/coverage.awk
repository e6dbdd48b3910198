# Adds up what gcov -b -c -t says: which lines and branches of the library were reached. A line or a
# branch that several objects hold (float and double, headers) counts once, and as reached when one
# of them did. Ends with 1 where it is less than asked for.
#
# What was not reached is listed with the reasons that uncovered.txt gives: a pattern for FILE:TEXT of a
# line, a tab, the reason. Unreached lines that follow each other have one reason: the first of the file
# that fits one of them. What has none is shown.

BEGIN {
    least_lines = 90
    least_branches = 80
    reasons = "tests/repo/uncovered.txt"
    while ((getline line < reasons) > 0) {
        if (line ~ /^#/ || line !~ /\t/)
            continue
        known++
        at = index(line, "\t")
        pattern[known] = substr(line, 1, at - 1)
        reason[known] = substr(line, at + 1)
        gsub(/^\t+/, "", reason[known])
    }
}
/^ +-: +0:Source:/ {
    file = $0
    sub(/^ +-: +0:Source:/, "", file)
    while (sub(/[^\/.]+\/\.\.\//, "", file))
        continue
    ours = file ~ /^(autograd|optim|datasets|src)\//
    next
}
!ours { next }
match($0, /^ *[^:]+: *[0-9]+:/) {
    split($0, field, ":")
    gsub(/ /, "", field[1])
    gsub(/ /, "", field[2])
    place = file ":" field[2]
    if (field[1] == "-")
        next
    if (!(place in reached)) {
        reached[place] = 0
        lines[file]++
        text[place] = substr($0, RLENGTH + 1)
        order[++places] = place
        of[places] = file
    }
    if (field[1] !~ /^(#|=)/ && !reached[place]) {
        reached[place] = 1
        hit[file]++
    }
    next
}
/^branch / {
    branch = place ":" $2
    if (!(branch in taken)) {
        taken[branch] = 0
        branches[file]++
    }
    if ($0 ~ / taken [1-9]/ && !taken[branch]) {
        taken[branch] = 1
        ways[file]++
    }
}
function share(part, whole) { return whole ? 100 * part / whole : 100 }
function room_of(file) { return file ~ /^src\// ? "src" : substr(file, 1, index(file, "/") - 1) }
# The reason of lines begin .. end.
function why(begin, end, i, k) {
    for (k = 1; k <= known; k++)
        for (i = begin; i <= end; i++)
            if (of[i] ":" text[order[i]] ~ pattern[k])
                return k
    return 0
}
function number_of(i, n) {
    n = order[i]
    sub(/.*:/, "", n)
    return n + 0
}
END {
    for (file in lines) {
        r = room_of(file)
        room_lines[r] += lines[file]; room_hit[r] += hit[file]
        room_branches[r] += branches[file]; room_ways[r] += ways[file]
        all_lines += lines[file]; all_hit += hit[file]; all_branches += branches[file]; all_ways += ways[file]
    }
    for (i = 1; i <= places; i = end + 1) {
        end = i
        if (reached[order[i]])
            continue
        while (end < places && of[end + 1] == of[i] && !reached[order[end + 1]] && number_of(end + 1) - number_of(end) <= 4)
            end++
        k = why(i, end)
        if (k) {
            explained[k] += end - i + 1
            where[k] = where[k] sprintf("%s%s", of[i] == last_of[k] ? ", " : "\n        " of[i] ": ", number_of(i))
            if (end > i)
                where[k] = where[k] "-" number_of(end)
            last_of[k] = of[i]
        } else {
            unexplained += end - i + 1
            for (line = i; line <= end; line++)
                printf "%s:%d:%s\n", of[i], number_of(line), text[order[line]]
        }
    }
    if (unexplained)
        printf "\n%d lines above are not reached, and nothing says why\n\n", unexplained
    for (k = 1; k <= known; k++)
        if (explained[k])
            printf "%5d lines not reached: %s%s\n", explained[k], reason[k], where[k]
    printf "\n%-10s %15s %8s %15s %8s\n", "", "lines", "", "branches", ""
    split("autograd optim datasets src", rooms, " ")
    for (k = 1; k <= 4; k++) {
        r = rooms[k]
        printf "%-10s %6d of %6d %6.1f %% %6d of %6d %6.1f %%\n", r, room_hit[r], room_lines[r], share(room_hit[r], room_lines[r]),
            room_ways[r], room_branches[r], share(room_ways[r], room_branches[r])
    }
    printf "%-10s %6d of %6d %6.1f %% %6d of %6d %6.1f %%\n", "all", all_hit, all_lines, share(all_hit, all_lines), all_ways,
        all_branches, share(all_ways, all_branches)
    exit !(all_lines && share(all_hit, all_lines) >= least_lines && share(all_ways, all_branches) >= least_branches)
}
