#!/usr/bin/python3
"""A second implementation of the key files of docs/machine-key.md, in plain Python.

Without arguments it prints the test vectors. With file names it checks that each of these files
holds every line of them, and exits with 1 if one does not: so the page, the C tests and this
program, which were written apart, agree.
"""
import hashlib
import struct
import sys

PUBLIC_KEY = bytes.fromhex(  # of the seed 00, 01, ... 1f; as in docs/wire.md
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")


def count(first, length):
    return bytes(range(first, first + length))


def blake2b(data, key=b""):
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & 0xffffffff


def quarter(x, a, b, c, d):
    for i, j, k, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[i] = (x[i] + x[j]) & 0xffffffff
        x[k] = rotate(x[k] ^ x[i], bits)


def rounds(state):
    x = list(state)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(x, a, b, c, d)
    return x


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def chacha20_block(key, counter, nonce):  # RFC 8439 section 2.3
    state = CONSTANTS + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    words = ((x + y) & 0xffffffff for x, y in zip(rounds(state), state))
    return struct.pack("<16I", *words)


def hchacha20(key, nonce):  # draft-irtf-cfrg-xchacha-03 section 2.2
    x = rounds(CONSTANTS + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))
    return struct.pack("<8I", *x[:4], *x[12:])


def poly1305(key, data):  # RFC 8439 section 2.5
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def xchacha20poly1305(key, nonce, data, bound):
    key, nonce = hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range(len(data) // 64 + 1))
    sealed = bytes(a ^ b for a, b in zip(data, stream))
    padded = b"".join(x + bytes(-len(x) % 16) for x in (bound, sealed))
    lengths = struct.pack("<QQ", len(bound), len(sealed))
    return sealed + poly1305(chacha20_block(key, 0, nonce)[:32], padded + lengths)


def slot(kind, identifier, nonce, secret, seed):
    named = bytes([kind]) + identifier
    tag = blake2b(b"cloister/v1 identifier-tag\0" + named, secret)
    key = blake2b(b"cloister/v1 key-slot\0" + named, secret)
    bound = b"cloister/v1 key-slot\0" + bytes([kind]) + PUBLIC_KEY
    return bytes([kind]) + tag + nonce + xchacha20poly1305(key, nonce, seed, bound)


def install_secret(secret):
    head = b"CLSTRSEC" + struct.pack("<H", 1) + secret
    return head + blake2b(head)


def machine_key(origin, previous_id, created_ms, slots, secret):
    head = b"CLSTRKEY" + struct.pack("<HBBQ", 1, origin, 1 if previous_id else 0, created_ms)
    head += PUBLIC_KEY + (previous_id or bytes(32)) + bytes([len(slots)]) + b"".join(slots)
    return head + blake2b(b"cloister/v1 key-file\0" + head, secret)


def vectors():
    secret, seed = count(0x20, 32), count(0x00, 32)
    disk = slot(1, b"WD-WX12 A345", count(0x40, 24), secret, seed)
    board = slot(2, b"PF2ABCDE", count(0x58, 24), secret, seed)
    nothing = slot(0, b"", count(0x70, 24), secret, seed)
    return {
        "install.secret": install_secret(secret),
        "machine.key, disk and board": machine_key(2, count(0xa0, 32), 1790000000000,
                                                   [disk, board], secret),
        "machine.key, nothing": machine_key(1, None, 1790000000000, [nothing], secret),
    }


def lines(data):
    text = data.hex()
    return [text[at:at + 64] for at in range(0, len(text), 64)]


def main(names):
    wanted = vectors()
    if not names:
        for name, data in wanted.items():
            print(f"{name} ({len(data)} bytes)")
            print("\n".join(lines(data)))
        return 0
    missing = 0
    for name in names:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        for line in (line for data in wanted.values() for line in lines(data)):
            if line not in text:
                print(f"{name}: lacks {line}", file=sys.stderr)
                missing = 1
    return missing


sys.exit(main(sys.argv[1:]))
