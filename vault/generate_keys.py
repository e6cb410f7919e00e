#!/usr/bin/python3
"""Writes the table of command keys as C (command_keys.h).

usage: generate_keys.py OUT.c [JWKS]

Without JWKS the table is empty. Fails, and writes nothing, on a file in which anything is wrong,
unknown, or private.
"""
import base64
import binascii
import json
import re
import sys

KEYS_MAX = 8
KID = re.compile(r"[a-z0-9._-]{1,32}")
PROFILES = {"none": 0, "diagnostic": 1, "user": 2, "admin": 3}
FLAGS = {"countersigns": 1, "revokes": 2}
FIXED = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"]}
REQUIRED = {"kty", "crv", "kid", "x", "y"}
PRIVATE = {"d", "k", "p", "q"}

# FIPS 186-4 appendix D.1.2.3
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b


class Wrong(Exception):
    pass


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Wrong("a member stands there twice")
    return members


def coordinate(key, name):
    """32 bytes from canonical base64url (RFC 7518 section 6.2.1.2)."""
    text = key[name]
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise Wrong(f"{name} is not 32 bytes in base64url")
    value = base64.urlsafe_b64decode(text + "=")
    if base64.urlsafe_b64encode(value).decode().rstrip("=") != text:
        raise Wrong(f"{name} is not canonical base64url")
    return value


def point(key):
    x, y = coordinate(key, "x"), coordinate(key, "y")
    a, b = int.from_bytes(x, "big"), int.from_bytes(y, "big")
    if a >= P or b >= P or (b * b - (a * a * a - 3 * a + B)) % P:
        raise Wrong("x and y are no point of P-256")
    return x + y


def flags(key):
    bits = 0
    for name, bit in FLAGS.items():
        value = key.get(name, False)
        if not isinstance(value, bool):
            raise Wrong(f"{name} is neither true nor false")
        bits |= bit if value else 0
    return bits


def read_key(key):
    """kid, profile, flags, point."""
    if not isinstance(key, dict):
        raise Wrong("it is no object")
    if PRIVATE & key.keys():
        raise Wrong("it is a PRIVATE key: it must not be where software is built; "
                    "publish its public half alone, and retire it")
    if REQUIRED - key.keys():
        raise Wrong("it has no " + ", ".join(sorted(REQUIRED - key.keys())))
    unknown = key.keys() - REQUIRED - FIXED.keys() - FLAGS.keys() - {"profile"}
    if unknown:
        raise Wrong("unknown: " + ", ".join(sorted(unknown)))
    for name, value in FIXED.items():
        if key.get(name, value) != value:
            raise Wrong(f"{name} is not {json.dumps(value)}")
    if not isinstance(key["kid"], str) or not KID.fullmatch(key["kid"]):
        raise Wrong("kid is not 1 to 32 characters of a-z 0-9 . _ -")
    profile = key.get("profile", "none")
    if not isinstance(profile, str) or profile not in PROFILES:
        raise Wrong("profile is none of " + ", ".join(PROFILES))
    return key["kid"], PROFILES[profile], flags(key), point(key)


def read_set(path):
    with open(path, "rb") as file:
        text = file.read().decode("utf-8")
    document = json.loads(text, object_pairs_hook=unique)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise Wrong('it is no JWK set: {"keys": [...]}')
    if document.keys() != {"keys"}:
        raise Wrong("unknown: " + ", ".join(sorted(document.keys() - {"keys"})))
    if len(document["keys"]) > KEYS_MAX:
        raise Wrong(f"it has more than {KEYS_MAX} keys")
    keys = []
    for number, key in enumerate(document["keys"], 1):
        try:
            keys.append(read_key(key))
        except Wrong as wrong:
            raise Wrong(f"key {number}: {wrong}") from None
    if len({kid for kid, *_ in keys}) != len(keys):
        raise Wrong("a kid stands there twice")
    if len({place for *_, place in keys}) != len(keys):
        raise Wrong("a key stands there under two kids")
    return keys


def row(key):
    kid, profile, bits, place = key
    numbers = ", ".join(f"0x{byte:02x}" for byte in place)
    return f'        {{"{kid}", {profile}, {bits}, {{{numbers}}}, 0}},\n'


def source(keys):
    rows = "".join(row(key) for key in keys)
    return ('#include "command_keys_table.h"\n\n'
            "__attribute__((section(COMMAND_KEYS_SECTION), used, aligned(16)))\n"
            "const struct command_keys command_keys_table = {\n"
            f"    .magic = COMMAND_KEYS_MAGIC,\n    .count = {len(keys)},\n"
            + (f"    .keys = {{\n{rows}    }},\n" if keys else "") + "};\n")


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = source(read_set(arguments[1]) if len(arguments) == 2 else [])
    except (Wrong, OSError, ValueError, RecursionError, binascii.Error) as error:
        print(f"generate_keys.py: {arguments[-1]}: {error}", file=sys.stderr)
        return 1
    with open(arguments[0], "w", encoding="ascii") as out:
        out.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
