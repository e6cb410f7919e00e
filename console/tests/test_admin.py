"""The command line: help, wrong usage, exit statuses, the state folder, certificates."""

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from harness import PROGRAM, Console, ConsoleTest
from peer import Bundle

COMMANDS = ("serve", "ca", "token", "machines", "approve", "revoke", "tickets", "ticket", "push",
            "commands", "outputs", "receipts", "forget")


def run(*args):
    r = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=30)
    return r.returncode, r.stdout, r.stderr


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="console-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def test_help(self):
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        for command in COMMANDS:
            self.assertIn(command, out)
            status, out_, err = run(command, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out_.startswith(f"Usage: cloister-console {command}"))
        self.assertRegex(run("--version")[1], r"^cloister-console \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        for args in ((), ("x",), ("token", "x"), ("token", "--expires", "1y"), ("approve",),
                     ("token", "--expires", "31d"), ("token", "--expires", "0s"),
                     ("approve", "m"), ("revoke",), ("revoke", "a", "b"), ("ticket",),
                     ("ticket", "T-1", "--force"), ("machines", "--x"), ("serve", "x"), ("serve",),
                     ("serve", "--name", "a/b"), ("serve", "--name", "a", "--listen", "80"),
                     ("serve", "--name", "a", "--key", "/x")):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertTrue(err, args)

    def test_wrong_configuration(self):
        path = self.folder + "/c.ini"
        with open(path, "w") as f:
            f.write("[console]\nname = x\n[limits]\nquota_mib = much\n")
        status, _, err = run("serve", "--config", path)
        self.assertEqual(status, 2)
        self.assertIn(f"{path}:2: name: x; allowed: state, listen, title, names", err)
        self.assertIn(f"{path}:4: quota_mib: much; allowed: 1 to", err)
        self.assertEqual(run("machines", "--config", self.folder + "/none")[0], 2)

    def test_no_console_here(self):
        for command in (["machines"], ["tickets"], ["token"], ["revoke", "x"], ["ticket", "T-1"],
                        ["ca"], ["machines", "--state", self.folder + "/none"]):
            status, out, err = run(*command, *([] if "--state" in command
                                               else ["--state", self.folder]))
            self.assertEqual((status, out), (1, ""), command)
            self.assertTrue(err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_folder_open_to_others_is_refused(self):
        os.chmod(self.folder, 0o750)
        status, _, err = run("serve", "--state", self.folder, "--name", "x", "--listen", ":0")
        self.assertEqual(status, 1)
        self.assertIn("0700", err)


class Serving(ConsoleTest):
    def test_a_second_server_is_refused(self):
        status, _, err = run("serve", "--state", self.console.state, "--name", "x", "--listen", ":0")
        self.assertEqual(status, 1)
        self.assertIn("another console serves this folder", err)

    def test_a_port_that_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            status, _, err = run("serve", "--state", folder, "--name", "x", "--listen",
                                 f"127.0.0.1:{self.console.port}")
            self.assertEqual(status, 1)
            self.assertIn("cannot listen", err)

    def test_ca(self):
        with open(self.console.state + "/ca.pem") as f:
            self.assertEqual(self.console.admin("ca"), f.read())
        with open(self.console.state + "/server.pem", "rb") as f:
            key = x509.load_pem_x509_certificate(f.read()).public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
        self.assertEqual(self.console.admin_json("ca"),
                         {"file": self.console.state + "/ca.pem", "spki_sha256": pin})

    def test_not_found(self):
        self.console.admin("approve", "nobody", "--fingerprint", "x", status=3)
        self.console.admin("revoke", "nobody", status=3)
        self.console.admin("ticket", "T-000001", status=3)
        self.console.admin("ticket", "../../etc/passwd", status=3)

    def test_two_of_a_name(self):
        keys = []
        for _ in range(2):
            a = self.console.agent()
            a.authenticate()
            a.enroll(self.console.token(), name="twin")
            keys.append(a.key)
        self.console.admin("revoke", "twin", status=3)
        self.console.admin("revoke", keys[0].id[:12])
        self.assertEqual(self.console.machine(keys[1])["state"], "pending")

    def test_admin_commands_without_a_server(self):
        console = Console()
        agent = console.approved()
        agent.upload(Bundle(agent.key, b"kept"))
        console.stop()
        self.assertFalse(console.machine(agent.key)["connected"])
        self.assertEqual(console.admin("ticket", "1", "--out", "-"), "kept")
        console.admin("revoke", agent.key.id)
        console.start()
        b = console.agent(key=agent.key)
        b.send(b.authentication(b.challenge()))
        self.assertEqual(b.expect_close(), (4003, "revoked"))
        console.admin("approve", agent.key.id, "--fingerprint", agent.key.fingerprint())
        self.assertEqual(console.again(agent)[1]["state"], "approved")
        console.stop()

    def test_a_certificate_of_ones_own(self):
        """Made by the other console's CA, in place of one by the console's own."""
        state = self.console.state
        console = Console("--certificate", state + "/server.pem", "--key", state + "/server.key")
        self.assertNotIn("ca.key", os.listdir(console.state))
        shutil.copy(state + "/ca.pem", console.state)
        self.assertEqual(console.agent().authenticate()["state"], "unenrolled")
        console.stop()

    def test_the_certificate_follows_the_names(self):
        console = Console()
        console.stop()
        console.names = ("127.0.0.1", "new.example.org")
        console.start()
        self.assertEqual(console.agent().authenticate()["state"], "unenrolled")
        a = console.agent(host="localhost")
        a.send(a.authentication(a.challenge()))
        self.assertEqual(a.expect_close(), (4002, "host_refused"))
        console.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
