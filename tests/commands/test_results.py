"""What a command wrote comes to the console whole: over lost connections, from a killed uplink, past a console
that does not take it. The console is the tests' own.
"""
import hashlib
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from foreign import STDERR, STDOUT, ForeignConsole
from signed import Agent, Keys, token_id, wait_for

SLOW = "#!/bin/sh\ni=0\nwhile [ $i -lt 50 ]; do seq $i 50000; seq 1000 >&2; i=$((i+1)); sleep 0.05; done\nexit 5\n"
ENDLESS = "#!/bin/sh\nexec yes something\n"
HELD_MAX = 9 << 20  # a runner's, of a console that takes nothing (docs/commands.md), and a pipe


class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = Keys()
        cls.console = ForeignConsole()
        cls.agent = Agent({"console": cls.console.section()}, replace={"cloister-vault": cls.keys.stamp()})
        cls.agent.start()
        cls.console.wait_connection()

    @classmethod
    def tearDownClass(cls):
        cls.agent.remove()
        cls.console.remove()
        cls.keys.remove()

    def start(self, script, **members):
        token = self.keys.sign(self.keys.command([self.console.machine], script=script, **members))
        self.assertTrue(self.console.decide(token)["accepted"])
        return token_id(token)

    def again(self, identity, before):
        """The next connection, on which the console asks for what it lacks."""
        self.console.wait_connection(before)
        self.console.query(identity)

    def check(self, identity, receipt):
        for kind, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            got = self.console.of(identity).output(kind)
            self.assertEqual((len(got), hashlib.sha256(got).hexdigest()),
                             (receipt[f"{name}_bytes"], receipt[f"{name}_sha256"]), name)
        self.assertEqual(self.console.of(identity).receipts, 1)

    def wait_chunks(self, identity, count):
        wait_for("its output", lambda: len(self.console.of(identity).chunks[STDOUT]) >= count)

    def test_connections_are_lost(self):
        identity = self.start(SLOW, output_bytes=100 << 20)
        for count in (3, 12, 25):
            self.wait_chunks(identity, count)
            self.again(identity, self.console.drop())
        receipt = self.console.wait_receipt(identity)
        self.assertEqual((receipt["exit"], receipt["limit"], receipt["stdout_dropped"]), (5, "", 0))
        self.assertGreater(receipt["stdout_bytes"], 10 << 20)
        self.check(identity, receipt)

    def test_uplink_is_killed(self):
        identity = self.start(SLOW, output_bytes=100 << 20)
        self.wait_chunks(identity, 5)
        before = self.console.connections
        for pid, name in self.agent.processes().items():
            if name == "cloister-uplink":
                os.kill(pid, signal.SIGKILL)
        self.again(identity, before)
        receipt = self.console.wait_receipt(identity)
        self.assertEqual((receipt["exit"], receipt["stdout_dropped"]), (5, 0))
        self.check(identity, receipt)

    def test_a_console_that_takes_nothing(self):
        """The command waits, the runner holds no more than it may, and nothing of that is lost."""
        self.console.answers = False
        self.addCleanup(setattr, self.console, "answers", True)
        identity = self.start(ENDLESS, output_bytes=1 << 30, time_ms=4000)
        wait_for("the command to end", lambda: "cloister-command" not in self.agent.processes().values())
        self.assertIsNone(self.console.of(identity).receipt)
        self.console.of(identity).chunks = {STDOUT: [], STDERR: []}  # it has stored nothing
        before = self.console.drop()
        self.console.answers = True
        self.again(identity, before)
        receipt = self.console.wait_receipt(identity)
        self.assertEqual((receipt["decision"], receipt["limit"]), ("run", "time"))
        self.assertGreater(receipt["stdout_bytes"], 1 << 20)
        self.assertLess(receipt["stdout_bytes"], HELD_MAX)
        self.check(identity, receipt)


if __name__ == "__main__":
    unittest.main(verbosity=2)
