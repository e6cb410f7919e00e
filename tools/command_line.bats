#!/usr/bin/env bats
# The command line without an agent: usage, help, exit codes, and the pages that describe it.
# CLOISTER is the program, TICKET is cloister-ticket, SOURCE the tree.

setup() {
    NOWHERE="$BATS_TEST_TMPDIR/nowhere"
}

cloister() {
    run --separate-stderr "$CLOISTER" "$@"
}

bats_require_minimum_version 1.5.0

@test "help lists every command, and each has help of its own" {
    cloister --help
    [ "$status" -eq 0 ]
    for name in status pause resume ticket identity enroll commands key; do
        [[ "$output" =~ [[:space:]]$name[[:space:]] ]]
    done
    for name in status pause resume identity enroll commands key; do
        cloister $name --help
        [ "$status" -eq 0 ]
        [[ "$output" == "usage: cloister $name"* ]]
        [ -z "$stderr" ]
    done
}

@test "version" {
    cloister --version
    [ "$status" -eq 0 ]
    [[ "$output" == "cloister "[0-9]*$'\n'"cloister-vault "[0-9]* ]]
}

@test "version shows the keys that are built into the vault of the same folder" {
    cd "$BATS_TEST_TMPDIR"
    mkdir bin
    cp "$CLOISTER" bin/
    run --separate-stderr bin/cloister --version
    [ "$status" -eq 0 ]
    [[ "$output" == *"built-in keys: unknown: cloister-vault: "* ]]
    "$SIGN" keygen --kid ops --no-passphrase --profile user > ops.jwk
    "$SIGN" stamp --keys ops.jwk --out bin/cloister-vault "${CLOISTER%/*}/cloister-vault"
    run --separate-stderr bin/cloister --version
    [ "$status" -eq 0 ]
    fingerprint=$(openssl pkey -in ops.pem -pubout -outform DER | openssl dgst -sha256 -binary | base64 | tr -d =)
    [[ "$output" == *$'\n'"ops SHA256:$fingerprint user" ]]
}

@test "both programs' help has the table of exit codes of docs/exit-codes.md" {
    grep -E '^\| [0-9]+ \|' "$SOURCE/docs/exit-codes.md" > "$BATS_TEST_TMPDIR/page"
    [ "$(wc -l < "$BATS_TEST_TMPDIR/page")" -ge 12 ]
    for program in "$CLOISTER" "$TICKET"; do
        "$program" --help | sed -n '/^exit status:/,$p' |
            sed -nE 's/^ +([0-9]+)  (.*)$/| \1 | \2 |/p' > "$BATS_TEST_TMPDIR/help"
        diff -u "$BATS_TEST_TMPDIR/page" "$BATS_TEST_TMPDIR/help"
    done
}

@test "without an agent: 7, and what to do" {
    for name in status pause resume identity commands; do
        cloister --runtime "$NOWHERE" $name
        [ "$status" -eq 7 ]
        [[ "$stderr" == *"not running"*"systemctl start cloister"* ]]
        cloister $name --runtime "$NOWHERE"
        [ "$status" -eq 7 ]
    done
}

@test "a door behind which nobody listens: 7" {
    mkdir -p "$NOWHERE/door"
    : > "$NOWHERE/door/control"
    cloister status --runtime "$NOWHERE"
    [ "$status" -eq 7 ]
}

@test "wrong usage: 2, and nothing is tried" {
    while read -r line; do
        # shellcheck disable=SC2086
        cloister --runtime "$NOWHERE" $line
        echo "$line: $status: $stderr"
        [ "$status" -eq 2 ]
        [[ "$stderr" == "cloister: "* ]]
    done <<'END'

frob
status twice
status --frob
status --runtime
pause 25h
pause 0s
pause 15
pause 1m 2m
resume now
key
key frob
key reset now
identity x
enroll
enroll 0123456789abcdef twice
enroll --token-file x 0123456789abcdef
enroll --wait -1 0123456789abcdef
enroll --wait x 0123456789abcdef
commands frob
commands revoke
commands revoke a b
commands revoke --yes a
commands reset now
commands reset --json
commands --yes
commands --notify
commands --since 1
commands --follow --since -1
commands --follow --since 1x
commands --follow revoke x
END
}

