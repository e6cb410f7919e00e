#!/usr/bin/env bats
# What cloister-sign says of tokens and receipts, which jose and openssl made or checked. SIGN is the
# program.

bats_require_minimum_version 1.5.0
load sign_helpers

# ---- show ----

@test "show: a token that jose made; one that was changed does not hold" {
    jose jwk gen -i '{"alg":"ES256","kid":"peer"}' -o peer.private
    jose jwk pub -i peer.private -o peer.jwk
    printf '{"typ":"cloister-command","ver":1,"jti":"%032d","aud":["%s"],"seq":1,"nbf":1,"exp":2,"profile":"diagnostic","argv":["/bin/true"]}' \
        5 "$MACHINE" > payload
    jose jws sig -I payload -k peer.private -c -s '{"protected":{"alg":"ES256","kid":"peer"}}' -o token.jws
    python3 -c '
import json
k = json.load(open("peer.jwk"))
json.dump(k | {"profile": "diagnostic"}, open("peer.jwk", "w"))'
    sign show --keys peer.jwk token.jws
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"peer: the signature holds"*"no longer"*"'/bin/true'"* ]]
    sed 's/.$/A/; t' token.jws > changed
    cmp -s token.jws changed && sed 's/..$/gA/' token.jws > changed
    sign show --keys peer.jwk changed
    [ "$status" -eq 1 ]
    make_key
    sign show --keys ops.jwk token.jws
    [ "$status" -eq 1 ]
    [[ "$output" == *"NOT ONE OF THESE KEYS"* ]]
    for text in "" x x.y.z "$(cat token.jws)=" ".$(cat token.jws)"; do
        sign show - <<< "$text"
        [ "$status" -eq 1 ]
        [[ "$output" == *REFUSED* ]]
    done
}

@test "show: what a payload is refused for reaches the terminal escaped" {
    make_key
    "$SIGN" revoke --key ops.pem --kid ops --out token.jws ops 2> /dev/null
    for payload in $'{"typ":"cloister-command","ver":1,"\e[2J":1}' $'\e[2J' '{"typ":"cloister-command","ver":1,"\u001b[2J":1}'; do
        printf '%s.%s.%s' "$(cut -d. -f1 token.jws)" "$(printf %s "$payload" | basenc --base64url -w0 | tr -d =)" \
            "$(cut -d. -f3 token.jws)" > hostile.jws
        sign show hostile.jws
        [ "$status" -eq 1 ]
        [[ "$output" == *REFUSED* && "$output" != *$'\e'* ]]
        sign countersign --key ops.pem --kid ops hostile.jws
        [ "$status" -eq 1 ]
        [[ "$stderr" != *$'\e'* ]]
    done
}

@test "show: a key that may not sign for the profile" {
    make_key ops --profile user
    make_token --profile admin -- /bin/true
    sign show --keys ops.jwk token.jws
    [ "$status" -eq 1 ]
    [[ "$output" == *"may sign up to user"* ]]
    make_token --profile user -- /bin/true
    sign show --keys ops.jwk token.jws
    [ "$status" -eq 0 ]
}

# ---- receipts ----

# receipt MEMBERS: receipt.jws of the machine key machine.pem, signed by openssl, with these members
# in place of those of a good one about token.jws and the files out and err.
receipt() {
    [ -s machine.pem ] || openssl genpkey -algorithm ed25519 -out machine.pem
    openssl pkey -in machine.pem -pubout -outform DER | tail -c 32 > machine.key
    python3 - "${1:-{\}}" <<'END'
import base64, hashlib, json, subprocess, sys
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
token = open("token.jws").read()
said = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
machine = hashlib.sha256(open("machine.key", "rb").read()).hexdigest()
r = {"typ": "cloister-receipt", "ver": 1, "machine": machine,
     "token": hashlib.sha256(token.encode()).hexdigest()[:32], "jti": said["jti"], "kid": "ops",
     "seq": said["seq"], "profile": said["profile"], "decision": "run", "reason": "", "exit": 3, "limit": ""}
for name in "out", "err":
    data = open(name, "rb").read()
    r |= {f"std{name}_bytes": len(data), f"std{name}_sha256": hashlib.sha256(data).hexdigest(),
          f"std{name}_dropped": 0}
r |= {"accepted_ms": 1790000000001, "started_ms": 1790000000002, "ended_ms": 1790000000003}
r |= json.loads(sys.argv[1])
r = {k: v for k, v in r.items() if v is not None}
head = '{"alg":"EdDSA","kid":"%s"}' % machine
text = b64(head.encode()) + "." + b64(json.dumps(r, separators=(",", ":")).encode())
open("input", "w").write(text)
subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "machine.pem", "-in", "input",
                "-out", "signature"], check=True)
