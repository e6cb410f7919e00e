"""What a frame costs in time and memory, and what a full ticket costs: through the programs' own code."""
import json
import os
import signal
import subprocess

from agent import Failure

TRIGGERS = 300


def run(command, timeout):
    """A program that starts others (an X server, terminals): in a group of its own, so that none of them
    outlives it, however it ends."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # as it should be
    if process.returncode != 0:
        raise Failure(f"{' '.join(command)}: status {process.returncode}:\n{output}")
    return output


def lines(*command, timeout=240):
    """{name: value} of the JSON lines that a program prints."""
    rows = [json.loads(line) for line in run(list(map(str, command)), timeout).splitlines()
            if line.startswith("{")]
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
    found = lines("taskset", "-c", two_cores(), os.path.join(bench, "ticket_bench"), 300, 2)
    table.add("300 frames of 1080p encoded and sealed, 2 cores", found["ticket_encoded_and_sealed"], "s",
              target=20)
    table.add("until the newest of them can be looked at", found["ticket_first_look"], "s", target=1)
    table.add("their records in memory", found["ticket_records"], "MB")
    table.add("their sealed bundle", found["ticket_bundle"], "MB")
