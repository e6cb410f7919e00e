"""Worker to worker through the broker, against nng PAIR0 without one."""
import json
import os
import subprocess

from agent import Agent, Failure
from desktop import Desktop
from working import reachable

PEER = "nng PAIR0 between two processes"
RUNS = 7
ROUNDS = 800  # below FrameFetch's quota of 2000 a second


def measure(table, bench):
    desktop = Desktop(size="640x480").start()
    agent = Agent({"session": desktop.session(), "capture": {"screenshots": "on"}},
                  replace={"cloister-capture": os.path.join(bench, "relay_capture"),
                           "cloister-ticket": os.path.join(bench, "relay_client")})
    try:
        agent.start()
        agent.wait_serving("vault", "capture")
        found = [one_run(agent, desktop, bench, i) for i in range(RUNS)]
    finally:
        agent.remove()
        desktop.remove()
    # The run in the middle: its numbers were measured within a second and belong together.
    found.sort(key=lambda run: run["relayed"]["median"] / run["stock"]["median"])
    middle = found[len(found) // 2]

    def row(name, which, peer, key, **target):
        table.add(name, middle["relayed"][which] / 1000, "us", peer, middle[key][which] / 1000, digits=1, **target)

    row("worker to worker through the broker, 64 bytes, round trip", "median", PEER, "stock", target=2, of="ratio")
    row("worker to worker, 90th percentile", "p90", PEER, "stock")
    row("worker to worker, in turns within one process", "median", "nng PAIR0 from the same process", "direct")


def one_run(agent, desktop, bench, number):
    found = {}
    for command in (["cloister-ticket", agent.runtime, f"echo-{number}", str(ROUNDS)],
                    [os.path.join(bench, "stock_pair"), f"stock-{number}", str(ROUNDS)]):
        found.update(rounds(agent, desktop, command))
    return found


def rounds(agent, desktop, command):
    program = os.path.join(agent.bin, command[0])
    if os.path.isabs(command[0]):
        program = reachable(desktop, command[0])
    result = subprocess.run(desktop.as_user([program, *command[1:]]), cwd=desktop.folder, capture_output=True,
                            text=True, timeout=60, check=False)
    if result.returncode != 0:
        raise Failure(f"{program}: status {result.returncode}: {result.stderr}\n{agent.log()}")
    return json.loads(result.stdout)