open("receipt.jws", "w").write(text + "." + b64(open("signature", "rb").read()))
END
}

good_receipt() {
    make_key
    make_token -- /bin/true
    printf 'some output\n' > out
    : > err
    receipt
    key=$(od -An -tx1 machine.key | tr -d ' \n')
}

@test "verify-receipt: one that openssl signed holds, with its token and its output" {
    good_receipt
    sign verify-receipt --public-key "$key" --machine "$(sha256sum < machine.key | cut -d' ' -f1)" \
        --token token.jws --stdout out --stderr err receipt.jws
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"Decision        run"*"Ended           exit 3"*"Holds           signature, machine, token, output" ]]
    echo "{\"public_key\":\"$key\"}" > identity
    sign verify-receipt --identity identity - < receipt.jws
    [ "$status" -eq 0 ]
    sign verify-receipt --public-key "$(basenc --base64url machine.key)" receipt.jws
    [ "$status" -eq 0 ]
    sign show receipt.jws
    [ "$status" -eq 0 ]
    [[ "$output" == *"Standard output 12 bytes, SHA-256 $(sha256sum < out | cut -d' ' -f1)"* ]]
}

@test "verify-receipt: another key, machine, token or output does not hold" {
    good_receipt
    echo more >> out
    cp token.jws first.jws
    make_token -- /bin/true
    other=$(printf '%064d' 1)
    for line in "--public-key $other" "--public-key $key --machine $other" "--public-key $key --token token.jws" \
        "--public-key $key --stdout out" "--public-key $key --stderr out" "--public-key $key --stdout absent"; do
        # shellcheck disable=SC2086
        sign verify-receipt $line receipt.jws
        echo "$line: $status $output"
        [ "$status" -eq 1 ]
    done
    cp first.jws token.jws
    # Each bit of the text, here and there: nothing that was changed holds.
    python3 - <<'END'
import os, subprocess
text = bytearray(open("receipt.jws", "rb").read())
key = open("machine.key", "rb").read().hex()
def holds(data):
    return subprocess.run([os.environ["SIGN"], "verify-receipt", "--public-key", key, "-"], input=bytes(data),
                          capture_output=True).returncode == 0
assert holds(text)
for at in range(0, len(text), 13):
    changed = bytearray(text)
    changed[at] ^= 1 << at % 7
    assert not holds(changed), at
END
}

@test "verify-receipt: what a machine must not say, though it signed it" {
    good_receipt
    for members in '{"typ":"cloister-command"}' '{"ver":2}' '{"machine":"00"}' '{"token":"0"}' \
        '{"decision":"maybe"}' '{"reason":"\u001b[2J"}' '{"exit":null}' '{"signal":9}' '{"exit":-1}' \
        '{"limit":"memory"}' '{"stdout_sha256":"0"}' '{"stdout_bytes":null}' '{"accepted_ms":"now"}' \
        '{"jti":null}' '{"seq":0}'; do
        receipt "$members"
        sign verify-receipt --public-key "$key" receipt.jws
        echo "$members: $status $output"
        [ "$status" -eq 1 ]
        [[ "$output" != *$'\e'* ]]
        sign show receipt.jws
        [ "$status" -eq 1 ]
    done
    for members in '{"kid":"other"}' '{"seq":1}' '{"profile":"admin"}' '{"jti":"00000000000000000000000000000000"}'; do
        receipt "$members"
        sign verify-receipt --public-key "$key" receipt.jws
        [ "$status" -eq 0 ]
        sign verify-receipt --public-key "$key" --token token.jws receipt.jws
        [ "$status" -eq 1 ]
    done
    receipt '{"decision":"refused","reason":"payload","jti":null,"seq":null,"profile":null,"exit":null}'
    sign verify-receipt --public-key "$key" --token token.jws receipt.jws
    [ "$status" -eq 0 ]
    sign verify-receipt --public-key "$key" --stdout out receipt.jws
    [ "$status" -eq 1 ]
}
