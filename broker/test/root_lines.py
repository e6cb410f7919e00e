#!/usr/bin/python3
"""Counts the lines of our own that run as root: lines of the .c files that cloisterd and
cloister-launch are made of, without comments and blank lines. What the monitor's reader parses runs
in a child that has given up root and is not counted. Fails above LIMIT.

usage: root_lines.py CLOISTERD FILE.c...
"""

import os
import re
import subprocess
import sys

LIMIT = 2250
# Text and comments together, so that neither hides in the other.
PIECE = re.compile(r'("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')|/\*.*?\*/|//[^\n]*', re.S)


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        text = PIECE.sub(lambda piece: piece.group(1) or "", file.read())
    return sum(1 for line in text.split("\n") if line.strip())


def main():
    program, files = sys.argv[1], sys.argv[2:]
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    # The broker's part of logging is an archive member that cloisterd must not take.
    if re.search(r" [tT] log_(relay|copy)$", symbols, re.M):
        sys.exit("cloisterd links log_relay.c")
    total = 0
    for path in files:
        count = lines_of(path)
        total += count
        print(f"{count:6} {os.path.relpath(path, os.path.join(os.path.dirname(__file__), '../..'))}")
    print(f"{total:6} lines of our own run as root; at most {LIMIT} may")
    sys.exit(total > LIMIT)


main()
