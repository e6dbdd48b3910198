# Mistakes, drawn at random, in the sources that compute: one a line of output, as
# FILE <tab> LINE <tab> KIND <tab> the line with its mistake.
#
#   awk -v count=300 -v seed=1 -f mutants.awk FILES...
#
# The kinds take turns, so that the rare ones are not lost among the common ones; within a kind every
# place of every file is as likely, and no line is drawn twice. The same files and the same seed give
# the same draw in any awk. Left alone is what computes nothing: what stands outside of functions,
# comments and texts, refusals, random cases of the gradient check, counts for profiles, how many
# pieces work is cut into, how much memory is asked for, and what another processor compiles.

BEGIN {
    kinds = split("sign factor term index compare loop swap", kind_name, " ")
    state = seed * 7919 + 12345
    for (i = 0; i < 4; i++)
        draw(1)
    idle = "^(check|tables_check|.*_check|pe_check.*|sample|.*_sample|flops|same_sums|fits|grid_fits|settings_fit|" \
        "sums_fit|claims_with|strips|input_strips|pieces_of|row_pieces|piece_count|cut_count|block_count|" \
        "chunk_count|whole_chunks|chunks_of|block_rows|scratch_count|scratch_reals|partial_size|rows_size|" \
        "attention_scratch_size|longest_column|widest_window|larger|wants_.*|read_settings|make_state|" \
        "optimizer_init|optimizer_release|optimizer_find|schedule_find|pe_find|stack_.*|pe_stack_.*|" \
        "unknown_option|pe_smallest_stack|has_word|name_of)$"
    quiet = "ag_fail|err_set|BUG_ON|par_pieces|__builtin_prefetch|\\(void\\)|alloc\\(|_size = |print_error|snprintf"
}

# A whole number below n: Park and Miller's generator, exact in the doubles that any awk has.
function draw(n) {
    state = (state * 16807) % 2147483647
    return int(state / 2147483647 * n)
}

# The line without what its comments, texts and characters say, as long as before.
function code_of(line, i, c, text, out) {
    out = ""
    text = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (text != "") {
            if (c == "\\") {
                out = out "  "
                i++
                continue
            }
            if (c == text)
                text = ""
            out = out " "
            continue
        }
        if (c == "/" && substr(line, i + 1, 1) == "/")
            break
        if (c == "\"" || c == "'") {
            text = c
            out = out " "
            continue
        }
        out = out c
    }
    while (length(out) < length(line))
        out = out " "
    return out
}

function trimmed(s) {
    sub(/ +$/, "", s)
    return s
}

# Keeps one possible mistake: characters `from` to `to` of the line become `text`.
function keep(kind, from, to, text, new) {
    new = substr(original, 1, from - 1) text substr(original, to + 1)
    if (new == original || (kind, FILENAME, FNR, new) in known)
        return
    known[kind, FILENAME, FNR, new] = 1
    found[kind]++
    what[kind, found[kind]] = FILENAME "\t" FNR "\t" kind_name[kind] "\t" new
}

