"""Measures what docs/performance.md describes, each number against a peer in the same run.

usage: ./run bench [--json FILE] [--only NAME]...

Exit status: 0 if everything could be measured, targets missed or not; 1 if something could not; 2 for
wrong usage.
"""
import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../agent"))
sys.path.insert(0, os.path.dirname(__file__))
import commands
import frames
import idle
import relay
import size
import start
import tokens
import working
from agent import BIN, Failure
from table import Table

BENCH = os.path.abspath(os.path.join(BIN, "../bench"))
PARTS = {
    "frames": lambda table: frames.measure(table, BENCH),
    "working": lambda table: working.measure(table, BENCH),
    "tickets": lambda table: frames.measure_ticket(table, BENCH),
    "relay": lambda table: relay.measure(table, BENCH),
    "idle": idle.measure,
    "start": start.measure,
    "size": size.measure,
    "tokens": lambda table: tokens.measure(table, BENCH),
    "commands": commands.measure,
}


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure, against peers in the same run.")
    parser.add_argument("--json", metavar="FILE", help="write the rows as a list of objects")
    parser.add_argument("--only", metavar="NAME", action="append", choices=PARTS,
                        help="measure this part alone: " + ", ".join(PARTS))
    options = parser.parse_args()
    table, failed = Table(), []
    print(f"{os.uname().release}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in options.only or PARTS:
        try:
            PARTS[name](table)
        except (Failure, subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            failed.append(name)
            print(f"{name}: NOT MEASURED: {error}", flush=True)
    if options.json:
        table.write(options.json)
    for name in table.missed():
        print(f"missed: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
