"""Signed commands through the real agent and console: what runs, and what comes back."""
import hashlib
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed import SIGN, Desk, Keys, wait_for


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.desk = Desk(Keys(ops={"profile": "diagnostic"}, all={"profile": "admin"}),
                        config={"commands": {"groups": "desks, third-floor"}})

    @classmethod
    def tearDownClass(cls):
        cls.desk.remove()

    def run_script(self, script, **members):
        desk = self.desk
        token = desk.keys.sign(desk.keys.command([desk.machine], script=script, **members))
        [identity] = desk.push(token)
        desk.wait_ended(identity)
        return identity, desk.receipt(identity)

    def check_streams(self, identity, receipt):
        for stream in ("stdout", "stderr"):
            text = self.desk.output(identity, stream)
            self.assertEqual(receipt[f"{stream}_bytes"], len(text))
            self.assertEqual(receipt[f"{stream}_sha256"], hashlib.sha256(text).hexdigest())
            self.assertEqual(receipt[f"{stream}_dropped"], 0)

    def test_argv(self):
        row, receipt = self.desk.run(["/usr/bin/printf", "%s|", "a b", "", "c"])
        self.assertEqual((receipt["decision"], receipt["exit"], receipt["limit"]), ("run", 0, ""), row)
        self.assertEqual(self.desk.output(row["token"]), b"a b||c|")
        self.check_streams(row["token"], receipt)
        self.assertLessEqual(receipt["accepted_ms"], receipt["started_ms"])
        self.assertLessEqual(receipt["started_ms"], receipt["ended_ms"])
        self.assertEqual(receipt["machine"], self.desk.machine)

    def test_script_with_everything(self):
        identity, receipt = self.run_script(
            "#!/bin/sh -eu\necho \"$1/$COLOUR/$(cat)\"; echo problem >&2; exit 7\n",
            args=["first"], stdin="aGVsbG8", env={"COLOUR": "blue"})
        self.assertEqual((receipt["decision"], receipt["exit"]), ("run", 7))
        self.assertEqual(self.desk.output(identity), b"first/blue/hello\n")
        self.assertEqual(self.desk.output(identity, "stderr"), b"problem\n")
        self.check_streams(identity, receipt)

    def test_python_script(self):
        identity, receipt = self.run_script("#!/usr/bin/python3\nimport os\nprint(os.getuid() != 0)\n")
        self.assertEqual((receipt["decision"], receipt["exit"]), ("run", 0), self.desk.output(identity, "stderr"))
        self.assertEqual(self.desk.output(identity), b"True\n")

    def test_signal(self):
        _, receipt = self.run_script("#!/bin/sh\nkill -9 $$\n")
        self.assertEqual((receipt["decision"], receipt["signal"]), ("run", 9))

    def test_program_that_is_not_there(self):
        _, receipt = self.desk.run(["/usr/bin/no-such-program"])
        self.assertEqual((receipt["decision"], receipt["errno"]), ("run", 2))

    def test_group(self):
        desk = self.desk
        [identity] = desk.push(desk.keys.sign(desk.keys.command(["group:third-floor"], ["/bin/true"])))
        desk.wait_ended(identity)
        self.assertEqual(desk.receipt(identity)["exit"], 0)

    def test_profile_above_the_local_policy(self):
        row, receipt = self.desk.run(["/bin/true"], kid="all", profile="user")
        self.assertEqual((receipt["decision"], receipt["reason"]), ("not_run", "policy_profile"), row)

    def test_large_output(self):
        identity, receipt = self.run_script("#!/bin/sh\nhead -c 30000000 /dev/zero; head -c 3000 /dev/zero >&2\n",
                                            output_bytes=40000000)
        self.assertEqual((receipt["exit"], receipt["stdout_bytes"], receipt["stderr_bytes"]), (0, 30000000, 3000))
        self.check_streams(identity, receipt)

    def test_receipt_off_line(self):
        row, _ = self.desk.run(["/bin/echo", "kept"])
        path = os.path.join(self.desk.keys.folder, "receipt.jws")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.desk.console.command("receipts", row["token"], "--raw"))
        key = json.loads(self.desk.agent.run("cloister", "identity", "--json").stdout)["public_key"]
        good = subprocess.run([SIGN, "verify-receipt", path, "--public-key", key], capture_output=True,
                              text=True, check=False)
        self.assertEqual(good.returncode, 0, good.stderr)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(".", ".f", 1))
        bad = subprocess.run([SIGN, "verify-receipt", path, "--public-key", key], capture_output=True,
                             text=True, check=False)
        self.assertEqual(bad.returncode, 1)

    def test_nothing_is_left(self):
        """The runner and its command are gone with the command, their control groups too."""
        self.run_script("#!/bin/sh\n(setsid sleep 600 &)\nsleep 600 &\nexit 0\n")
        wait_for("the runner to end", lambda: not any(
            name.startswith(("cloister-runner", "cloister-command")) for name in self.desk.agent.processes().values()))
        self.assertEqual(self.desk.left_behind(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
