# What the tests of cloister-sign share. SIGN is the program.
# shellcheck shell=bash

MACHINE=$(printf '%064d' 7)

setup() {
    cd "$BATS_TEST_TMPDIR"
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    printf 'correct horse\n' > pass
}

teardown() {
    [ ! -s tpm.pid ] || kill "$(cat tpm.pid)"
}

sign() {
    run --separate-stderr "$SIGN" "$@"
}

# A key "ops" without passphrase, its public half in ops.jwk.
make_key() {
    "$SIGN" keygen --kid "${1:-ops}" --no-passphrase "${@:2}" > "${1:-ops}.jwk" 2> /dev/null
}

# Signs /bin/true with the key ops into token.jws, with further options.
make_token() {
    "$SIGN" sign --key ops.pem --kid ops --machine "$MACHINE" --out token.jws --yes "$@" 2> shown
}

# payload FILE: what was signed, decoded by jose.
payload() {
    jose jws fmt -i "$1" -O - -o /dev/null
}

# member EXPRESSION: of token.jws's payload, which is `p` in Python.
member() {
    payload token.jws | python3 -c "import json, sys; p = json.load(sys.stdin); print($1)"
}
