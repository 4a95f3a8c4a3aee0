#!/usr/bin/env bash
# The rules of CONTRIBUTING.md that no compiler knows.
set -euo pipefail
cd "$(dirname "$0")/.."

broken=0

# Every breach is told, not only the first.
breach() {
    echo "rule broken: $*" >&2
    broken=1
}

# What belongs to the repository: not what was built, nor git's own.
files() {
    find . \( -name target -o -name .git \) -prune -o -type f \( "$@" \) -print | sort
}

files_are_short() {
    local file lines
    while read -r file; do
        lines=$(wc -l <"$file")
        [ "$lines" -le 600 ] || breach "$file has $lines lines; 600 is the limit"
    done < <(files -name '*.rs' -o -name '*.sh' -o -path './.ci/run')
}

# The compiler forbids it in what it compiles; this also sees what a cfg hides, and exceptions to the lint. What stands
# behind a quotation mark is text.
nothing_is_unsafe() {
    local found
    found=$(files -name '*.rs' | xargs -d '\n' grep -nE '^[^"]*(\bunsafe\s*(\{|fn\b|impl\b|trait\b|extern\b)|allow\(.*unsafe_code)' |
        grep -vE '^[^:]*:[0-9]+:\s*//' || true)
    [ -z "$found" ] || breach "unsafe code: $found"
    grep -q '^unsafe_code = "forbid"$' Cargo.toml || breach "the workspace does not forbid unsafe code"
}

# A crate that does not inherit them is checked by nobody.
every_crate_inherits_the_lints() {
    local manifest
    while read -r manifest; do
        grep -q '^\[package\]$' "$manifest" || continue
        grep -A 1 '^\[lints\]$' "$manifest" | grep -q '^workspace = true$' || breach "$manifest lacks '[lints] workspace = true'"
        grep -q '^rust-version\.workspace = true$' "$manifest" || breach "$manifest lacks 'rust-version.workspace = true'"
    done < <(files -name Cargo.toml)
}

the_readme_states_the_rust_version() {
    local version stated
    version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    [ -n "$version" ] || breach "Cargo.toml states no rust-version"
    stated=$(grep -iE 'MSRV|minimum supported Rust' README.md | grep -oE '1\.[0-9]+(\.[0-9]+)?' | sort -u | tr '\n' ' ' || true)
    [ "$stated" = "$version " ] || breach "README.md states '${stated% }' as the minimum Rust version, Cargo.toml $version"
}

files_are_short
nothing_is_unsafe
every_crate_inherits_the_lints
the_readme_states_the_rust_version
exit "$broken"
