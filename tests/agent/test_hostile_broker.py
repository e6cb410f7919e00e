"""Local policy beats everything else, in the monitor, with the broker replaced by a hostile one.

The real cloisterd starts tests/agent/hostile_broker.c in place of cloister-broker. It asks for what
the configuration does not allow, with valid signatures too, and feeds a runner that the monitor did start
with orders that are forged, changed, replayed or meant for another. Nothing of it is carried out.
"""
import hashlib
import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../commands"))
from signed import Keys
from agent import BIN, Agent, wait_for

HERE = os.path.join(BIN, "../test/agent")
OFF, TOO_HIGH, NOT_LISTED, NO_RUNNER = 2, 12, 13, 14  # enum monitor_reason
ACCEPTED = 1                                          # enum Decision
EXIT_PROTOCOL = 75                                    # enum worker_exit


def command_hash(*argv):
    return hashlib.sha256(b"".join(a.encode() + b"\0" for a in argv)).hexdigest()


ALLOWED = command_hash("/bin/echo", "it was run")
ANOTHER = command_hash("/bin/echo", "another was run")


class HostileBroker(unittest.TestCase):
    def agent(self, path, vault=None, broker=None, **commands):
        replace = {"cloister-broker": broker or os.path.join(HERE, "hostile-broker")}
        if vault:
            replace["cloister-vault"] = vault
        settings = {"allow": f"{ALLOWED}, {ANOTHER}", "groups": "hostile", **commands}
        agent = Agent({"console": {"path": path}, "commands": settings}, replace=replace)
        self.addCleanup(agent.remove)
        return agent.start(wait=False)

    def run_all(self, *args, **commands):
        """Everything that this scenario tries; the log of it."""
        agent = self.agent(*args, **commands)
        wait_for(f"all to be tried:\n{agent.log()}",
                 lambda: "all tried" in agent.log() or "FAILED" in agent.log(), deadline=60)
        log = agent.log()
        self.assertNotIn("FAILED", log)
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(agent.processes(), {})
        return log

    def outcomes(self, log):
        return dict(re.findall(r"^(?:<\d>)?([^:\n]+): ((?:refused|STARTED) \d+)$", log, re.M))

    def results(self, log):
        """What runners did with the orders that they were given."""
        found = {}
        for what, *numbers in re.findall(
                r"^(?:<\d>)?([^:\n]+): exit (-?\d+), chunks (\d+), finished (\d+), status (\d+)$", log, re.M):
            found.setdefault(what, []).append(tuple(map(int, numbers)))
        return found

    def test_what_the_configuration_does_not_allow_is_not_started(self):
        log = self.run_all("/policy")
        self.assertEqual(self.outcomes(log), {
            "profile user": f"refused {TOO_HIGH}",
            "profile admin": f"refused {TOO_HIGH}",
            "another command": f"refused {NOT_LISTED}",
            "a process without a runner": f"refused {NO_RUNNER}",
            "a process of the profile user": f"refused {NO_RUNNER}",
            "a process of the profile admin": f"refused {NO_RUNNER}",
            "a process above nobody": f"refused {NO_RUNNER}",
            "a second process": f"refused {NO_RUNNER}",
            "a process of a runner that is gone": f"refused {NO_RUNNER}",
        })
        # The monitor says what was asked for, and why it was not started.
        for profile, word, why in ((2, ALLOWED, "above the highest profile"),
                                   (3, ALLOWED, "above the highest profile"),
                                   (1, ALLOWED[:-2], "not in the configuration's list")):
            self.assertRegex(log, f"cloisterd: runner of profile {profile} for the command {word}"
                                  f"[0-9a-f]* not started: {why}")

    def test_commands_that_are_switched_off(self):
        log = self.run_all("/off", profile="off")
        self.assertEqual(self.outcomes(log), {"commands that are off": f"refused {OFF}"})

    def test_what_no_broker_asks_for_is_its_end(self):
        for path, why in (("/high", "malformed message"), ("/low", "malformed message"),
                          ("/unprofiled", "malformed message"), ("/disguised", "malformed message"),
                          ("/again", "START with a generation that has been")):
            with self.subTest(path=path):
                agent = self.agent(path)
                agent.wait_log(f"broker killed with all workers: {why}")
                self.assertNotIn("FAILED", agent.log())
                self.assertEqual(agent.stop(), 0)
                self.assertEqual(agent.processes(), {})

    def test_a_runner_carries_out_its_own_order_alone(self):
        log = self.run_all("/orders", vault=os.path.join(HERE, "ordering-vault"))
        results = self.results(log)
        refused = [(EXIT_PROTOCOL, 0, 0, 0)]
        self.assertEqual(results.pop("a forged tag"), refused * 6)
        # That it can be done at all; and not again, neither by the next nor by itself.
        self.assertEqual(results.pop("the order that is its own"), [(0, 1, 1, 0)])
        self.assertEqual(results.pop("the same twice, to one")[0][0], EXIT_PROTOCOL)
        self.assertEqual(results, {what: refused for what in (
            "a changed slot", "a changed profile", "a changed digest", "a changed program",
            "another slot's order", "an earlier generation's order", "another command's order",
            "another profile's order", "an order for what was not asked for", "a shortened order",
            "no tag", "the same once more, to the next")})
        self.assertLessEqual(log.count("output: it was run"), 2)  # its own, and the one given twice
        self.assertNotIn("output: another", log)
        self.assertEqual(log.count("it is not carried out"), 18)

    def with_tokens(self, folder, tokens):
        """A copy of the broker that has these tokens."""
        with open(os.path.join(HERE, "hostile-broker"), "rb") as f:
            image = bytearray(f.read())
        for i, token in enumerate(tokens):
            at = image.index(b"TOKEN:%d\0" % i)
            self.assertLess(len(token), 4096)
            image[at:at + len(token)] = token.encode()
        path = os.path.join(folder, "hostile-broker")
        with open(path, "wb") as f:
            f.write(image)
        return path

    def test_local_policy_beats_a_valid_signature(self):
        keys = Keys(ops={"profile": "user"})
        self.addCleanup(keys.remove)
        # Valid only when the vault has made its store: what was valid before is refused (docs/commands.md).
        tokens = [keys.sign(keys.command(["group:hostile"], argv, profile=profile, nbf=int(time.time()) + 5))
                  for profile, argv in (("user", ["/bin/echo", "it was run"]),
                                        ("diagnostic", ["/bin/echo", "not listed"]),
                                        ("diagnostic", ["/bin/echo", "it was run"]))]
        log = self.run_all("/signed", vault=keys.stamp(), broker=self.with_tokens(keys.folder, tokens))
        self.assertEqual(re.findall(r"(token \d): decision (\d+)", log),
                         [(f"token {i}", str(ACCEPTED)) for i in range(3)])
        self.assertEqual(self.outcomes(log), {
            "token 0 as it is": f"refused {TOO_HIGH}",
            "token 1 as it is": f"refused {NOT_LISTED}",
            "token 2 as it is": "STARTED 0",
        })
        # The vault's own orders, asked for by the broker for runners that the monitor let pass.
        self.assertEqual(self.results(log), {
            "token 0 in disguise": [(EXIT_PROTOCOL, 0, 0, 0)],
            "token 1 in disguise": [(EXIT_PROTOCOL, 0, 0, 0)],
            "token 2 in disguise": [(0, 1, 1, 0)],  # it is what it pretends to be
        })


if __name__ == "__main__":
    unittest.main(verbosity=2)
