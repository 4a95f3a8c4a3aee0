#!/usr/bin/env bash
# Checks tests/CONFORMANCE.md against what tests have run: .ci/conformance.sh LOG..., the output of `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
table=tests/CONFORMANCE.md
broken=0

complain() {
    echo "conformance: $*" >&2
    broken=1
}

# No case is missing, none is there twice.
ids=$(sed -n 's/^| \([A-Z]*-[A-Z]*-[0-9]*\) |.*/\1/p' "$table")
diff <(sort tests/conformance.ids) <(echo "$ids" | sort) >&2 || complain "the rows are not those of tests/conformance.ids"

# What has run, by the names that the table uses.
ran=$(awk '
    / Running (unittests )?[^ ]+ \(/ {
        file = $0; sub(/^.* Running (unittests )?/, "", file); path = file; sub(/ \(.*/, "", path)
        binary = file; sub(/^[^(]*\(/, "", binary); sub(/\).*/, "", binary); sub(/^.*\//, "", binary); sub(/-[0-9a-f]*$/, "", binary)
        if (path ~ /^(behaviour|faults|memory|shutdown)\/main\.rs$/) { prefix = path; sub(/\/main\.rs$/, "", prefix) }
        else if (path == "src/lib.rs" && binary == "sc_core") prefix = "core"
        else if (binary == "explore" || binary == "shut_down" || binary == "unjudged_exits" || binary == "lifecycle") prefix = "core::" binary
        else if (binary == "shuttle") prefix = "shuttle"
        else prefix = "examples::" binary
    }
    /^test [^ ]+( - should panic)? \.\.\. / && !/ignored/ {
        name = $2; sub(/::tests::/, "::", name); print prefix "::" name
    }' "$@" | sort -u)
[ -n "$ran" ] || complain "no test has run, according to $*"

named=$(grep '^| [A-Z]*-[A-Z]*-[0-9]* |' "$table" | grep -oE '`(behaviour|faults|memory|shutdown|shuttle|core|examples)::[a-z0-9_:]+`' | tr -d '`' | sort -u)
missing=$(comm -23 <(echo "$named") <(echo "$ran"))
[ -z "$missing" ] || complain "named, and did not run:"$'\n'"$missing"

for program in $(grep '^| [A-Z]*-[A-Z]*-[0-9]* |' "$table" | grep -oE '`compile_fail/[a-z0-9_/]+`' | tr -d '`' | sort -u); do
    [ -f "tests/$program.rs" ] || complain "there is no program tests/$program.rs"
done

awk -F ' *[|] *' '
    /^\| [A-Z]+-[A-Z]+-[0-9]+ \|/ {
        kind = $4 ~ /^n\/a:/ ? "n/a" : $4 ~ /^later:/ ? "later" : $4 ~ /^gap:/ ? "gap" : "tests"
        if (kind == "tests" && $4 !~ /`/) { print "conformance: " $2 " names no proof" > "/dev/stderr"; bad = 1 }
        if (kind == "gap" && ($3 == "MUST" || $3 == "P0")) { print "conformance: " $2 " is a gap" > "/dev/stderr"; bad = 1 }
        count[kind]++; all++
    }
    END {
        printf "%d cases: %d shown by tests, %d do not apply, %d later, %d gaps\n", all, count["tests"], count["n/a"], count["later"], count["gap"]
        exit bad
    }' "$table" || broken=1
exit "$broken"