# Where the operand that begins at `at` ends: names, members, calls, elements, casts; 0 for none.
function operand_end(code, at, i, c, depth, last) {
    i = at
    while (match(substr(code, i), /^\((real|double|float|int64_t|int32_t|size_t|int)\)/))
        i += RLENGTH
    if (match(substr(code, i), /^[-!&*]/))
        i++
    if (!match(substr(code, i), /^[A-Za-z0-9_(]/))
        return 0
    last = 0
    for (; i <= length(code); i++) {
        c = substr(code, i, 1)
        if (c ~ /[A-Za-z0-9_.]/) {
            last = i
        } else if (substr(code, i, 2) == "->") {
            i++
            last = i
        } else if (c == "(" || c == "[") {
            depth = 0
            for (; i <= length(code); i++) {
                c = substr(code, i, 1)
                depth += (c == "(" || c == "[") - (c == ")" || c == "]")
                if (depth == 0)
                    break
            }
            if (i > length(code))
                return 0
            last = i
        } else
            break
    }
    return last
}

# Where the operand that ends at `at` begins.
function operand_start(code, at, i, c, depth) {
    for (i = at; i > 0; i--) {
        c = substr(code, i, 1)
        if (c == ")" || c == "]") {
            depth = 0
            for (; i > 0; i--) {
                c = substr(code, i, 1)
                depth += (c == ")" || c == "]") - (c == "(" || c == "[")
                if (depth == 0)
                    break
            }
            if (i == 0)
                return 0
        } else if (c == ">" && substr(code, i - 1, 1) == "-")
            i--
        else if (c !~ /[A-Za-z0-9_.]/)
            break
    }
    return i < at ? i + 1 : 0
}

# Binary operators, which clang-format keeps between blanks (or at the end of a line).
function operators(code, i, op, a, b, at_end, end, next_end) {
    for (i = 2; i < length(code); i++) {
        if (substr(code, i, 1) != " ")
            continue
        op = substr(code, i + 1, 2)
        if (op ~ /^[-+*\/%<>]$/ || op ~ /^[-+*\/%<>] $/) {
            op = substr(op, 1, 1)
            at_end = trimmed(substr(code, i + 2)) == ""
            b = at_end ? 0 : operand_end(code, i + 3)
            a = operand_start(code, i - 1)
            end = b
            while (end && op ~ /[-+]/ && match(substr(code, end + 1), /^ [*\/%] [^ ]/)) {
                next_end = operand_end(code, end + 4)
                if (!next_end)
                    break
                end = next_end
            }
            if (op == "+" || op == "-")
                keep(1, i + 1, i + 1, op == "+" ? "-" : "+")
            if (op == "*" || op == "/")
                keep(2, i + 1, i + 1, op == "*" ? "/" : "*")
            if (b && (op == "+" || op == "-" || op == "*"))
                keep(3, i, end, "")
            if (op == "<" || op == ">") {
                if (code !~ /for \(/) {
                    keep(5, i + 1, i + 1, op "=")
                    keep(5, i + 1, i + 1, op == "<" ? ">" : "<")
                }
            }
            if (a && b && (op == "-" || op == "/" || op == "%" ))
                keep(7, a, b, substr(original, i + 3, b - i - 2) " " op " " substr(original, a, i - a))
        } else if (op ~ /^(<=|>=)$/) {
            keep(5, i + 1, i + 2, substr(op, 1, 1))
        } else if (op ~ /^(==|!=)$/) {
            keep(5, i + 1, i + 2, op == "==" ? "!=" : "==")
        } else if (op ~ /^(&&|\|\|)$/) {
            keep(5, i + 1, i + 2, op == "&&" ? "||" : "&&")
        } else if (op ~ /^[-+]=$/ && code !~ /for \(/) {
            keep(1, i + 1, i + 2, op == "+=" ? "-=" : "+=")
        }
    }
}

# Signs of one operand, numbers, elements, conditions, arguments.
function operands(code, i, rest, a, b, start, depth, c, number) {
    for (i = 1; i <= length(code); i++) {
        rest = substr(code, i)
        if (match(rest, /^(= |\(|, |\? |: |return )-[A-Za-z0-9_(]/)) {
            start = i + RLENGTH - 2
            if (substr(code, start) !~ /^-1[^0-9.]/)
                keep(1, start, start, "")
        }
        if (match(rest, /^[0-9]+\.[0-9]+(e-?[0-9]+)?f?/) && substr(code, i - 1, 1) !~ /[A-Za-z0-9_.]/) {
            number = substr(code, i, RLENGTH)
            if (number + 0 != 0)
                keep(2, i, i + RLENGTH - 1, number ~ /f$/ ? "(" number " * 1.01f)" : "(" number " * 1.01)")
            i += RLENGTH - 1
            continue
        }
        if (match(rest, /^2 \* /) && substr(code, i - 1, 1) !~ /[A-Za-z0-9_.]/)
            keep(2, i, i, "3")
        if (substr(rest, 1, 1) == "[" && substr(code, i - 1, 1) ~ /[A-Za-z0-9_\])]/ &&
            substr(code, 1, i) !~ /^ *(static )?(const )?((struct|enum) )?[a-z_0-9]+ [][A-Z*a-z_0-9, ]+\[$/) {
            depth = 0
            for (b = i; b <= length(code); b++) {
                c = substr(code, b, 1)
                depth += (c == "[") - (c == "]")
                if (depth == 0)
                    break
            }
            if (b <= length(code) && b > i + 1) {
                keep(4, b, b, " + 1]")
                if (substr(code, i + 1, b - i - 1) != "0")
                    keep(4, b, b, " - 1]")
            }
        }
        if (match(rest, /^if \(!/))
            keep(5, i + 4, i + 4, "")
        if (match(rest, /^\? /)) {
            a = operand_end(code, i + 2)
            if (a && substr(code, a + 1, 3) == " : ") {
                b = operand_end(code, a + 4)
                if (b)
                    keep(7, i + 2, b, substr(original, a + 4, b - a - 3) " : " substr(original, i + 2, a - i - 1))
            }
        }
        if (substr(rest, 1, 1) ~ /[(,]/ && substr(rest, 1, 2) !~ /^(, |\()$/ || substr(rest, 1, 2) == ", ") {
            start = substr(rest, 1, 1) == "(" ? i + 1 : i + 2
            a = operand_end(code, start)
            if (a && substr(code, a + 1, 2) == ", ") {
                b = operand_end(code, a + 3)
                if (b && substr(code, b + 1, 1) ~ /[,)]/)
                    keep(7, start, b, substr(original, a + 3, b - a - 2) ", " substr(original, start, a - start + 1))
            }
        }
    }
}

# What a line adds, and what it has done, left out.
function statements(code) {
    if (match(code, /^ +[A-Za-z_*][^=;(]* [-+*\/|&]= [^;]*; *$/) || match(code, /^ +[a-z_0-9]+\([^;]*\); *$/)) {
        match(code, /^ +/)
        keep(3, RLENGTH + 1, length(original), ";")
    }
}

# One turn too many, too few, or begun too late.
function loops(code, at, end, i, rest) {
    if (!match(code, /for \(/))
        return
    at = RSTART
    if (match(substr(code, at), /= 0;/))
        keep(6, at + RSTART - 1, at + RSTART + 2, "= 1;")
    for (i = at; i < length(code); i++) {
        if (substr(code, i, 3) == " < " || substr(code, i, 4) == " >= ") {
            rest = substr(code, i)
            if (substr(code, i, 3) == " < ")
                keep(6, i, i + 2, " <= ")
            else
                keep(6, i, i + 3, " > ")
            if (substr(code, i, 3) == " < " && match(rest, /( &&|;)/))
                keep(6, i + RSTART - 1, i + RSTART - 2, " - 1")
        }
    }
}

# Lines are kept until their statement ends, as what a refusal says stands in its last line.
function flush_statement(i, code) {
    if (statement !~ quiet)
        for (i = 1; i <= pending; i++) {
            FNR_kept = FNR
            FNR = pending_line[i]
            original = pending_text[i]
            code = pending_code[i]
            operators(code)
            operands(code)
            statements(code)
            loops(code)
            FNR = FNR_kept
        }
    pending = 0
    statement = ""
}

FNR == 1 {
    inside = 0
    hidden = 0
    depth_of_if = 0
    name = ""
    pending = 0
    statement = ""
    macro = 0
}
{
    was_macro = macro
    macro = $0 ~ /\\$/ && ($0 ~ /^ *#/ || was_macro)
    if (was_macro)
        next
}
/^ *# *if/ {
    depth_of_if++
    other[depth_of_if] = $0 !~ /POSGRAD_DOUBLE$/ && $0 !~ /_H$/
    hidden += other[depth_of_if]
}
/^ *# *endif/ {
    hidden -= other[depth_of_if]
    depth_of_if--
}
/^ *#/ { next }
/^[a-z].*[a-z0-9_]\(/ {
    name = $0
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
}
/^\{/ {
    inside = 1
    next
}
/^\}/ {
    inside = 0
    pending = 0
    statement = ""
}
inside && !hidden && name !~ idle {
    line_code = code_of($0)
    pending++
    pending_line[pending] = FNR
    pending_text[pending] = $0
    pending_code[pending] = line_code
    statement = statement " " line_code
    # (a condition goes with what it guards)
    if (trimmed(line_code) ~ /[;}:]$/ || trimmed(line_code) == "" || (trimmed(line_code) ~ /\{$/ && statement !~ /^[ }]*(else )?if \(/))
        flush_statement()
}
END {
    drawn = 0
    for (empty = 0; drawn < count && empty < kinds;) {
        empty = 0
        for (kind = 1; kind <= kinds && drawn < count; kind++) {
            for (good = 0; found[kind] > 0 && !good;) {
                i = 1 + draw(found[kind])
                mutant = what[kind, i]
                what[kind, i] = what[kind, found[kind]]
                found[kind]--
                split(mutant, part, "\t")
                good = !((part[1], part[2]) in used)
                used[part[1], part[2]] = 1
            }
            if (!good) {
                empty++
                continue
            }
            print mutant
            drawn++
        }
    }
}
