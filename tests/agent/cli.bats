#!/usr/bin/env bats
# `cloister` against a real agent: cloisterd, broker, vault and capture on an X server of its own,
# with private folders. CLOISTER_BIN is the folder of the programs. Needs root.

bats_require_minimum_version 1.5.0

OWNER=65534 # of the desktop
OTHER=65533 # somebody else on this machine

setup_file() {
    [ "$(id -u)" -eq 0 ] || skip "the agent needs root"
    export FOLDER RUNTIME
    FOLDER=$(mktemp -d /var/tmp/cloister-cli-XXXXXX)
    RUNTIME=/run/cloister-cli-${FOLDER##*-}
    chmod 755 "$FOLDER"
    mkdir "$FOLDER/bin"
    cp "$CLOISTER_BIN"/cloister* "$FOLDER/bin/"
    mkdir "$FOLDER/keys"
    for kid in ops keeper; do
        (cd "$FOLDER/keys" && "$FOLDER/bin/cloister-sign" keygen --kid $kid --no-passphrase --profile user \
            "$([ $kid = ops ] && echo --countersigns || echo --revokes)" > $kid.jwk)
    done
    "$FOLDER/bin/cloister-sign" keys "$FOLDER"/keys/*.jwk > "$FOLDER/keys/set"
    "$FOLDER/bin/cloister-sign" stamp --keys "$FOLDER/keys/set" "$FOLDER/bin/cloister-vault"
    chgrp cloister-ticket "$FOLDER/bin/cloister-ticket"
    chmod 2755 "$FOLDER/bin/cloister-ticket"
    setcap cap_ipc_lock=ep "$FOLDER/bin/cloister-ticket"
    cookie=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    xauth -f "$FOLDER/server-xauthority" add :0 . "$cookie"
    Xvfb -displayfd 5 -screen 0 640x480x24 -auth "$FOLDER/server-xauthority" 5> "$FOLDER/display" > /dev/null 2>&1 3>&- 4>&- &
    echo $! > "$FOLDER/xvfb.pid"
    await "an X server" test -s "$FOLDER/display"
    display=:$(cat "$FOLDER/display")
    xauth -f "$FOLDER/xauthority" add "$display" . "$cookie"
    chown $OWNER:$OWNER "$FOLDER/xauthority"
    cat > "$FOLDER/cloister.conf" <<END
[agent]
state = $FOLDER/state
runtime = $RUNTIME
[session]
source = config
user = $OWNER
display = $display
xauthority = $FOLDER/xauthority
[log]
syslog = no
END
    "$FOLDER/bin/cloisterd" --config "$FOLDER/cloister.conf" > "$FOLDER/log" 2>&1 3>&- 4>&- &
    echo $! > "$FOLDER/agent.pid"
    await "the agent to serve" serves || { cat "$FOLDER/log" >&2; false; }
}

teardown_file() {
    [ -n "${FOLDER:-}" ] || return 0
    end "$FOLDER/agent.pid"
    end "$FOLDER/xvfb.pid"
    rm -rf "$FOLDER"
}

teardown() {
    # Shown only when a test failed.
    tail -n 20 "$FOLDER/log"
}

# Ends the process of a pid file and waits for it.
end() {
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "$pid" 2> /dev/null || return 0
    await "process $pid to end" gone "$pid"
}

gone() { ! kill -0 "$1" 2> /dev/null || grep -q '^State:.*Z' "/proc/$1/status"; }

# await WHAT COMMAND...: until COMMAND succeeds, 30 s at most.
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

as() {
    local uid=$1
    shift
    setpriv --reuid "$uid" --regid "$uid" --clear-groups \
        "$FOLDER/bin/cloister" --runtime "$RUNTIME" "$@"
}

serves() { cloister status > /dev/null 2>&1; }

# field EXPRESSION: of `cloister status --json`, which is `s` in Python.
field() {
    { cloister status --json || true; } | python3 -c "
import json, sys
s = json.load(sys.stdin)
w = {x['name']: x for x in s['workers']}
print($1)"
}

is() { [ "$(field "$1")" = "$2" ]; }

@test "status: all serve, and the kernel agrees" {
    run --separate-stderr cloister status
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ "$output" == *"Screenshots   capturing"* ]]
    [[ "$output" == *"no console is configured"* ]]
    [[ "$output" != *DISAGREES* ]]
    [ "$(grep -c 'kernel    Seccomp 2, NoNewPrivs 1, CapEff 0, ' <<< "$output")" -eq 3 ]
}

@test "status --json: each process, its lock, and what the kernel says" {
    [ "$(field "[x['name'] for x in s['workers']]")" = "['vault', 'capture', 'uplink', 'resolver']" ]
    [ "$(field "s['connection']['phase']")" = not_configured ]
    [ "$(field "w['uplink']['state']")" = off ]
    [ "$(field "s['refusals']")" = 0 ]
    [ "$(field "s['not_compared']")" = None ]
    for name in vault capture; do
        is "w['$name']['state']" serving
        is "w['$name']['down']" False
        is "w['$name']['lock']['seccomp_mode']" 2
        is "w['$name']['lock']['seccomp_syscalls'] > 20" True
        is "w['$name']['lock']['landlock_abi'] >= 2" True
        is "w['$name']['kernel']['cap_eff']" 0000000000000000
        is "w['$name']['kernel']['pid'] == w['$name']['pid']" True
        is "sorted(w['$name']['kernel']['namespaces'])" "['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts']"
        comm=cloister-$name # of which the kernel keeps 15 bytes
        [ "$(cat "/proc/$(field "w['$name']['pid']")/comm")" = "${comm:0:15}" ]
    done
    is "w['vault']['uid'] == w['capture']['uid']" False
    is "s['broker']['kernel']['seccomp_mode']" 2
    [ "$(cat "/proc/$(field "s['broker']['pid']")/comm")" = cloister-broker ] # 15 bytes
}

@test "status for an ordinary user: the same but what only root sees" {
    run --separate-stderr as $OTHER status
    [ "$status" -eq 0 ]
    [[ "$output" == *"Kernel        not compared: only root"* ]]
    [[ "$output" == *"vault       serving"* ]]
}

@test "pause and resume by the desktop's owner" {
    run --separate-stderr as $OWNER pause 90s
    [ "$status" -eq 0 ]
    [[ "$output" == "No screenshots are taken until "* ]]
    await "the pause" is "s['capture']['phase']" paused
    left=$(field "s['capture']['paused_until_ms'] / 1000 - __import__('time').time()")
    python3 -c "assert 30 < $left <= 90, $left"
    run cloister status
    [ "$status" -eq 0 ]
    [[ "$output" == *"Screenshots   paused by the user until "* ]]
    run --separate-stderr as $OWNER resume
    [ "$status" -eq 0 ]
    await "the end of the pause" is "s['capture']['phase']" capturing
}

@test "pause ends by itself" {
    run cloister pause 1s
    [ "$status" -eq 0 ]
    await "the end of the pause" is "s['capture']['phase']" capturing
}

@test "pause by somebody else: 8, and nothing happens" {
    run --separate-stderr as $OTHER pause
    echo "$status $stderr"
    [ "$status" -eq 8 ]
    [[ "$stderr" == "cloister: pause: "* ]]
    is "s['capture']['phase']" capturing
}

@test "ticket: cloister becomes the setgid program, which the door lets in" {
    run --separate-stderr as $OWNER ticket --list --json
    echo "$status $stderr"
    [ "$status" -eq 0 ]
    python3 -c 'import json, sys; json.loads(sys.argv[1])' "$output"
    run --separate-stderr as $OWNER ticket --yes --wrong
    echo "$status $stderr"
    [ "$status" -eq 2 ]
}

@test "identity: the same for everybody" {
    run --separate-stderr as $OTHER identity
    [ "$status" -eq 0 ]
    [[ "$output" =~ Machine\ id\ +[0-9a-f]{64} ]]
    [[ "$output" =~ Fingerprint\ +([A-Z2-7]{4}-){7}[A-Z2-7]{4} ]]
    theirs=$output
    run --separate-stderr cloister identity
    [ "$output" = "$theirs" ]
    cloister identity --json | python3 -c '
import base64, hashlib, json, sys
i = json.load(sys.stdin)
key = bytes.fromhex(i["public_key"])
assert i["machine_id"] == hashlib.sha256(key).hexdigest()
text = base64.b32encode(hashlib.sha256(b"cloister/v1 fingerprint\0" + key).digest()[:20]).decode()
assert i["fingerprint"] == "-".join(text[n:n + 4] for n in range(0, 32, 4))
assert i["origin"] == "first_start" and i["previous_id"] is None'
}

@test "key reset: root only, and another machine afterwards" {
    before=$(cloister identity --json)
    run --separate-stderr as $OWNER key reset --yes
    [ "$status" -eq 8 ]
    [ "$(cloister identity --json)" = "$before" ]
    run --separate-stderr cloister key reset --yes
    [ "$status" -eq 0 ]
    cloister identity --json | BEFORE=$before python3 -c '
import json, os, sys
before, now = json.loads(os.environ["BEFORE"]), json.load(sys.stdin)
assert now["previous_id"] == before["machine_id"] != now["machine_id"]
assert now["origin"] == "reset"'
}

@test "enroll without a console: 4" {
    run --separate-stderr cloister enroll --wait 0 0123456789abcdef
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"no console is configured"*"[console] host"* ]]
    run --separate-stderr as $OWNER enroll 0123456789abcdef
    [ "$status" -eq 8 ]
}

@test "commands: the keys that were stamped in, as the binary and openssl say" {
    run --separate-stderr as $OTHER commands
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == "Commands      2 keys"*"No command was accepted yet."* ]]
    for kid in ops keeper; do
        fingerprint=$(openssl pkey -in "$FOLDER/keys/$kid.pem" -pubout -outform DER |
            openssl dgst -sha256 -binary | base64 | tr -d =)
        grep -F "SHA256:$fingerprint user, " <<< "$output" | grep -qE "^  $kid .*, (countersigns|revokes)\$"
        cloister --version | grep -qF "$kid SHA256:$fingerprint user "
    done
    [ "$(field "[(k['kid'], k['revoked']) for k in s['commands']['keys']]")" = "[('keeper', False), ('ops', False)]" ]
    is "[s['commands']['store'], s['commands']['down']]" "['', False]"
}

@test "commands revoke: root's, signed by a key that may, and for good" {
    sign() { "$FOLDER/bin/cloister-sign" "$1" --key "$FOLDER/keys/$2.pem" --kid "$2" "${@:3}"; }
    sign revoke ops keeper > "$FOLDER/wrong.jws"
    run --separate-stderr cloister commands revoke "$FOLDER/wrong.jws"
    echo "$status $stderr"
    [ "$status" -eq 5 ]
    [[ "$stderr" == *"(profile)"* ]]
    sign revoke keeper ops > "$FOLDER/revocation.jws"
    run --separate-stderr as $OTHER commands revoke "$FOLDER/revocation.jws"
    [ "$status" -eq 8 ]
    sign sign keeper --machine "$(printf '%064d' 1)" --state "$FOLDER/keys" -- /bin/true > "$FOLDER/command.jws"
    run --separate-stderr cloister commands revoke "$FOLDER/command.jws"
    echo "$status $stderr"
    [ "$status" -eq 5 ]
    is "[k['kid'] for k in s['commands']['keys'] if k['revoked']]" "[]"
    run --separate-stderr cloister commands revoke - < "$FOLDER/revocation.jws"
    echo "$status $stderr"
    [ "$status" -eq 0 ]
    is "[k['kid'] for k in s['commands']['keys'] if k['revoked']]" "['ops']"
    [[ "$(cloister commands)" == *"ops         SHA256:"*", countersigns, REVOKED"* ]]
    sign revoke ops ops > "$FOLDER/late.jws"
    run --separate-stderr cloister commands revoke "$FOLDER/late.jws"
    [ "$status" -eq 5 ]
    [[ "$stderr" == *"(revoked)"* ]]
}

restart() {
    end "$FOLDER/agent.pid"
    "$@"
    "$FOLDER/bin/cloisterd" --config "$FOLDER/cloister.conf" >> "$FOLDER/log" 2>&1 3>&- 4>&- &
    echo $! > "$FOLDER/agent.pid"
}

@test "commands reset: a store that is missing is down, and a new one makes it well" {
    restart rm "$FOLDER/state/vault/commands"
    missing() { is "s['commands']['down']" True; }
    await "the vault to miss its store" missing
    await "the rest to serve" is "w['capture']['state']" serving
    run cloister status
    [ "$status" -eq 9 ]
    [[ "$output" == *"every command is REFUSED: "*"cloister commands reset"* ]]
    run --separate-stderr as $OTHER commands reset --yes
    [ "$status" -eq 8 ]
    run --separate-stderr cloister commands reset --yes
    echo "$status $output $stderr"
    [ "$status" -eq 0 ]
    [[ "$output" == "There is a new replay store."* ]]
    is "s['commands']['store']" ""
    await "all to serve" serves
}

@test "a worker that dies is seen down with its reason, and comes back" {
    # Often enough that the back-off leaves time to look.
    for _ in 1 2 3 4 5; do
        await "capture to serve" is "w['capture']['state']" serving
        kill -KILL "$(field "w['capture']['pid']")"
        await "capture to end" is "w['capture']['state'] != 'serving'" True
    done
    run cloister status
    echo "$output"
    [ "$status" -eq 9 ]
    [[ "$output" == *"why       killed"*"next attempt"* ]]
    await "the agent to serve" serves
    is "w['capture']['restarts'] >= 5" True
    is "w['vault']['restarts']" 0
}

@test "too many connections of one user are turned away: 8" {
    hold() {
        python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.recv(200)
time.sleep(60)' "$RUNTIME/door/control" 3>&- 4>&- &
        held+=($!)
    }
    # One that came while the place of an earlier call was not free yet holds nothing: another takes it.
    turned_away() {
        run --separate-stderr cloister status
        [ "$status" -eq 8 ] || { hold; return 1; }
    }
    await "the door to be full" turned_away
    [[ "$stderr" == *"too many connections"* ]]
    kill "${held[@]}"
    await "the agent to serve" serves
}

@test "connections leave nothing open in the broker" {
    broker=$(field "s['broker']['pid']")
    open_files() { find "/proc/$broker/fd" -type l | wc -l; }
    before=$(open_files)
    for _ in $(seq 40); do
        cloister identity > /dev/null
    done
    as_before() { [ "$(open_files)" -le "$before" ]; }
    await "the last connection to be closed" as_before
}

@test "commands --follow --notify outlives the agent" {
    "$FOLDER/bin/cloister" --runtime "$RUNTIME" commands --follow --notify > "$FOLDER/followed" 2>&1 3>&- 4>&- &
    follower=$!
    connected() { [ "$(find "/proc/$follower/fd" -lname 'socket:*' 2> /dev/null | wc -l)" -ge 2 ]; }
    await "it to be connected" connected
    gone_again() { ! connected; }
    restart await "it to notice" gone_again
    kill -0 $follower
    await "the agent to serve" serves
    anew() { tr '\0' ' ' < "/proc/$follower/cmdline" | grep -q -- '--follow --notify --since [1-9]'; }
    await "it to go on where it was" anew
    await "it to be connected again" connected
    kill $follower
}

@test "after the agent has stopped: 7" {
    end "$FOLDER/agent.pid"
    rm "$FOLDER/agent.pid"
    run --separate-stderr cloister status
    [ "$status" -eq 7 ]
    [[ "$stderr" == *"not running"* ]]
}