@test "a duration or a word that draws on the terminal is shown escaped" {
    cloister --runtime "$NOWHERE" pause $'\e[2J'
    [ "$status" -eq 2 ]
    [[ "$stderr" == *'\x1b[2J'* && "$stderr" != *$'\e'* ]]
    cloister --runtime "$NOWHERE" $'\e]0;x\a'
    [ "$status" -eq 2 ]
    [[ "$stderr" != *$'\e'* ]]
}

@test "what only root may do is refused to others: 8" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to become somebody else"
    for line in "enroll 0123456789abcdef" "key reset --yes" "commands reset --yes" "commands revoke x"; do
        # shellcheck disable=SC2086
        # By descriptor, since the build's folder may be out of others' reach.
        run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
            /proc/self/fd/9 $line 9< "$CLOISTER"
        echo "$status $stderr"
        [ "$status" -eq 8 ]
        [[ "$stderr" == *"only root"* ]]
    done
}

@test "key reset and commands reset without a terminal want --yes" {
    [ "$(id -u)" -eq 0 ] || skip "root only"
    for name in key commands; do
        run --separate-stderr "$CLOISTER" --runtime "$NOWHERE" $name reset < /dev/null
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"--yes"* ]]
    done
}

@test "key reset and commands reset ask on a terminal, and no means no: 3" {
    [ "$(id -u)" -eq 0 ] || skip "root only"
    for name in key commands; do
        run script -qec "'$CLOISTER' --runtime '$NOWHERE' $name reset" /dev/null <<< "yes"
        echo "$output"
        [ "$status" -eq 3 ]
        [[ "$output" == *"nothing was changed"* ]]
        run script -qec "'$CLOISTER' --runtime '$NOWHERE' $name reset" /dev/null <<< "reset"
        [ "$status" -eq 7 ]
    done
}

@test "a token that cannot be one is not sent" {
    [ "$(id -u)" -eq 0 ] || skip "root only"
    for token in short "$(printf 'x%.0s' {1..129})" "with space in the middle" $'0123456789abcde\xff'; do
        printf '%s\n' "$token" > "$BATS_TEST_TMPDIR/token"
        cloister --runtime "$NOWHERE" enroll --token-file "$BATS_TEST_TMPDIR/token"
        [ "$status" -eq 2 ]
        [[ "$stderr" != *"$token"* ]]
    done
    printf '0123456789abcdef\n' > "$BATS_TEST_TMPDIR/token"
    cloister --runtime "$NOWHERE" enroll --token-file "$BATS_TEST_TMPDIR/token"
    [ "$status" -eq 7 ]
    run --separate-stderr "$CLOISTER" --runtime "$NOWHERE" enroll --token-file - < "$BATS_TEST_TMPDIR/token"
    [ "$status" -eq 7 ]
    cloister --runtime "$NOWHERE" enroll --token-file "$BATS_TEST_TMPDIR/absent"
    [ "$status" -eq 2 ]
}

@test "ticket becomes the cloister-ticket of the same folder" {
    cp "$CLOISTER" "$BATS_TEST_TMPDIR/cloister"
    run --separate-stderr "$BATS_TEST_TMPDIR/cloister" ticket
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"cloister-ticket"* ]]
    printf '#!/bin/sh\nprintf "<%%s>" "$@"\nexit 6\n' > "$BATS_TEST_TMPDIR/cloister-ticket"
    chmod 755 "$BATS_TEST_TMPDIR/cloister-ticket"
    run "$BATS_TEST_TMPDIR/cloister" --runtime /r ticket --json 'a b' --help
    [ "$status" -eq 6 ]
    [ "$output" = "<--runtime></r><--json><a b><--help>" ]
}

@test "output that cannot be written is a failure" {
    run bash -c '"$0" --version > /dev/full' "$CLOISTER"
    [ "$status" -eq 1 ]
}

