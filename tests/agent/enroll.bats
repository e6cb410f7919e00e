#!/usr/bin/env bats
# A machine's life at a real console, as `cloister` shows it: unknown, enrolled, approved, revoked.
# CLOISTER_BIN is the folder of the programs. Needs root. The tests build on one another.

bats_require_minimum_version 1.5.0

LISTENS='127\.0\.0\.1:([0-9]+)' # in what the console says when it listens

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "the agent needs root"
    export FOLDER RUNTIME
    FOLDER=$(mktemp -d /var/tmp/cloister-enroll-XXXXXX)
    RUNTIME=/run/cloister-enroll-${FOLDER##*-}
    chmod 755 "$FOLDER"
    mkdir "$FOLDER/bin"
    cp "$CLOISTER_BIN"/cloister* "$FOLDER/bin/"
    "$FOLDER/bin/cloister-console" serve --state "$FOLDER/console" --listen 127.0.0.1:0 \
        --name localhost > "$FOLDER/console.log" 2>&1 3>&- 4>&- &
    echo $! > "$FOLDER/console.pid"
    await "the console" grep -qE "$LISTENS" "$FOLDER/console.log" || { cat "$FOLDER/console.log" >&2; false; }
    cp "$FOLDER/console/ca.pem" "$FOLDER/ca.pem"
    chmod 644 "$FOLDER/ca.pem"
    cat > "$FOLDER/cloister.conf" <<END
[agent]
state = $FOLDER/state
runtime = $RUNTIME
[capture]
screenshots = off
[log]
syslog = no
[console]
host = localhost
port = $(sed -nE "s/.*$LISTENS.*/\\1/p" "$FOLDER/console.log" | head -n 1)
ca = $FOLDER/ca.pem
END
    "$FOLDER/bin/cloisterd" --config "$FOLDER/cloister.conf" > "$FOLDER/log" 2>&1 3>&- 4>&- &
    echo $! > "$FOLDER/agent.pid"
    await "a connection" phase unenrolled || { cat "$FOLDER/log" >&2; false; }
}


teardown_file() {
    [ -n "${FOLDER:-}" ] || return 0
    end "$FOLDER/agent.pid"
    end "$FOLDER/console.pid"
    rm -rf "$FOLDER"
}

teardown() {
    tail -n 20 "$FOLDER/log" # shown only when a test failed
}

end() {
    local pid
    pid=$(cat "$1")
    kill "$pid" 2> /dev/null || return 0
    await "process $pid to end" gone "$pid"
}

gone() { ! kill -0 "$1" 2> /dev/null || grep -q '^State:.*Z' "/proc/$1/status"; }

await() {
    local what=$1 until=$((SECONDS + 30))
    shift
    until "$@"; do
        if [ $SECONDS -ge $until ]; then
            echo "waited in vain for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

cloister() { "$FOLDER/bin/cloister" --runtime "$RUNTIME" "$@"; }
console() { "$FOLDER/bin/cloister-console" "$@" --state "$FOLDER/console"; }
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
phase() { [ "$({ cloister status --json 2> /dev/null || true; } | json "['connection']['phase']" 2> /dev/null)" = "$1" ]; }

@test "unknown to the console: connected, with what to do" {
    run cloister status
    [ "$status" -eq 0 ]
    [[ "$output" == *"the console does not know this machine"*"cloister enroll"* ]]
}

@test "a token that the console does not know: 5" {
    run --separate-stderr cloister enroll 0123456789abcdefgh
    [ "$status" -eq 5 ]
    [[ "$stderr" == *token_refused* && "$stderr" != *0123456789abcdefgh* ]]
    phase unenrolled
}

@test "a token enrols, once, and shows the fingerprint" {
    console token | head -n 1 > "$FOLDER/token"
    run --separate-stderr cloister enroll --token-file "$FOLDER/token"
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ "$output" == *"$(cloister identity --json | json "['fingerprint']")"*"approves it"* ]]
    await "the new state" phase pending
    run --separate-stderr cloister enroll --token-file "$FOLDER/token"
    [ "$status" -eq 0 ]
    [[ "$output" == *"knows this machine already"* ]]
}

@test "approved by its fingerprint" {
    console approve "$(cloister identity --json | json "['machine_id']")" \
        --fingerprint "$(cloister identity --json | json "['fingerprint']")"
    await "the approval" phase approved
    run cloister status
    [ "$status" -eq 0 ]
    [[ "$output" == *"connected and approved"* ]]
}

@test "revoked: status 9, enroll 5, and what to do" {
    console revoke "$(cloister identity --json | json "['machine_id']")"
    revoked() { [[ "$(cloister status)" == *"the console has revoked this machine"* ]]; }
    await "the revocation" revoked
    await "the reason to stand" eval 'run cloister status; [ "$status" -eq 9 ]'
    run --separate-stderr cloister enroll --wait 20 0123456789abcdefgh
    echo "$stderr"
    [ "$status" -eq 5 ]
    [[ "$stderr" == *"key reset"* ]]
}

@test "a new key is a new machine: it connects at once, unknown" {
    cloister key reset --yes
    await "the new machine" phase unenrolled
}

@test "without a console: 4, and why" {
    end "$FOLDER/console.pid"
    run --separate-stderr cloister enroll --wait 0 0123456789abcdefgh
    echo "$stderr"
    [ "$status" -eq 4 ]
    unreachable() { [[ "$(cloister status)" == *"it cannot be reached"* ]]; }
    await "the next attempt" unreachable
    run --separate-stderr cloister enroll --wait 0 0123456789abcdefgh
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"not connected"* ]]
}
