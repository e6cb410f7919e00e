"""The whole agent while somebody works: the processor that it takes, and what a video does to it."""
import os
import time

from agent import Agent, wait_for
from desktop import Desktop
from processes import cpu_ns

PAIRS, PRESSES, PER_SECOND = 4, 50, 5
VIDEO_S, VIDEO_FPS = 20, 25
RAW = 1920 * 1080 * 4
RING = 64 << 20  # the default of [capture] max_bytes


def measure(table, bench):
    desktop = Desktop().start()
    agent = Agent({"session": desktop.session(), "capture": {"screenshots": "on"}})
    try:
        agent.start()
        agent.wait_serving("vault", "capture")
        wait_for("capture", lambda: agent.status()["capture"]["phase"] == "capturing")
        desktop.spawn(["xterm", "-geometry", "100x45+100+100", "-T", "work", "-e", "cat"])
        desktop.xdotool("windowfocus", "--sync", desktop.window("work"))
        measure_cpu(table, agent, desktop)
        measure_video(table, agent, desktop, bench)
    finally:
        agent.remove()
        desktop.remove()


def counts(agent):
    """Frames and merged triggers, once capture has told the last of them (it tells once a second)."""
    time.sleep(1.2)
    capture = agent.status()["capture"]
    return capture["frames"], capture["merged"]


def press(desktop, presses):
    """Function keys at PER_SECOND; `cat` shows each on the screen. Returns the seconds that it took."""
    start = time.monotonic()
    desktop.xdotool("key", "--repeat", presses, "--delay", 1000 // PER_SECOND, "F12")
    return time.monotonic() - start


def span(agent, desktop, server):
    pids = {name: pid for pid, name in agent.processes().items()}
    capture = pids["cloister-capture"]
    before = cpu_ns(capture), cpu_ns(server)
    seconds = press(desktop, PRESSES)
    return [(after - start) / 1e7 / seconds  # percent of a core
            for after, start in zip((cpu_ns(capture), cpu_ns(server)), before)]


def measure_cpu(table, agent, desktop):
    """The same keys with capture paused and not, in turns: the X server's share is the difference."""
    server = desktop.processes[0].pid
    own, share, before = [], [], counts(agent)
    for _ in range(PAIRS):
        agent.run("cloister", "pause", "5m", check=True)
        idle = span(agent, desktop, server)
        agent.run("cloister", "resume", check=True)
        busy = span(agent, desktop, server)
        own.append(busy[0])
        share.append(busy[1] - idle[1])
    after = counts(agent)
    mean = (sum(own) + sum(share)) / PAIRS
    table.add("CPU at 5 triggers a second, 1080p, the X server's share included", mean, "% of core",
              "one core", 100, target=0.02, of="ratio")
    table.add("capture's own part of it", sum(own) / PAIRS, "% of core")
    table.add("the X server's", sum(share) / PAIRS, "% of core")
    table.add("triggers in that time", PAIRS * PRESSES, "triggers")
    table.add("merged into another's frame", after[1] - before[1], "triggers")


def measure_video(table, agent, desktop, bench):
    pids = {name: pid for pid, name in agent.processes().items()}
    desktop.spawn([reachable(desktop, os.path.join(bench, "noise_player")), str(VIDEO_FPS)])
    before, cpu = agent.status()["capture"], cpu_ns(pids["cloister-capture"])
    seconds = press(desktop, VIDEO_S * PER_SECOND)
    used = cpu_ns(pids["cloister-capture"]) - cpu
    frames, merged = counts(agent)
    after = agent.status()["capture"]
    made = frames - before["frames"]
    table.add("full-screen video, 5 triggers a second: bytes kept", after["bytes"], "bytes",
              "the ring's limit", RING, target=1, of="ratio")
    table.add("frames of it", made, "frames")
    table.add("triggers merged", merged - before["merged"], "triggers")
    if made > 0:
        table.add("bytes a trigger", (after["bytes"] - before["bytes"]) / (VIDEO_S * PER_SECOND), "bytes",
                  "the raw picture", RAW)
    table.add("capture's CPU during it", used / 1e7 / seconds, "% of core", digits=2)


def reachable(desktop, program):
    """A copy that the desktop's user can start wherever the build lies."""
    copy = os.path.join(desktop.folder, os.path.basename(program))
    with open(program, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    os.chmod(copy, 0o755)
    return copy
