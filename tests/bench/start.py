"""From exec of cloisterd to every worker locked and serving."""
import statistics
import time

from agent import Agent, wait_for
from desktop import Desktop

RUNS = 11
WORKERS = ("vault", "capture")  # what runs without a connection


def measure(table):
    desktop = Desktop().start()
    agent = Agent({"session": desktop.session(), "capture": {"screenshots": "on"}})
    try:
        took = [one_run(agent) for _ in range(RUNS + 1)]
    finally:
        agent.remove()
        desktop.remove()
    later = [max(times.values()) for times in took[1:]]
    table.add("start to all workers locked and serving", statistics.median(later), "ms", target=120, digits=0)
    for name in WORKERS:
        table.add(f"start to {name} serving", statistics.median(t[name] for t in took[1:]), "ms", digits=0)
    table.add("the slowest of them", max(later), "ms", digits=0)
    table.add("first start, which makes the machine's key", max(took[0].values()), "ms", digits=0)


def one_run(agent):
    """{worker: ms from exec to serving}, as the broker noted it."""
    started_ms = time.time() * 1000
    agent.start()
    agent.wait_serving(*WORKERS)
    workers = {w["name"]: w for w in agent.status()["workers"]}
    agent.stop()
    wait_for("the agent's end", lambda: not agent.processes())
    return {name: workers[name]["since_ms"] - started_ms for name in WORKERS}
