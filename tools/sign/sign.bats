#!/usr/bin/env bats
# cloister-sign against independent peers: jose and openssl. SIGN is the program, VAULT a vault without
# keys, SOURCE the tree.

bats_require_minimum_version 1.5.0
load sign_helpers

# ---- keys ----

@test "keygen: encrypted PKCS#8 under scrypt, of mode 600, which openssl opens" {
    sign keygen --kid ops.1-a_b --passphrase-file pass --profile user
    [ "$status" -eq 0 ]
    [ "$(stat -c %a ops.1-a_b.pem)" = 600 ]
    [ "$(head -1 ops.1-a_b.pem)" = "-----BEGIN ENCRYPTED PRIVATE KEY-----" ]
    openssl asn1parse -in ops.1-a_b.pem | grep -q ':scrypt'
    openssl pkey -in ops.1-a_b.pem -passin file:pass -noout -text | grep -q 'NIST CURVE: P-256'
    run openssl pkey -in ops.1-a_b.pem -passin pass:wrong -noout
    [ "$status" -ne 0 ]
}

@test "keygen: the JWK is the key, and jose takes it" {
    "$SIGN" keygen --kid ops --passphrase-file pass --profile admin --countersigns --revokes > ops.jwk
    python3 - <<'END'
import base64, json, subprocess
jwk = json.load(open("ops.jwk"))
assert (jwk["kid"], jwk["profile"], jwk["countersigns"], jwk["revokes"]) == ("ops", "admin", True, True)
assert "d" not in jwk
der = subprocess.run(["openssl", "pkey", "-in", "ops.pem", "-passin", "file:pass", "-pubout",
                      "-outform", "DER"], check=True, capture_output=True).stdout
read = lambda text: base64.urlsafe_b64decode(text + "=")
assert der[-64:] == read(jwk["x"]) + read(jwk["y"])
END
    [ -n "$(jose jwk thp -i ops.jwk)" ]
}

@test "keygen: the fingerprint is openssl's SHA-256 of the public key" {
    sign keygen --kid ops --no-passphrase
    want=$(openssl pkey -in ops.pem -pubout -outform DER | openssl dgst -sha256 -binary | base64 | tr -d =)
    [[ "$stderr" == *"ops SHA256:$want"* ]]
}

@test "keygen: never over a file, no short passphrase, no terminal to ask at" {
    make_key
    cp ops.pem before
    sign keygen --kid ops --no-passphrase
    [ "$status" -eq 1 ]
    cmp ops.pem before
    echo short > short
    sign keygen --kid two --passphrase-file short
    [ "$status" -eq 1 ]
    [ ! -e two.pem ]
    run --separate-stderr setsid -w "$SIGN" keygen --kid two < pass
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"--passphrase-file"* ]]
    [ ! -e two.pem ]
}

@test "keygen asks twice on a terminal, and the two must be the same" {
    printf 'correct horse\ncorrect horse\n' | script -qec "'$SIGN' keygen --kid ops" /dev/null > typed
    openssl pkey -in ops.pem -passin file:pass -noout
    ! grep -q horse typed
    printf 'correct horse\nhorse correct\n' | script -qec "'$SIGN' keygen --kid two" /dev/null || true
    [ ! -e two.pem ]
}

