#!/usr/bin/env bash
# Converts a copy of tests/dropin, which knows nothing of sc-tokio, the way docs/MIGRATING.md says, and sees that the same
# tests pass before and after. Then plants what docs/clippy.toml forbids, and sees that it is found.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/lib.sh

repository=$PWD
copy=$scratch/program
guard="clippy::disallowed_methods"
# A directory of its own: the program is another one after its conversion.
target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export CARGO_TARGET_DIR=$target/dropin CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never

# A workspace around the program, with our lints, versions and profiles, but none of our crates as members.
copy_program() {
    mkdir -p "$copy"
    cp -R tests/dropin "$copy/dropin"
    # On one line or on several, the members are ours.
    awk '/^members = /{ print "members = [\"dropin\"]"; ours = 1 } !ours { print } /\]/{ ours = 0 }' Cargo.toml |
        sed "s|path = \"sc-|path = \"$repository/sc-|" >"$copy/Cargo.toml"
    cp Cargo.lock "$copy/Cargo.lock"
}

# Each package of the copy's lock file is one of ours: the conversion brings nothing that has not been looked at.
resolves_nothing_new() {
    local news
    news=$(comm -13 <(packages "$repository/Cargo.lock") <(packages "$copy/Cargo.lock"))
    [ -z "$news" ] || fail "not in Cargo.lock: $news"
}

packages() {
    awk '/^name = /{ name = $3 } /^version = /{ print name, $3 }' "$1" | sort
}

# The names of the tests that pass.
tested() {
    tests cargo test --quiet -p sc-dropin -- --format pretty
    grep '^test .* ok$' "$scratch/tests" | sort >"$1"
}

# How often this is written in the program.
written() {
    { grep -rohE "$1" --include='*.rs' src tests || true; } | wc -l
}

convert() {
    run cargo add --quiet --path "$repository/sc-tokio"
    cp "$repository/docs/clippy.toml" clippy.toml
    # Only what the guard says: the fixes of other lints are somebody else's change. Imports that a rewrite leaves unused may
    # fall to the second run.
    for _ in first second; do
        run cargo clippy --quiet --fix --allow-no-vcs --all-targets -- \
            -A clippy::all -A clippy::pedantic -A clippy::nursery -W "$guard" 2>"$scratch/fixed" || said
        ! grep -q "failed to automatically apply" "$scratch/fixed" || said
    done
    run cargo fmt
}

said() {
    cat "$scratch/fixed" >&2
    fail "the conversion does not compile"
}

everything_is_converted() {
    local left
    left=$(grep -rnP '(?<!sc_)tokio::spawn|task::spawn' --include='*.rs' src tests | grep -vE ':[0-9]+: *//' || true)
    [ -z "$left" ] || fail "not converted: $left"
    # As many as there are. A number that falls with them would hide it if Clippy overlooked some.
    local counted
    counted="$(written 'sc_tokio::spawn\b') $(written 'sc_tokio::spawn_blocking\b') $(written 'sc_tokio::spawn_local\b')"
    [ "$counted" = "$1" ] || fail "$counted sites of spawn, spawn_blocking, spawn_local are converted, expected $1"
    echo "converted: $counted sites of spawn, spawn_blocking, spawn_local"
}

# Each entry of docs/clippy.toml finds what is planted for it, and nothing else is found.
the_guard_finds_what_is_planted() {
    cp planted/unowned.rs src/unowned.rs
    echo "pub mod unowned;" >>src/lib.rs
    if cargo clippy --quiet -- -D "$guard" 2>"$scratch/found"; then
        fail "the guard lets pass what it should find"
    fi
    diff <(sed -n 's/^ *{ path = "\([^"]*\)".*/\1/p' clippy.toml | sort) \
        <(sed -n 's/^error: use of a disallowed method `\(.*\)`$/\1/p' "$scratch/found" | sort) >&2 ||
        fail "the guard does not find what the entries of docs/clippy.toml say"
    echo "the guard found $(grep -c 'use of a disallowed method' "$scratch/found") of as many"
}

copy_program
cd "$copy/dropin"
tested "$scratch/before"
convert
resolves_nothing_new
everything_is_converted "62 8 1"
tested "$scratch/after"
diff "$scratch/before" "$scratch/after" >&2 || fail "not the same tests pass before and after"
# Nothing to complain of, with this workspace's lints.
run cargo clippy --quiet --all-targets -- -D warnings -D "$guard"
cp planted/owned.rs tests/owned.rs
tests cargo test --quiet -p sc-dropin --test owned
the_guard_finds_what_is_planted
