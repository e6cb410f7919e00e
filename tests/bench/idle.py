"""The agent when nothing happens: its memory and its wake-ups."""
import time

from agent import Agent, wait_for
from console import Console, enrol
from desktop import Desktop
from processes import mappings, pss_kb, wakeups

# What follows a start and a frame has ended by then: time-outs of sends (10 s), and the broker's look
# at whether the workers have served steadily (60 s).
SETTLE_S = 70
SPAN_S = 60
FRAME_BUFFER_KB = 1024  # capture's locked mappings from this size on: three pictures and the ring


def measure(table):
    console = Console().start()
    desktop = Desktop().start()
    agent = Agent({"session": desktop.session(), "capture": {"screenshots": "on"},
                   "console": console.section()})
    try:
        agent.start()
        agent.wait_serving("vault", "capture", "uplink")
        enrol(agent, console)
        desktop.xdotool("key", "F12")  # so that the frame buffers are in use, and must be told apart
        wait_for("a frame", lambda: agent.status()["capture"]["frames"] == 1)
        time.sleep(SETTLE_S)
        pids = {name: pid for pid, name in agent.processes().items() if name.startswith("cloister")}
        measure_wakeups(table, pids)
        measure_memory(table, pids)
    finally:
        agent.remove()
        desktop.remove()
        console.remove()


def measure_wakeups(table, pids):
    before = {name: wakeups(pid) for name, pid in pids.items()}
    time.sleep(SPAN_S)
    woken = {name: wakeups(pid) - before[name] for name, pid in pids.items()}
    rest = sum(count for name, count in woken.items() if name != "cloister-uplink")
    table.add(f"wake-ups of the idle agent in {SPAN_S} s, uplink's liveness apart", rest, "wake-ups", target=0)
    for name, count in sorted(woken.items()):
        table.add(f"wake-ups of {name} in {SPAN_S} s", count, "wake-ups")


def frame_buffers_kb(pid):
    """What locked memory of a picture's size counts in PSS: the pictures and the ring."""
    return sum(m["pss_kb"] for m in mappings(pid)
               if m["size_kb"] >= FRAME_BUFFER_KB and (m["locked"] or "memfd" in m["name"]))


def measure_memory(table, pids):
    total = {name: pss_kb(pid) for name, pid in pids.items()}
    buffers = frame_buffers_kb(pids["cloister-capture"])
    total["cloister-capture"] -= buffers
    table.add("PSS of the idle agent without capture's frame buffers", sum(total.values()) / 1024, "MB",
              target=16)
    for name, kb in sorted(total.items()):
        table.add(f"PSS of {name}", kb / 1024, "MB")
    table.add("PSS of capture's frame buffers", buffers / 1024, "MB")
