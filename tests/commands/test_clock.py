"""A machine whose clock is set back, or forward and back again: it says so, and runs nothing meanwhile.

The vault is the shipped one, but for a clock that the test can set (skew.c).
"""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from foreign import ForeignConsole
from signed import BIN, Agent, Keys, token_id

HOUR, DAY = 3600, 86400
VAULT = os.path.join(BIN, "../test/commands/skewed-vault")


class Clock(unittest.TestCase):
    def setUp(self):
        self.keys = Keys()
        self.console = ForeignConsole()
        self.agent = Agent({"console": self.console.section()}, replace={"cloister-vault": self.keys.stamp(VAULT)})
        self.agent.start()
        self.console.wait_connection()

    def tearDown(self):
        self.agent.remove()
        self.console.remove()
        self.keys.remove()

    def set(self, seconds):
        """The vault's clock shows so much more than the kernel's."""
        path = os.path.join(self.agent.state, "vault", "skew")
        owner = os.stat(os.path.dirname(path))
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(str(seconds))
        os.chown(path + ".new", owner.st_uid, owner.st_gid)
        os.rename(path + ".new", path)

    def decide(self, valid_from):
        """What becomes of a command that is valid for an hour from so many seconds from now on."""
        now = int(time.time())
        token = self.keys.sign(self.keys.command([self.console.machine], nbf=now + valid_from,
                                                 exp=now + valid_from + HOUR))
        decision = self.console.decide(token)
        if decision["accepted"]:
            self.assertEqual(self.console.wait_receipt(token_id(token))["decision"], "run")
        return decision["reason"]

    def restart(self):
        before = self.console.connections
        self.agent.stop()
        self.agent.start()
        self.console.wait_connection(before)

    def test_back(self):
        self.assertEqual(self.decide(0), "accepted")
        self.set(-HOUR)
        self.assertEqual(self.decide(0), "clock")
        self.assertEqual(self.decide(-HOUR), "clock")
        self.restart()
        self.assertEqual(self.decide(0), "clock")
        self.set(0)
        self.assertEqual(self.decide(0), "accepted")

    def test_a_little_back_is_a_correction(self):
        self.assertEqual(self.decide(0), "accepted")
        self.set(-60)
        self.assertEqual(self.decide(0), "not_yet_valid")
        self.assertEqual(self.decide(60 - HOUR), "epoch")

    def test_forward_and_back(self):
        self.set(30 * DAY)
        self.assertEqual(self.decide(0), "expired")   # authentic: the time that it was seen at is kept
        self.set(0)
        self.assertEqual(self.decide(0), "clock")
        self.restart()
        self.assertEqual(self.decide(0), "clock")
        self.set(30 * DAY)
        self.assertEqual(self.decide(30 * DAY), "accepted")

    def test_it_is_said(self):
        self.set(DAY)
        self.assertEqual(self.decide(DAY), "accepted")
        self.set(0)
        self.assertEqual(self.decide(0), "clock")
        self.assertTrue(any("clock" in line for line in self.agent.log().splitlines()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