@test "cloister-sign's manual page has no faults and names every command" {
    command -v man > /dev/null || skip "man is not installed"
    run bash -c 'man --warnings -l "$0" 2>&1 > /dev/null' "$SOURCE/docs/man/cloister-sign.1"
    [ -z "$output" ]
    for name in $("$SIGN" --help | sed -nE 's/^  ([a-z-]+) .*/\1/p'); do
        grep -qE "^\.It Cm $name( |$)" "$SOURCE/docs/man/cloister-sign.1"
    done
}

@test "completion of cloister-sign offers every option that its help has" {
    # shellcheck source=/dev/null
    source "$SOURCE/packaging/completion/cloister-sign"
    offers() {
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        COMPREPLY=()
        _cloister_sign
        printf '%s\n' "${COMPREPLY[@]}"
    }
    [ "$(offers cloister-sign "" | grep -vc '^-')" -eq "$("$SIGN" --help | grep -cE '^  [a-z-]+ ')" ]
    for name in $("$SIGN" --help | sed -nE 's/^  ([a-z-]+) .*/\1/p'); do
        for option in $("$SIGN" $name --help | sed -nE 's/^  (--[a-z-]+).*/\1/p'); do
            offers cloister-sign $name "$option" | grep -qx -- "$option"
        done
    done
}

@test "the manual page has no faults and names every command" {
    command -v man > /dev/null || skip "man is not installed"
    run man --warnings -E UTF-8 -l -Tutf8 -Z "$SOURCE/docs/man/cloister.1"
    [ "$status" -eq 0 ]
    run bash -c 'man --warnings -l "$0" 2>&1 > /dev/null' "$SOURCE/docs/man/cloister.1"
    [ -z "$output" ]
    for name in status pause resume ticket identity enroll commands key; do
        grep -qE "^\.It Cm $name( |$)" "$SOURCE/docs/man/cloister.1"
    done
}

@test "completion offers commands and options" {
    # shellcheck source=/dev/null
    source "$SOURCE/packaging/completion/cloister"
    offers() {
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        COMPREPLY=()
        _cloister
        printf '%s\n' "${COMPREPLY[*]}"
    }
    [ "$(offers cloister st)" = "status" ]
    [[ "$(offers cloister "")" == *pause*resume* ]]
    [ "$(offers cloister status --j)" = "--json" ]
    [ "$(offers cloister key r)" = "reset" ]
    [ "$(offers cloister commands re)" = "revoke reset" ]
    [ "$(offers cloister commands --f)" = "--follow" ]
    cd "$BATS_TEST_TMPDIR"
    touch token.jws
    [ "$(offers cloister commands revoke to)" = "token.jws" ]
    [ "$(offers cloister --runtime /r key reset --y)" = "--yes" ]
    [[ "$(offers cloister pause "")" == *15m* ]]
}

@test "docs/operations.md names every key of the configuration with its section" {
    keys=$(sed -nE 's/^ *\{"([a-z]+)", "([a-z_]+)", set_.*/\1 \2/p' "$SOURCE/broker/config.c")
    [ "$(wc -l <<< "$keys")" -ge 25 ]
    page=$(awk -F'|' '/^\| *(`\[|\|)/ || /^\| \| `/ {
        if (match($2, /\[[a-z]+\]/)) section = substr($2, RSTART + 1, RLENGTH - 2)
        gsub(/[ `]/, "", $3); print section, $3 }' "$SOURCE/docs/operations.md")
    diff <(sort <<< "$keys") <(sort <<< "$page")
}

@test "systemd takes the unit" {
    command -v systemd-analyze > /dev/null || skip "systemd is not installed"
    sed 's,^ExecStart=.*,ExecStart=/bin/true,; /^Documentation=/d' \
        "$SOURCE/packaging/systemd/cloister.service" > "$BATS_TEST_TMPDIR/cloister.service"
    run systemd-analyze verify "$BATS_TEST_TMPDIR/cloister.service"
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}
