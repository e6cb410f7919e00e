"""A taken-over worker in the real agent: it is killed and started again, and the others go on."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from agent import BIN, Agent, wait_for

HOSTILE = os.path.join(BIN, "../test/agent")
PLANS = {
    "g": "not granted", "t": "truncated", "l": "lengths do not add up", "u": "unknown type",
    "v": "wrong version", "a": "that answers nothing", "h": "not granted", "f": "over its quota",
}


class HostileWorkers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cloister-hostile-")
        self.addCleanup(shutil.rmtree, self.folder)

    def program(self, kind, plan):
        """A copy of the hostile worker with its plan written in."""
        with open(os.path.join(HOSTILE, f"hostile-{kind}"), "rb") as f:
            image = f.read()
        self.assertEqual(image.count(b"PLAN:?"), 1)
        path = os.path.join(self.folder, f"{kind}-{plan}")
        with open(path, "wb") as f:
            f.write(image.replace(b"PLAN:?", b"PLAN:" + plan.encode()))
        return path

    def agent(self, kind, plan):
        """An agent whose vault or uplink is hostile. Nothing listens where uplink would dial."""
        config = {"console": {"host": "127.0.0.1", "port": "9"}} if kind == "uplink" else {}
        agent = Agent(config, replace={f"cloister-{kind}": self.program(kind, plan)})
        self.addCleanup(agent.remove)
        return agent.start()

    def others(self, agent, kind):
        return {w["name"]: w["pid"] for w in [agent.status()["broker"], *agent.status()["workers"]]
                if w["name"] in ("broker", "vault") and w["name"] != kind}

    def check(self, kind, plan, words):
        agent = self.agent(kind, plan)
        wait_for(f"the {kind} to be seen serving", lambda: f"{kind}[" in agent.log())
        others = self.others(agent, kind)
        wait_for(f"two refusals of plan {plan}:\n{agent.log()}",
                 lambda: agent.log().count(f"{words}") >= 2, deadline=20)
        wait_for("another instance", lambda: agent.worker(kind)["restarts"] >= 1)
        self.assertEqual(self.others(agent, kind), others)
        self.assertEqual(agent.stop(), 0)

    def test_a_vault_that_misbehaves(self):
        for plan, words in PLANS.items():
            with self.subTest(plan=plan):
                self.check("vault", plan, words)

    def test_an_uplink_that_misbehaves(self):
        for plan, words in PLANS.items():
            with self.subTest(plan=plan):
                self.check("uplink", plan, words)

    def test_an_oversize_message_ends_the_channel(self):
        self.check("vault", "o", "serves as uid")

    def test_a_log_line_cannot_be_forged(self):
        agent = self.agent("vault", "w")
        agent.wait_serving("vault")
        agent.wait_log("forged")
        line = next(l for l in agent.log().splitlines() if "forged" in l)
        self.assertRegex(line, r"^<3>vault\[\d+\]: mine\\x0a<0>broker: forged\\x1b\[2J$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
