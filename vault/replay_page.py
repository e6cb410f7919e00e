#!/usr/bin/python3
"""Reads replay stores as docs/replay-store.md describes them, with nothing of the vault's code.

usage: replay_page.py PAGE FUZZ_INPUT...

A fuzz input (replay_fuzz.c) is a byte, the anchor's two places, and a log; those whose byte is 0 are
stores as the vault wrote them.
"""
import hashlib
import re
import struct
import sys

KINDS = ["begin", "key", "ids", "accepted", "started", "ended", "delivered", "time"]
HEAD, PLACE, RECORD = struct.Struct("<8sIIQQQ32s"), struct.Struct("<8sQQ32sQ32s"), 512


def need(holds, what):
    if not holds:
        sys.exit(f"{sys.argv[0]}: {what}")


def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def text(data):
    return data.rstrip(b"\0").decode("ascii")


def kinds_of(page):
    """The page's table of kinds."""
    with open(page, encoding="utf-8") as f:
        found = re.findall(r"^\| (\d) (\w+) \|", f.read(), re.MULTILINE)
    need([name for _, name in found] == KINDS, "the page has other kinds")
    need([int(n) for n, _ in found] == list(range(1, 9)), "the page numbers kinds otherwise")


def read_anchor(places):
    """The newest of the two places."""
    newest = None
    for data in (places[:96], places[96:]):
        magic, generation, count, head, _, own = PLACE.unpack(data)
        need(magic == b"CLANCH1\0" and own == digest(data[:64]), "a place of the anchor")
        newest = max(newest or (0,), (generation, count, head))
    return newest


def read_log(log):
    """Checks the chain; returns where the log ends, and what it says of commands and keys."""
    commands, keys, before, last = {}, {}, None, 0
    for number in range(len(log) // RECORD):
        record = log[number * RECORD:(number + 1) * RECORD]
        magic, kind, zero, generation, index, time, previous = HEAD.unpack(record[:72])
        need(magic == b"CLRPLY1\0" and zero == 0 and index == number, f"record {number}: its head")
        need(record[480:] == digest(record[:480]), f"record {number}: its digest")
        need(before in (None, previous) and time >= last, f"record {number}: what it follows")
        before, last = record[480:], time
        name, body = KINDS[kind - 1], record[72:480]
        if name == "begin":
            _, epoch, records, follows = struct.unpack("<16sQQQ", body[:40])
            need(number == 0 and epoch > 0 and records > 0 and (generation == 1) == (follows == 0),
                 "its beginning")
        elif name == "key":
            keys[text(body[:36])] = struct.unpack("<QI", body[36:48])
        elif name == "accepted":
            token, kid, _, seq, profile = struct.unpack("<16s36s16sQI", body[:80])
            need(profile == 1 and text(body[96:192]) == "/bin/true", f"record {number}: a command")
            commands[token] = name
            highest, revoked = keys.get(text(kid), (0, 0))
            keys[text(kid)] = (max(highest, seq), revoked)
        elif name in ("started", "ended"):
            commands[body[:16]] = name
        elif name == "delivered":
            need(commands.pop(body[:16]) == "ended", f"record {number}: a receipt")
    return (generation, len(log) // RECORD, before), commands, keys


def main():
    kinds_of(sys.argv[1])
    read = 0
    for name in sys.argv[2:]:
        with open(name, "rb") as f:
            data = f.read()
        if data[0] != 0:
            continue
        end, commands, keys = read_log(data[193:])
        need(end == read_anchor(data[1:193]), f"{name}: the anchor names another end")
        read += 1
        if name.endswith(("/life", "/rewritten")):
            need(sorted(commands.values()) == ["ended", "started"], f"{name}: {commands}")
            need(keys == {"ops-1": (2, 0), "ops-2": (3, 0), "stolen": (0, 1)}, f"{name}: {keys}")
    need(read == 4, f"{read} stores were read")
    print(f"{read} stores agree with {sys.argv[1]}")


main()
