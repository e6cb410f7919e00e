"""Tokens made by Debian's jose and openssl, tables of keys packed by hand, and the verifier's word.

Nothing here shares code with the verifier: docs/commands.md and command_keys.h were read instead.
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import tempfile

PROFILES = {"none": 0, "diagnostic": 1, "user": 2, "admin": 3}
COUNTERSIGNS, REVOKES = 1, 2
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # FIPS 186-4 D.1.2.3


def run(*command, given=b""):
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=60).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def raw(der):
    """r and s of an Ecdsa-Sig-Value, 32 bytes each."""
    assert der[0] == 0x30 and der[1] == len(der) - 2 and der[2] == 2
    r_end = 4 + der[3]
    assert der[r_end] == 2 and r_end + 2 + der[r_end + 1] == len(der)
    numbers = der[4:r_end], der[r_end + 2:]
    return b"".join(int.from_bytes(n, "big").to_bytes(32, "big") for n in numbers)


class Key:
    """A key that jose made; openssl signs with the same one."""

    def __init__(self, folder, kid, profile="none", flags=0, alg="ES256"):
        self.kid, self.profile, self.flags, self.alg = kid, profile, flags, alg
        self.jwk = json.loads(run("jose", "jwk", "gen", "-i", json.dumps({"alg": alg}), "-o", "-"))
        handle, self.file = tempfile.mkstemp(dir=folder, suffix=".jwk")
        with os.fdopen(handle, "w") as out:
            json.dump(self.jwk, out)
        self.point = unb64(self.jwk["x"]) + unb64(self.jwk["y"]) if alg == "ES256" else b""
        self.spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + self.point
        if alg == "ES256":  # SEC 1 ECPrivateKey (RFC 5915), as openssl reads it
            self.private = self.file + ".der"
            with open(self.private, "wb") as out:
                out.write(bytes.fromhex("30770201010420") + unb64(self.jwk["d"])
                          + bytes.fromhex("a00a06082a8648ce3d030107a14403420004") + self.point)

    def header(self):
        return json.dumps({"alg": self.alg, "kid": self.kid}, separators=(",", ":")).encode()

    def jose(self, payload, header=None):
        """A token by jose, which writes the header itself."""
        template = {"protected": header or {"alg": self.alg, "kid": self.kid}}
        return run("jose", "jws", "sig", "-I", "-", "-k", self.file, "-s", json.dumps(template), "-c",
                   given=payload).strip()

    def der(self, data):
        return run("openssl", "dgst", "-sha256", "-keyform", "DER", "-sign", self.private, given=data)

    def openssl(self, payload, header=None):
        """A token by openssl, with whatever header."""
        signing = f"{b64(self.header() if header is None else header)}.{b64(payload)}".encode()
        return signing + b"." + b64(raw(self.der(signing))).encode()

    def fingerprint(self):
        der = run("openssl", "pkey", "-pubin", "-inform", "DER", "-outform", "DER", given=self.spki)
        return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")

    def row(self):
        return struct.pack("<36sII64sI", self.kid.encode(), PROFILES[self.profile], self.flags,
                           self.point, 0)

    def public(self, **members):
        """A member of a JWK set for the build."""
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": self.jwk["x"], "y": self.jwk["y"],
                "profile": self.profile, "countersigns": bool(self.flags & COUNTERSIGNS),
                "revokes": bool(self.flags & REVOKES), **members}


def table(*keys):
    return (b"cloister-keys-1\0" + struct.pack("<II", len(keys), 0)
            + b"".join(key.row() for key in keys)).ljust(1024, b"\0")


def command(**members):
    """The members of a command; None leaves one out."""
    document = {"typ": "cloister-command", "ver": 1, "jti": "00112233445566778899aabbccddeeff",
                "aud": ["group:desks"], "seq": 7, "nbf": 1790000000, "exp": 1790003600,
                "profile": "diagnostic", "argv": ["/usr/bin/id", "-u"], **members}
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


def command_hash(plain, args=(), env=(), stdin=b""):
    """The command hash of docs/commands.md. `plain`: a script, or argv's texts with their NULs."""
    digest = hashlib.sha256(plain)
    if args or env or stdin:
        texts = [len(t).to_bytes(4, "little") + b"".join(x.encode() + b"\0" for x in t) for t in (args, env)]
        digest = hashlib.sha256(b"cloister/v1 command\0" + digest.digest() + b"".join(texts) + stdin)
    return digest.hexdigest()


def script_command(file, **members):
    return command(**{"argv": None, "script": b64(file),
                      "script_sha256": hashlib.sha256(file).hexdigest(), **members})


def revocation(*kids, **members):
    return json.dumps({"typ": "cloister-revocation", "ver": 1, "revoked": kids, **members}).encode()


def verify(program, file, tokens, revoked=0):
    """What the verifier says of each token."""
    given = b"".join(struct.pack("<I", len(token)) + token for token in tokens)
    result = subprocess.run([program, file, str(revoked)], input=given, capture_output=True, timeout=250)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    if result.returncode or len(lines) != len(tokens):
        raise AssertionError(f"{program} ended with {result.returncode}: {result.stderr.decode()}")
    return lines
