"""What a frame costs in time and memory, and what a full ticket costs: through the programs' own code."""
import json
import os
import subprocess

from agent import Failure

TRIGGERS = 300


def lines(program, *arguments, timeout=240, prefix=()):
    result = subprocess.run([*prefix, program, *map(str, arguments)], capture_output=True, text=True,
                            timeout=timeout, check=False)
    if result.returncode != 0:
        raise Failure(f"{os.path.basename(program)}: {result.stdout}{result.stderr}")
    rows = (json.loads(line) for line in result.stdout.splitlines() if line.startswith("{"))
    return {row["name"]: row["value"] for row in rows}


def measure(table, bench):
    program = os.path.join(bench, "capture_bench")
    for width, height, triggers in ((1920, 1080, TRIGGERS), (3840, 2160, TRIGGERS // 3)):
        found = lines(program, width, height, triggers)
        size = f"{width}x{height}"
        table.add(f"trigger to frame stored, {size}", found["trigger to stored"], "us",
                  "the bare SHM grab", found["bare grab"], target=2.5, of="ratio")
        table.add(f"trigger to frame stored, {size}", found["trigger to stored"], "us",
                  "maim", found["maim"])
        table.add(f"stored bytes a frame, {size}, mean of {triggers}", found["stored per frame, mean"],
                  "bytes", "the raw picture", found["raw frame"], target=0.01, of="ratio")


def two_cores():
    return ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))


def measure_ticket(table, bench):
    found = lines(os.path.join(bench, "ticket_bench"), 300, 2, prefix=("taskset", "-c", two_cores()))
    table.add("300 frames of 1080p encoded and sealed, 2 cores", found["ticket_encoded_and_sealed"], "s",
              target=20)
    table.add("until the newest of them can be looked at", found["ticket_first_look"], "s", target=1)
    table.add("their records in memory", found["ticket_records"], "MB")
    table.add("their sealed bundle", found["ticket_bundle"], "MB")
