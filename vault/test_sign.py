"""What cloister-sign makes and stamps, against the verifier and the program that it is for.

usage: test_sign.py CHECK_TOKENS CLOISTER_VAULT CLOISTER_SIGN
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from token_peers import command_hash, run, verify

SIGN, VAULT, PROGRAM = sys.argv.pop(3), sys.argv.pop(2), sys.argv.pop(1)
HERE = os.path.dirname(os.path.abspath(__file__))
SECTION = ".cloister_keys"


class Sign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        sets = [cls.keygen("ops-1", "--profile", "diagnostic"),
                cls.keygen("ops-2", "--profile", "admin", "--revokes"),
                cls.keygen("customer", "--countersigns")]
        cls.keys = run(SIGN, "keys", *sets)
        cls.set = cls.file("set.jwks", cls.keys)
        cls.vault = cls.path("cloister-vault")
        shutil.copy(VAULT, cls.vault)
        run(SIGN, "stamp", "--keys", cls.set, cls.vault)
        run("objcopy", "--dump-section", f"{SECTION}={cls.path('table')}", cls.vault, cls.path("copy"))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def file(cls, name, content):
        with open(cls.path(name), "wb") as out:
            out.write(content)
        return cls.path(name)

    @classmethod
    def keygen(cls, kid, *options):
        jwk = run(SIGN, "keygen", "--kid", kid, "--out", cls.path(kid), "--no-passphrase", *options)
        return cls.file(kid + ".jwk", jwk)

    def sign(self, command, kid, *words):
        return run(SIGN, command, "--key", self.path(kid), "--kid", kid, "--yes", *words).strip()

    def command(self, kid, *words):
        return self.sign("sign", kid, "--group", "desks", "--state", self.path("state"), *words)

    def verify(self, token):
        return verify(PROGRAM, self.path("table"), [token])[0]

    def test_stamp_and_build_agree(self):
        table = self.path("table.c")
        run("/usr/bin/python3", os.path.join(HERE, "generate_keys.py"), table, self.set)
        run("cc", "-fPIC", "-I", HERE, "-c", table, "-o", self.path("table.o"))
        run("objcopy", "--dump-section", f"{SECTION}={self.path('built')}", self.path("table.o"))
        with open(self.path("built"), "rb") as built, open(self.path("table"), "rb") as stamped:
            self.assertEqual(built.read(), stamped.read())

    def test_the_stamped_vault_tells_its_keys(self):
        said = run(self.vault, "--version").decode()
        for kid in ("ops-1", "ops-2", "customer"):
            self.assertIn(f"\n{kid} SHA256:", said)
        self.assertIn(" diagnostic\n", said)
        self.assertIn(" admin revokes\n", said)
        self.assertIn(" none countersigns\n", said)

    def test_a_zeroed_vault_is_refused(self):
        zeroed = self.path("zeroed")
        run(SIGN, "stamp", "--zero", "--out", zeroed, self.vault)
        result = subprocess.run([zeroed, "--version"], capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)

    def test_commands(self):
        line = self.verify(self.command("ops-1", "--env", "A=ä", "--time", "2s", "--output", "0", "--",
                                        "/usr/bin/id", "-u"))
        self.assertEqual((line["decision"], line["argv"], line["env"], line["time_ms"], line["output_bytes"]),
                         ("accepted", ["/usr/bin/id", "-u"], ["A=ä"], 2000, 0))
        script = b"#!/bin/sh\ncat\n"
        line = self.verify(self.command(
            "ops-2", "--profile", "user", "--script", self.file("script", script), "--stdin",
            self.file("input", bytes(range(256))), "--", "one", "two"))
        self.assertEqual((line["decision"], line["argv"], line["profile"]), ("accepted", ["one", "two"], "user"))
        self.assertEqual((line["stdin"], line["digest"]),
                         (bytes(range(256)).hex(), command_hash(script, ["one", "two"], (), bytes(range(256)))))
        line = self.verify(self.command("ops-1", "--profile", "user", "--", "/bin/true"))
        self.assertEqual(line["decision"], "profile")

    def test_command_hashes_agree(self):
        script = self.file("hashed", b"#!/bin/sh\nexit\n")
        stdin = self.file("given", b"\0in\n")
        for words in (["--", "/bin/echo", "ü", ""], ["--script", script], ["--script", script, "--", "ü", ""],
                      ["--script", script, "--env", "B=ß", "--env", "A=", "--stdin", stdin, "--", "x"],
                      ["--env", "BASH_ENV=$(id)", "--", "/bin/true"], ["--stdin", stdin, "--", "/bin/cat"]):
            token = self.command("ops-1", *words)
            shown = run(SIGN, "show", self.file("shown.jws", token)).decode()
            self.assertIn(f"\nCommand hash    {self.verify(token)['digest']}\n", shown)

    def test_countersigned(self):
        inner = self.command("ops-2", "--profile", "admin", "--", "/bin/true")
        self.assertEqual(self.verify(inner)["decision"], "countersignature")
        line = self.verify(self.sign("countersign", "customer", self.file("inner", inner)))
        self.assertEqual((line["decision"], line["kid"], line["profile"]), ("accepted", "ops-2", "admin"))

    def test_revocations(self):
        line = self.verify(self.sign("revoke", "ops-2", "ops-1", "customer"))
        self.assertEqual((line["decision"], line["revoked"], line["mask"]),
                         ("revocation", ["ops-1", "customer"], 5))
        self.assertEqual(self.verify(self.sign("revoke", "ops-1", "ops-1"))["decision"], "revocation")

    def test_the_set_is_one_of_public_keys(self):
        for key in json.loads(self.keys)["keys"]:
            self.assertNotIn("d", key)


if __name__ == "__main__":
    unittest.main()
