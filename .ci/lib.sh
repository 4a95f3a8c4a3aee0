# How .ci/run runs a step: what is said, timed, counted.
# shellcheck shell=bash

scratch=$(mktemp -d)
current=
trap 'finish $?' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}

# Says what is run, on standard error so that the output can be used.
run() {
    echo "+ $*" >&2
    "$@"
}

# Runs tests, and fails if there were none: a filter or a cfg that matches nothing must not pass for a success.
# A test that hangs is a bug of the kind that is looked for here, and ends the step after a quarter of an hour.
tests() {
    run timeout 900 "$@" 2>&1 | tee "$scratch/tests" || fail "a test failed, or the tests took more than 15 minutes"
    local passed
    passed=$(awk '/^test result: ok\./ { passed += $4 } END { print passed + 0 }' "$scratch/tests")
    [ "$passed" -gt 0 ] || fail "no test was run"
    echo "$passed tests passed"
}

# The command between `<!-- ci: NAME -->` and `<!-- ci: end -->` in the README, without the fence around it.
readme_command() {
    local command
    command=$(sed -n "/^<!-- ci: $1 -->\$/,/^<!-- ci: end -->\$/p" README.md | grep -v -e '^<!--' -e '^```' -e '^$' || true)
    [ -n "$command" ] || fail "README.md has no command between '<!-- ci: $1 -->' and '<!-- ci: end -->'"
    echo "$command"
}

# The steps in the order in which .ci/run defines them.
steps() {
    sed -n 's/^step_\([a-z-]*\)() {$/\1/p' .ci/run
}

# A subshell, so that a step cannot leave anything to the next; not part of a condition, which would turn `set -e` off.
run_step() {
    local began=$SECONDS
    current=$1
    echo "=== $1"
    ("step_$1")
    echo "=== $1: $((SECONDS - began)) s"
}

finish() {
    rm -rf "$scratch"
    if [ "$1" -ne 0 ] && [ -n "$current" ]; then
        echo "=== FAILED: $current, after $SECONDS s in all" >&2
    fi
}

main() {
    if [ "${1:-}" = --list ]; then
        steps
        return
    fi
    local wanted name
    wanted=${*:-$(steps)}
    for name in $wanted; do
        steps | grep -qx -e "$name" || fail "there is no step '$name'; see .ci/run --list"
    done
    cp Cargo.lock "$scratch/Cargo.lock"
    for name in $wanted; do
        run_step "$name"
    done
    echo "=== all passed, in $SECONDS s"
}
