"""What the whole agent refuses, and why: tokens that are not authentic, not for it, not now, or not again.

The console is the tests' own, so that nothing honest stands between them and the agent.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from foreign import ForeignConsole
from signed import (P256_ORDER, Agent, Keys, b64url, malleated, parts, token_id, wait_for, with_signature)


class World(unittest.TestCase):
    """An agent whose vault has five keys, and a console that does as the test says."""

    @classmethod
    def setUpClass(cls):
        cls.keys = Keys(ops={"profile": "diagnostic"}, leaver={"profile": "diagnostic"},
                        retire={"profile": "none", "revokes": True}, root={"profile": "admin"},
                        customer={"profile": "none", "countersigns": True})
        cls.console = ForeignConsole()
        cls.agent = Agent({"console": cls.console.section()}, replace={"cloister-vault": cls.keys.stamp()})
        cls.agent.start()
        cls.console.wait_connection()

    @classmethod
    def tearDownClass(cls):
        cls.agent.remove()
        cls.console.remove()
        cls.keys.remove()

    def run(self, result=None):
        failed = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > failed:
            print(f"---- agent, {self.id()} ----\n{self.agent.log()[-8000:]}")

    def payload(self, **members):
        members.setdefault("argv", ["/bin/echo", "it ran"])
        return self.keys.command([self.console.machine], **members)

    def refused(self, token, *reasons):
        decision = self.console.decide(token)
        self.assertFalse(decision["accepted"], decision)
        self.assertIn(decision["reason"], reasons)
        return decision

    def accepted(self, token):
        decision = self.console.decide(token)
        self.assertTrue(decision["accepted"], decision)
        return self.console.wait_receipt(token_id(token))

    def runners(self):
        return [n for n in self.agent.processes().values() if "runner" in n or "command" in n]

    def restart(self, change=None, kill=False):
        """A fresh start with nothing left below /run, as after a reboot; `change` is called in between."""
        before = self.console.connections
        if kill:
            for pid in self.agent.processes():
                os.kill(pid, signal.SIGKILL)
            self.agent.process.wait()
        else:
            self.agent.stop()
        wait_for("everything to end", lambda: not self.agent.processes())
        shutil.rmtree(self.agent.runtime, ignore_errors=True)
        if change:
            change()
        self.agent.start()
        self.console.wait_connection(before)


class NotNow(World):
    """Tokens that are not authentic, not for this machine, or not for now."""

    def test_what_is_not_authentic(self):
        good = self.keys.sign(self.payload())
        head, body, signature = good.split(".")
        raw = parts(good)[2]
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        self.keys.make("stranger")

        def headed(text):
            return f"{b64url(text.encode())}.{body}.{signature}"
        cases = {
            "another key": (self.keys.sign(self.payload(), "ops", key="stranger"), "signature"),
            "unknown key id": (self.keys.sign(self.payload(), "stranger"), "header"),
            "alg none": (headed('{"alg":"none","kid":"ops"}'), "header"),
            "alg ES384": (headed('{"alg":"ES384","kid":"ops"}'), "header"),
            "order of members": (headed('{"kid":"ops","alg":"ES256"}'), "header"),
            "a member more": (headed('{"alg":"ES256","kid":"ops","typ":"JWT"}'), "header"),
            "white space": (headed('{"alg": "ES256","kid":"ops"}'), "header"),
            "r zero": (with_signature(good, 0, s), "signature"),
            "s zero": (with_signature(good, r, 0), "signature"),
            "r is n": (with_signature(good, P256_ORDER, s), "signature"),
            "s is n": (with_signature(good, r, P256_ORDER), "signature"),
            "s above n": (with_signature(good, r, 2**256 - 1), "signature"),
            "DER": (f"{head}.{body}.{b64url(der(r, s))}", "signature", "malformed"),
            "cut signature": (f"{head}.{body}.{b64url(raw[:63])}", "signature"),
            "longer signature": (f"{head}.{body}.{b64url(raw + b'0')}", "signature"),
            "padding": (good + "==", "malformed"),
            "new line": (good + "\n", "malformed"),
            "trailing NUL": (good + "\0", "malformed"),
            "fourth part": (good + ".AAAA", "malformed"),
            "no signature": (f"{head}.{body}.", "malformed"),
            "no payload": (f"{head}..{signature}", "malformed"),
            "no header": (f".{body}.{signature}", "malformed"),
            "one part": (head, "malformed"),
            "not base64url": (f"{head}.{body[:-1]}+.{signature}", "malformed"),
            "unused bits": (f"{head}.{body}.{signature[:-1]}{next_char(signature[-1])}", "malformed"),
        }
        for name, (token, *reasons) in cases.items():
            with self.subTest(name):
                decision = self.refused(token, *reasons)
                self.assertNotIn("receipt", decision)
        hs256 = self.hs256()
        self.refused(hs256, "header")
        self.assertEqual(self.runners(), [])
        self.accepted(good)  # and the good one still runs

    def hs256(self):
        """The public key as the secret of a MAC: what broke others."""
        public = json.dumps(self.keys.jwk("ops")).encode()
        secret = os.path.join(self.keys.folder, "oct.jwk")
        with open(secret, "w", encoding="utf-8") as f:
            json.dump({"kty": "oct", "alg": "HS256", "k": b64url(public)}, f)
        return subprocess.run(["jose", "jws", "sig", "-I", "-", "-s", '{"protected":{"alg":"HS256","kid":"ops"}}',
                               "-k", secret, "-c", "-o", "-"], input=json.dumps(self.payload()), check=True,
                              capture_output=True, text=True).stdout.strip()

    def test_a_bit_flipped_anywhere(self):
        """One bit of each character; every bit is tried beside the verifier (vault/)."""
        good = self.keys.sign(self.payload())
        data, before = good.encode(), len(self.console.commands)
        for position in range(0, len(data), 7):
            flipped = bytearray(data)
            flipped[position] ^= 1 << (position % 7)
            decision = self.console.decide(bytes(flipped))
            self.assertFalse(decision["accepted"], position)
            self.assertIn(decision["reason"], ("malformed", "header", "signature"))
        self.assertGreater(len(self.console.commands), before + 30)
        self.assertEqual(self.runners(), [])
        self.accepted(good)

    def test_what_the_payload_says(self):
        now = int(time.time())
        text = json.dumps(self.payload())
        cases = {
            "another machine": (self.payload(aud=["0" * 64]), "audience"),
            "another group": (self.payload(aud=["group:elsewhere"]), "audience"),
            "not yet": (self.payload(nbf=now + 900), "not_yet_valid"),
            "expired": (self.payload(nbf=now - 900, exp=now - 300), "expired"),
            "too long": (self.payload(nbf=now - 5, exp=now + 7 * 86400 + 60), "validity"),
            "backwards": (self.payload(nbf=now + 60, exp=now), "validity"),
            "before the store": (self.payload(nbf=now - 86400), "epoch"),
            "above the key": (self.payload(profile="user"), "profile"),
            "duplicated member": (text[:-1] + ', "profile": "diagnostic"}', "payload"),
            "unknown member": (self.payload(shell=True), "payload"),
            "not JSON": ("hello", "payload"),
            "trailing": (text + "{}", "payload"),
            "relative program": (self.payload(argv=["true"]), "payload"),
            "hash of another script": (self.payload(argv=None, script=b64url(b"#!/bin/sh\n"),
                                                    script_sha256="0" * 64), "payload"),
            "sequence zero": (self.payload(seq=0), "payload"),
        }
        for name, (payload, reason) in cases.items():
            with self.subTest(name):
                decision = self.refused(self.keys.sign(payload), reason)
                if reason not in ("payload",):
                    self.assertIn("receipt", decision)
        self.assertEqual(self.runners(), [])

    def test_admin_needs_two(self):
        command = self.keys.sign(self.payload(profile="admin"), "root")
        self.refused(command, "countersignature")
        self.refused(self.keys.sign(command, "ops"), "payload", "countersignature")
        both = self.console.decide(self.keys.sign(command, "customer"))
        self.assertTrue(both["accepted"], both)  # and the local policy says no

    def test_too_long(self):
        """1 MiB: the connection ends, and the agent stands."""
        pids = self.agent.processes()
        before = self.console.connections
        self.console.send("A" * (1 << 20))
        wait_for("the agent to close", lambda: self.console.socket is None)
        self.assertIn(self.console.closes[-1][0], (1008, 1009))
        self.console.wait_connection(before)
        now = self.agent.processes()
        self.assertEqual({p: n for p, n in pids.items() if n == "cloister-vault"},
                         {p: n for p, n in now.items() if n == "cloister-vault"})

    def test_it_is_logged(self):
        token = self.keys.sign(self.payload(aud=["group:elsewhere"]))
        self.refused(token, "audience")
        wait_for("the refusal in the log", lambda: any(
            token_id(token) in line and "audience" in line and "ops" in line
            for line in self.agent.log().splitlines()))

    def test_z_a_flood_does_not_fill_the_log(self):
        size = len(self.agent.log())
        for number in range(400):
            self.console.decide(f"AAAA.{b64url(number.to_bytes(4, 'big'))}.AAAA")
        grown = len(self.agent.log()) - size
        self.assertLess(grown, 40000)


class NotAgain(World):
    """Replays, whatever happens in between; and a store that is not what it was."""

    def test_sequence(self):
        first = self.payload()
        self.accepted(self.keys.sign(first))
        self.refused(self.keys.sign(self.payload(seq=first["seq"] - 1)), "sequence")
        self.refused(self.keys.sign(self.payload(seq=first["seq"])), "replayed")
        self.refused(self.keys.sign(self.payload(jti=first["jti"])), "replayed")

    def test_replayed(self):
        token = self.keys.sign(self.payload())
        receipt = self.accepted(token)
        self.refused(token, "replayed")
        self.refused(malleated(token), "replayed")
        before = self.console.drop()
        self.console.wait_connection(before)
        self.refused(token, "replayed")
        self.refused(malleated(token), "replayed")
        self.restart()
        self.refused(token, "replayed")
        self.refused(malleated(token), "replayed")
        self.assertEqual(receipt["decision"], "run")
        self.assertEqual(self.runners(), [])

    def store(self):
        return sorted(glob.glob(os.path.join(self.agent.state, "vault", "commands*")))

    def keep_store(self):
        copies = {}
        for path in self.store():
            with open(path, "rb") as f:
                copies[path] = f.read()
        self.assertTrue(copies)
        return copies

    @staticmethod
    def put(copies):
        for path, data in copies.items():
            with open(path, "r+b" if os.path.exists(path) else "wb") as f:
                f.write(data)
                f.truncate()

    def reset_store(self, token):
        """An administrator's reset; what was signed before it stays refused."""
        self.agent.run("cloister", "commands", "reset", "--yes", check=True)
        self.refused(token, "epoch")
        passed = int(time.time()) + 2
        wait_for("the next second", lambda: time.time() > passed)

    def put_back(self, keep, put):
        """A command runs between the two, and is refused after them, as all others are."""
        self.restart(keep)
        token = self.keys.sign(self.payload())
        self.accepted(token)
        self.restart(put, kill=True)
        self.refused(token, "store")
        self.refused(self.keys.sign(self.payload()), "store")
        self.assertIn("commands reset", self.agent.run("cloister", "status").stdout)
        self.reset_store(token)
        self.accepted(self.keys.sign(self.payload()))

    def test_an_older_store(self):
        """The log, the anchor, and both, are put back as they were before a command."""
        self.assertEqual([os.path.basename(p) for p in self.store() if ".bad-" not in p],
                         ["commands", "commands.anchor"])
        for names in (["commands"], ["commands.anchor"], ["commands", "commands.anchor"]):
            with self.subTest(names):
                old = {}
                self.put_back(lambda old=old: old.update(self.keep_store()), lambda old=old, names=names: self.put(
                    {path: data for path, data in old.items() if os.path.basename(path) in names}))

    def test_an_older_folder(self):
        """All that the vault has is put back, its key too, as from a backup."""
        folder, copy = os.path.join(self.agent.state, "vault"), os.path.join(self.keys.folder, "copy")

        def put():
            shutil.rmtree(folder)
            subprocess.run(["cp", "-a", copy, folder], check=True)
        self.put_back(lambda: subprocess.run(["cp", "-a", folder, copy], check=True), put)

    def test_z_no_store(self):
        token = self.keys.sign(self.payload())
        self.accepted(token)
        kept = {}

        def delete():
            kept.update(self.keep_store())
            for path in kept:
                os.unlink(path)
        self.restart(delete)
        self.refused(token, "store")
        self.refused(self.keys.sign(self.payload()), "store")
        status = self.agent.run("cloister", "status")
        self.assertIn("commands reset", status.stdout + status.stderr)
        user = self.agent.run("cloister", "commands", "reset", "--yes", user="nobody")
        self.assertNotEqual(user.returncode, 0)
        self.reset_store(token)
        self.accepted(self.keys.sign(self.payload()))

    def test_killed_between_acceptance_and_run(self):
        """The runner cannot be started in time: everything is killed; the token is spent."""
        token = self.keys.sign(self.payload())
        runner = os.path.join(self.agent.bin, "cloister-runner")
        command = os.path.join(self.agent.bin, "cloister-command")
        kept = command + ".kept"
        os.rename(command, kept)
        shutil.copy("/bin/sleep", command)  # never says hello: the order is not fetched
        try:
            decision = self.console.decide(token)
            self.assertTrue(decision["accepted"], decision)
            self.assertTrue(os.path.exists(runner))
        finally:
            self.restart(lambda: os.rename(kept, command), kill=True)
        self.refused(token, "replayed")
        self.refused(malleated(token), "replayed")
        self.console.query(token_id(token))
        receipt = self.console.wait_receipt(token_id(token))
        self.assertEqual(receipt["decision"], "not_run", receipt)

    def test_revoked(self):
        first = self.keys.sign(self.keys.command([self.console.machine]), "leaver")
        self.accepted(first)
        other = self.keys.sign({"typ": "cloister-revocation", "ver": 1, "revoked": ["ops"]}, "leaver")
        self.refused(other, "profile", "payload", "revocation")
        taken = self.console.decide(self.keys.sign(
            {"typ": "cloister-revocation", "ver": 1, "revoked": ["leaver"]}, "retire"))
        self.assertEqual((taken["accepted"], taken["reason"]), (True, "revocation"))
        self.refused(self.keys.sign(self.keys.command([self.console.machine]), "leaver"), "revoked")
        self.restart()
        self.refused(self.keys.sign(self.keys.command([self.console.machine]), "leaver"), "revoked")


def der(r, s):
    def integer(value):
        data = value.to_bytes(33, "big").lstrip(b"\0") or b"\0"
        data = b"\0" + data if data[0] & 0x80 else data
        return b"\x02" + bytes([len(data)]) + data
    body = integer(r) + integer(s)
    return b"\x30" + bytes([len(body)]) + body


def next_char(char):
    """A base64url character that differs in the lowest bit alone."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(char) ^ 1]


if __name__ == "__main__":
    unittest.main(verbosity=2)