@test "jwk: from every form of file that openssl writes" {
    make_key
    "$SIGN" jwk --key ops.pem --kid ops > want
    openssl pkey -in ops.pem -outform DER -out ops.der
    openssl ec -in ops.pem -out sec1.pem 2> /dev/null
    openssl ec -in ops.pem -aes128 -passout file:pass -out old.pem 2> /dev/null
    openssl pkcs8 -topk8 -in ops.pem -passout file:pass -outform DER -out box.der
    chmod 600 ./*.der ./*.pem
    for file in ops.der sec1.pem old.pem box.der; do
        "$SIGN" jwk --key $file --kid ops --passphrase-fd 3 3< pass > have
        cmp have want
    done
    cp ops.pem a:b.pem
    "$SIGN" jwk --key a:b.pem --kid ops > have
    cmp have want
    "$SIGN" jwk --key "file:$PWD/ops.pem" --kid ops > have
    cmp have want
}

@test "a key that is encrypted with what only the legacy provider knows" {
    make_key
    openssl pkcs8 -topk8 -v1 PBE-MD5-DES -provider legacy -provider default -in ops.pem \
        -passout file:pass -out legacy.pem
    chmod 600 legacy.pem
    sign jwk --key legacy.pem --kid ops --passphrase-file pass
    [ "$status" -eq 1 ]
    "$SIGN" jwk --key legacy.pem --kid ops --passphrase-file pass --provider legacy > have
    "$SIGN" jwk --key ops.pem --kid ops | cmp - have
    sign jwk --key legacy.pem --kid ops --provider no-such-provider
    [ "$status" -eq 1 ]
    [[ "$stderr" == *no-such-provider* ]]
}

@test "a key in a TPM signs, through the provider tpm2" {
    command -v swtpm > /dev/null || skip "swtpm is not installed"
    mkdir tpm
    # Its socket's path has to be short.
    socket=$(mktemp -u /tmp/cloister-tpm-XXXXXX)
    swtpm socket --tpm2 --tpmstate dir="$PWD/tpm" --server type=unixio,path="$socket" \
        --ctrl type=unixio,path="$socket.ctrl" --flags not-need-init,startup-clear --daemon \
        --pid file="$PWD/tpm.pid" 3>&-
    export TPM2OPENSSL_TCTI=swtpm:path=$socket
    openssl genpkey -provider tpm2 -provider default -propquery '?provider=tpm2' -algorithm EC \
        -pkeyopt group:P-256 -out tpm.pem
    chmod 600 tpm.pem
    grep -q 'BEGIN TSS2 PRIVATE KEY' tpm.pem # a blob that only this TPM opens
    "$SIGN" jwk --provider tpm2 --key tpm.pem --kid tpm > tpm.jwk
    sign sign --provider tpm2 --key tpm.pem --kid tpm --machine "$MACHINE" --out token.jws -- /bin/true
    echo "$stderr"
    [ "$status" -eq 0 ]
    jose jws ver -i token.jws -k tpm.jwk
    sign jwk --key tpm.pem --kid tpm
    [ "$status" -eq 1 ]
    rm -f "$socket" "$socket.ctrl"
}

@test "a key in a PKCS#11 token signs, through the provider pkcs11" {
    openssl list -providers -provider pkcs11 > /dev/null 2>&1 || skip "pkcs11-provider is not installed"
    command -v softhsm2-util > /dev/null || skip "softhsm2 is not installed"
    # pkcs11-provider opens the token's library with RTLD_DEEPBIND.
    ! ldd "$SIGN" | grep -q libasan || skip "AddressSanitizer and RTLD_DEEPBIND exclude each other"
    export SOFTHSM2_CONF=$PWD/softhsm2.conf PKCS11_PROVIDER_MODULE=/usr/lib/softhsm/libsofthsm2.so
    mkdir tokens
    echo "directories.tokendir = $PWD/tokens" > softhsm2.conf
    echo 1234 > pin
    softhsm2-util --init-token --free --label ops --so-pin 12345678 --pin 1234
    pkcs11-tool --module "$PKCS11_PROVIDER_MODULE" --login --pin 1234 --keypairgen \
        --key-type EC:prime256v1 --label ops --id 01
    key='pkcs11:token=ops;object=ops;type=private'
    "$SIGN" jwk --provider pkcs11 --key "$key" --kid hsm --passphrase-file pin > hsm.jwk
    sign sign --provider pkcs11 --key "$key" --kid hsm --passphrase-file pin --machine "$MACHINE" \
        --out token.jws -- /bin/true
    [ "$status" -eq 0 ]
    jose jws ver -i token.jws -k hsm.jwk
    sign jwk --provider pkcs11 --key "$key" --kid hsm --passphrase-fd 4 4<<< 9999
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"passphrase or PIN is wrong"* ]]
}

@test "what is no key on P-256 is refused, with why" {
    make_key
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
    openssl genpkey -algorithm ed25519 -out ed.pem
    openssl pkey -in ops.pem -pubout -out public.pem
    head -c 300 /dev/urandom > noise
    for file in p384.pem ed.pem public.pem noise pass absent pkcs11:token=none; do
        sign jwk --key $file --kid ops
        echo "$file: $status $stderr"
        [ "$status" -eq 1 ]
        [[ "$stderr" == "cloister-sign: "* || "$stderr" == "warning: "* ]]
    done
    openssl pkey -in ops.pem -aes128 -passout file:pass -out box.pem
    sign jwk --key box.pem --kid ops --passphrase-fd 3 3<<< "wrong horse"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"passphrase or PIN is wrong"* ]]
}

@test "keys: a set of several, which jose verifies with; what cannot be in one is refused" {
    make_key
    make_key two --countersigns
    "$SIGN" keys ops.jwk two.jwk > set
    "$SIGN" keys set > again
    cmp set again
    make_token -- /bin/true
    jose jws ver -i token.jws -k set
    sed 's/"two"/"ops"/' two.jwk > same-id
    sed 's/"ops"/"other"/' ops.jwk > same-key
    jose jwk gen -i '{"alg":"ES256","kid":"ops3"}' -o private
    sed 's/"ops"/"OPS"/' ops.jwk > letters
    sed 's/"x": "./"x": "-/' ops.jwk > off-curve
    sed 's/ES256/ES384/' ops.jwk > algorithm
    sed 's/"kid": "ops"/"kid": "ops", "profile": "root"/' ops.jwk > profile
    sed 's/"revokes"/"revoke"/; s/"countersigns"/"countersign"/' two.jwk > mistyped
    for file in same-id same-key private letters off-curve algorithm profile mistyped pass; do
        sign keys ops.jwk two.jwk $file
        echo "$file: $status $stderr"
        [ "$status" -eq 1 ]
        [ -z "$output" ]
    done
    for n in 1 2 3 4 5 6 7; do make_key "k$n"; done
    sign keys k?.jwk ops.jwk
    [ "$status" -eq 0 ]
    sign keys k?.jwk ops.jwk two.jwk
    [ "$status" -eq 1 ]
}

# ---- sign ----

@test "sign: a token that jose verifies, with the byte-exact header and every member" {
    make_key
    printf '#!/bin/sh\nexit 3\n' > script
    make_token --group 'lab 1' --profile user --seq 7 --not-before 2027-01-01T00:00:00Z --valid 90m \
        --stdin pass --env A=b --env C_1= --time 1500ms --output 2K --id 0123456789abcdef0123456789abcdef \
        --script script -- -x 'ü '
    jose jws ver -i token.jws -k ops.jwk
    [ "$(cut -d. -f1 token.jws | base64 -d 2> /dev/null)" = '{"alg":"ES256","kid":"ops"}' ]
    [ "$(tail -c1 token.jws | tr -d A-Za-z0-9_-)" = "" ]
    member '0' > /dev/null
    payload token.jws | python3 -c '
import base64, hashlib, json, sys
p = json.load(sys.stdin)
script = open("script", "rb").read()
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
assert p == {"typ": "cloister-command", "ver": 1, "jti": "0123456789abcdef" * 2,
    "aud": [format(7, "064d"), "group:lab 1"], "seq": 7, "nbf": 1798761600, "exp": 1798761600 + 5400,
    "profile": "user", "script": b64(script), "script_sha256": hashlib.sha256(script).hexdigest(),
    "args": ["-x", "\u00fc "], "stdin": b64(b"correct horse\n"), "env": {"A": "b", "C_1": ""},
    "time_ms": 1500, "output_bytes": 2048}, p'
}

@test "sign: defaults: now, for an hour, diagnostic, nothing that was not said" {
    make_key
    before=$(date +%s)
    make_token --argv -- /bin/echo a
    after=$(date +%s)
    [ "$(member 'sorted(p)')" = "['argv', 'aud', 'exp', 'jti', 'nbf', 'profile', 'seq', 'typ', 'ver']" ]
    [ "$(member "p['exp'] - p['nbf']")" -eq 3600 ]
    [ "$(member "p['nbf']")" -ge "$before" ]
    [ "$(member "p['nbf']")" -le "$after" ]
    [ "$(member "p['profile'], p['argv']")" = "diagnostic ['/bin/echo', 'a']" ]
    first=$(member "p['jti']")
    make_token -- /bin/echo a
    [ "$(member "p['jti']")" != "$first" ]
}

@test "sign: sequence numbers rise, also in many processes at once, and when the clock is behind" {
    make_key
    for n in $(seq 24); do
        "$SIGN" sign --key ops.pem --kid ops --machine "$MACHINE" --out "t$n" -- /bin/true 2> /dev/null &
    done
    wait
    for n in $(seq 24); do payload "t$n" | grep -o '"seq":[0-9]*'; done | sort -u > numbers
    [ "$(wc -l < numbers)" -eq 24 ]
    make_token --seq 9000000000000000 -- /bin/true
    make_token -- /bin/true
    [ "$(member "p['seq']")" = 9000000000000001 ]
    cp ops.pem copy.pem # the same key by another name
    "$SIGN" sign --key copy.pem --kid ops --machine "$MACHINE" --out token.jws -- /bin/true 2> /dev/null
    [ "$(member "p['seq']")" = 9000000000000002 ]
    make_token --seq 5 -- /bin/true
    grep -q 'warning: 5 is not above' shown
    make_token --seq 9007199254740991 -- /bin/true
    sign sign --key ops.pem --kid ops --machine "$MACHINE" -- /bin/true
    [ "$status" -eq 1 ]
    echo garbage > state/cloister-sign/*.seq
    sign sign --key ops.pem --kid ops --machine "$MACHINE" -- /bin/true
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"makes no sense"* ]]
    make_token --state other/folder -- /bin/true
    [ -n "$(ls other/folder)" ]
}

@test "sign: what no machine would take is not signed" {
    make_key
    printf '#!/bin/sh\n' > script
    printf '#! /bin/sh\n' > blank
    printf 'echo\n' > plain
    head -c 300000 /dev/zero > huge
    (printf '#!/bin/sh\n'; head -c 196000 /dev/zero) > large
    common="--key ops.pem --kid ops --machine $MACHINE"
    while read -r line; do
        # shellcheck disable=SC2086
        sign sign $line
        echo "$line: $status $stderr"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
    done <<END
--kid ops --machine $MACHINE -- /bin/true
--key ops.pem --machine $MACHINE -- /bin/true
--key ops.pem --kid OPS --machine $MACHINE -- /bin/true
--key ops.pem --kid ops -- /bin/true
--key ops.pem --kid ops --machine ${MACHINE}0 -- /bin/true
--key ops.pem --kid ops --machine group:x -- /bin/true
--key ops.pem --kid ops --group= -- /bin/true
$common
$common -- true
$common --script blank
$common --script plain
$common --script huge
$common --profile root -- /bin/true
$common --profile none -- /bin/true
$common --valid 8d -- /bin/true
$common --valid 0s -- /bin/true
$common --expires now -- /bin/true
$common --not-before 2026-02-30 --valid 1h -- /bin/true
$common --seq 0 -- /bin/true
$common --seq 9007199254740992 -- /bin/true
$common --seq 1x -- /bin/true
$common --time 99ms -- /bin/true
$common --time 61m -- /bin/true
$common --output 2G -- /bin/true
$common --env 1A=b -- /bin/true
$common --env A -- /bin/true
$common --env A=b --env A=c -- /bin/true
$common --id 0123 -- /bin/true
$common --id 0123456789ABCDEF0123456789abcdef -- /bin/true
$common --frob -- /bin/true
END
    # shellcheck disable=SC2086
    sign sign $common --script large # it fits only before base64url
    [ "$status" -eq 1 ]
    # shellcheck disable=SC2086
    sign sign $common -- /bin/echo $'\xff'
    [ "$status" -eq 1 ]
    [ -z "$output" ]
}

@test "sign shows what it signs, escaped, and asks on a terminal for user and admin" {
    make_key
    make_token --profile admin -- /bin/echo $'\e]0;x\a' "it's" '\n'
    ! grep -q $'\e' shown
    grep -qF "Runs            '/bin/echo' '\\x1b]0;x\\x07' 'it\\'s' '\\\\n'" shown
    grep -q 'root: everything' shown
    command="'$SIGN' sign --key ops.pem --kid ops --machine $MACHINE --profile user --out asked -- /bin/true"
    run script -qec "$command" /dev/null <<< no
    echo "$output"
    [ "$status" -eq 3 ]
    [ ! -e asked ]
    run script -qec "$command" /dev/null <<< sign
    [ "$status" -eq 0 ]
    [ -s asked ]
}

@test "sign cannot be looked into while a key is open" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to become somebody else"
    make_key
    openssl pkcs8 -topk8 -in ops.pem -passout file:pass -out box.pem
    mkfifo slow
    chmod 644 box.pem
    chmod 666 slow
    # Opened here, since the build's and the test's folders may be out of others' reach.
    exec 4<> slow
    setpriv --reuid 65534 --regid 65534 --clear-groups /proc/self/fd/9 sign --key - \
        --passphrase-fd 4 --kid ops --machine "$MACHINE" -- /bin/true 9< "$SIGN" < box.pem > /dev/null 2>&1 &
    pid=$!
    # What it locks, it locks after it has shut itself off.
    until grep -q '^VmLck:.*[1-9]' "/proc/$pid/status"; do
        kill -0 $pid
        sleep 0.05
    done
    grep -q '^Uid:.65534' "/proc/$pid/status"
    [ "$(stat -c %u "/proc/$pid/mem")" -eq 0 ]
    grep -qE '^Max core file size +0 +0 ' "/proc/$pid/limits"
    kill $pid
}

# ---- countersign, revoke ----

@test "countersign: the inner token as it stands, both signatures jose's" {
    make_key ops --profile admin
    make_key two --countersigns
    make_token --profile admin -- /bin/true
    echo >> token.jws # as an editor leaves it
    "$SIGN" countersign --key two.pem --kid two --out twice.jws token.jws 2> /dev/null
    jose jws ver -i twice.jws -k two.jwk -O inner.jws
    [ "$(cat inner.jws)" = "$(cat token.jws)" ]
    jose jws ver -i inner.jws -k ops.jwk
    "$SIGN" keys ops.jwk two.jwk > set
    sign show --keys set twice.jws
    [ "$status" -eq 0 ]
    [[ "$output" == *"Countersigned   two: the signature holds"*"Signed          ops: the signature holds"* ]]
    sign show --keys set token.jws
    [ "$status" -eq 1 ]
    [[ "$output" == *"need a second signature"* ]]
    "$SIGN" countersign --key ops.pem --kid ops --out wrong.jws token.jws 2> /dev/null
    sign show --keys set wrong.jws
    [ "$status" -eq 1 ]
    [[ "$output" == *"does not countersign"* ]]
    sign countersign --key ops.pem --kid ops twice.jws
    [ "$status" -eq 1 ]
    sign countersign --key ops.pem --kid ops pass
    [ "$status" -eq 1 ]
}

@test "revoke: exactly the payload of docs/commands.md" {
    make_key
    "$SIGN" revoke --key ops.pem --kid ops --out token.jws ops old-1 2> /dev/null
    jose jws ver -i token.jws -k ops.jwk
    [ "$(payload token.jws)" = '{"typ":"cloister-revocation","ver":1,"revoked":["ops","old-1"]}' ]
    for line in "" "ops ops" "OPS" "a b c d e f g h i"; do
        # shellcheck disable=SC2086
        sign revoke --key ops.pem --kid ops $line
        [ "$status" -eq 2 ]
    done
}

# ---- stamp ----

@test "stamp: the section alone changes, the mode is kept, and hashes are as sha256sum sees them" {
    cp "$VAULT" vault
    chmod 2750 vault
    make_key ops --profile user
    make_key two --countersigns --revokes
    "$SIGN" keys ops.jwk two.jwk > set
    sign stamp --keys set --out stamped vault
    [ "$status" -eq 0 ]
    cmp "$VAULT" vault
    [ "$(stat -c %a stamped)" = 2750 ]
    read -r _ _ _ _ offset size _ < <(readelf -SW vault | sed -n 's/^ *\[ *[0-9]*\] *\(.cloister_keys .*\)/\1/p' | awk '{print $1, $2, $3, "x", $4, $5}')
    offset=$((16#$offset))
    [ $((16#$size)) -eq 1024 ]
    cp vault zeroed
    dd if=/dev/zero of=zeroed bs=1 seek=$offset count=1024 conv=notrunc status=none
    grep -q "^$(sha256sum < zeroed | cut -d' ' -f1)  with the section of keys zeroed$" <<< "$output"
    grep -q "^$(sha256sum < stamped | cut -d' ' -f1)  as it is$" <<< "$output"
    cmp <(head -c $offset vault) <(head -c $offset stamped)
    cmp <(tail -c +$((offset + 1025)) vault) <(tail -c +$((offset + 1025)) stamped)
    objcopy -O binary --only-section=.cloister_keys stamped section
    python3 - <<'END'
import base64, json, struct
section = open("section", "rb").read()
keys = json.load(open("set"))["keys"]
assert section[:24] == b"cloister-keys-1\0" + struct.pack("<II", 2, 0)
point = lambda k: b"".join(base64.urlsafe_b64decode(k[c] + "=") for c in "xy")
want = b"".join(struct.pack("<36sII64sI", k["kid"].encode(), profile, flags, point(k), 0)
                for k, profile, flags in zip(keys, (2, 0), (0, 3)))
assert section[24:] == want.ljust(1000, b"\0")
END
    sign stamp --zero --out again stamped
    cmp again zeroed
    "$SIGN" stamp --keys set stamped # again, in place, over keys that are there
    cmp stamped <("$SIGN" stamp --keys set --out other again > /dev/null; cat other)
    sign stamp --show stamped
    [[ "$output" == "ops SHA256:"*" user"*"two SHA256:"*" none countersigns revokes"* ]]
    diff <(./stamped --version | tail -n +2) <(head -2 <<< "$output")
    run ./zeroed --version
    [ "$status" -ne 0 ]
}

@test "stamp: the same table as a build with CLOISTER_COMMAND_KEYS has" {
    make_key ops --profile user
    make_key two --countersigns --revokes
    "$SIGN" keys ops.jwk two.jwk > set
    /usr/bin/python3 "$SOURCE/vault/generate_keys.py" table.c set
    cc -c -I"$SOURCE/vault" -o table.o table.c
    objcopy -O binary --only-section=.cloister_keys table.o built
    "$SIGN" stamp --keys set --out stamped "$VAULT"
    objcopy -O binary --only-section=.cloister_keys stamped section
    cmp built section
}

@test "stamp: a file that it cannot write to, or that is none, stays as it is" {
    make_key
    head -c 5000 /dev/urandom > noise
    cp noise before
    sign stamp --keys ops.jwk noise
    [ "$status" -eq 1 ]
    cmp noise before
    sign stamp --keys ops.jwk "$SIGN"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"no section for keys"* ]]
    cp "$VAULT" vault
    for length in 0 1 63 64 1000 $(($(stat -c %s vault) - 1)); do
        head -c "$length" vault > cut
        sign stamp --keys ops.jwk cut
        [ "$status" -eq 1 ]
    done
    sign stamp --keys pass vault
    [ "$status" -eq 1 ]
    cmp "$VAULT" vault
    for line in "vault" "--zero vault" "--keys ops.jwk --zero vault" "--keys ops.jwk" "--show --out x vault"; do
        # shellcheck disable=SC2086
        sign stamp $line
        [ "$status" -eq 2 ]
    done
    echo '{"keys":[]}' > none
    "$SIGN" stamp --keys none --out empty vault
    sign stamp --show empty
    [[ "$output" == "no keys"* ]]
}

# ---- the rest ----

@test "help, version, wrong usage" {
    sign --help
    [ "$status" -eq 0 ]
    for name in keygen jwk keys stamp sign countersign revoke show verify-receipt; do
        [[ "$output" == *$'\n'"  $name "* ]]
    done
    for name in keygen jwk keys stamp sign countersign revoke show verify-receipt; do
        sign $name --help
        [ "$status" -eq 0 ]
        [[ "$output" == "usage: cloister-sign $name"* ]]
        [ -z "$stderr" ]
    done
    sign --version
    [[ "$output" == "cloister-sign "[0-9]* ]]
    for line in "" frob "keygen" "keygen --kid a b" "jwk --kid a" "keys" "show" "show a b" \
        "verify-receipt x" "verify-receipt --public-key AAAA x" "jwk --key a --kid $(printf 'a%.0s' {1..33})"; do
        # shellcheck disable=SC2086
        sign $line
        echo "$line: $status"
        [ "$status" -eq 2 ]
    done
    run bash -c '"$0" --version > /dev/full' "$SIGN"
    [ "$status" -eq 1 ]
}
