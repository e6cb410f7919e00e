"""Signed commands: the queue, decisions, receipts, and agents that keep to no order."""

import sqlite3
import subprocess
import time
import unittest

from commands_case import CommandTest
from harness import PROGRAM, wait_for
from peer import CHUNK, Key, b64, jws, receipt, token_id


class Queue(CommandTest):
    def test_a_command_from_push_to_receipt(self):
        token = self.token()
        self.assertEqual(self.push(token), [token_id(token)])
        self.assertEqual(self.agent.receive_token(), token)
        self.assertEqual(self.command(token)["state"], "sent")
        self.agent.decide(token)
        wait_for(lambda: self.command(token)["state"] == "running")
        self.agent.output(token, 0, b"hello\n")
        self.agent.output(token, 0, b"oops\n", 1)
        self.agent.wait_for_ack(token, 1, 1)
        self.agent.answer(token, stdout=b"hello\n", stderr=b"oops\n", exit=7)
        c = self.command(token)
        self.assertEqual((c["state"], c["summary"]), ("done", "exit 7"))
        self.assertEqual(c["claimed"]["profile"], "diagnostic")
        self.assertEqual(c["receipt"]["exit"], 7)
        self.assertEqual(self.outputs(token), (0, b"hello\n", b"oops\n"))
        self.assertEqual(self.outputs(token, "--wait"), (7, b"hello\n", b"oops\n"))
        self.assertEqual(self.outputs(token, "--stdout"), (0, b"hello\n", b""))
        self.assertEqual(self.outputs(token, "--stderr"), (0, b"", b"oops\n"))

    def test_a_push_arrives_at_once(self):
        """Not when the server next looks: it looks every quarter of a second."""
        spans = []
        for _ in range(9):
            token = self.token()
            self.push(token)
            pushed = time.monotonic()
            self.assertEqual(self.agent.receive_token(), token)
            spans.append(time.monotonic() - pushed)
            self.agent.decide(token, "expired")
        self.assertLess(sorted(spans)[4], 0.1)

    def test_off_line(self):
        self.agent.close()
        tokens = [self.token() for _ in range(3)]
        self.assertEqual(self.push(*tokens), [token_id(t) for t in tokens])
        self.assertEqual([c["state"] for c in self.commands()], ["queued"] * 3)
        self.again()
        for token in tokens:
            self.run_to(token)
        self.assertEqual([c["summary"] for c in self.commands()], ["exit 0"] * 3)

    def test_line_ends_and_standard_input(self):
        for end in (b"", b"\n", b"\r\n"):
            token = self.token()
            self.push(token + end)
            self.run_to(token)
        token = self.token()
        r = subprocess.run([PROGRAM, "push", "-", "--machine", self.agent.key.id, "--state",
                            self.console.state], input=token, capture_output=True, timeout=30)
        self.assertEqual((r.returncode, r.stdout.decode().strip()), (0, token_id(token)))
        self.run_to(token)

    def test_sizes(self):
        token = b"a" * 262144
        self.push(token)
        self.assertEqual(self.agent.receive_token(), token)
        for data in (b"", b"\n", b"a" * 262145, b"\xff\xfe"):
            with self.subTest(data[:4]):
                self.console.admin("push", self.file(data), "--machine", self.agent.key.id, status=4)
        self.console.admin("push", "/nonexistent", "--machine", self.agent.key.id, status=1)
        self.assertEqual(len(self.commands()), 1)

    def test_all_or_nothing(self):
        good, bad = self.file(self.token(), "good"), self.file(b"", "bad")
        self.console.admin("push", good, bad, "--machine", self.agent.key.id, status=4)
        self.assertEqual(self.commands(), [])

    def test_whom(self):
        token = self.file(self.token())
        for args in (("push", token), ("push", "--machine", "x"),
                     ("push", token, "--all", "--machine", "x")):
            self.console.admin(*args, status=2)
        self.console.admin("push", token, "--machine", "nobody", status=3)
        pending = self.console.agent()
        pending.authenticate()
        pending.enroll(self.console.token(), name="waits")
        self.console.admin("push", token, "--machine", "waits", status=4)
        self.console.admin("push", token, "--machine", pending.key.id, status=4)
        self.console.admin("push", token, "--machine", self.agent.key.id[:10])
        self.console.admin("push", token, "--machine", self.agent.key.id)
        self.assertEqual(len(self.commands()), 1)

    def test_all_machines(self):
        other = self.console.approved(features=["commands"])
        token = self.token()
        self.console.admin("push", self.file(token), "--all")
        for a in (self.agent, other):
            self.assertEqual(a.receive_token(), token)
        self.console.admin("outputs", token_id(token), status=3)
        for a in (self.agent, other):
            a.decide(token, "audience")
        self.console.admin("outputs", token_id(token), "--machine", other.key.id)

    def test_at_most_eight_are_open(self):
        tokens = [self.token() for _ in range(20)]
        self.push(*tokens)
        for token in tokens[:8]:
            self.assertEqual(self.agent.receive_token(), token)
        self.assertEqual([c["state"] for c in self.commands()], ["sent"] * 8 + ["queued"] * 12)
        for i, token in enumerate(tokens):
            self.agent.decide(token)
            self.agent.answer(token)
            if i + 8 < len(tokens):
                self.assertEqual(self.agent.receive_token(), tokens[i + 8])

    def test_a_thousand_in_order(self):
        self.agent.close()
        tokens = [self.token() for _ in range(1000)]
        self.push(*tokens)
        self.again()
        for i, token in enumerate(tokens):
            self.assertEqual(self.agent.receive_token(), token)
            if i % 3 == 0:
                self.agent.decide(token, "expired")
            else:
                self.agent.decide(token)
                self.agent.answer(token)
        states = [c["state"] for c in self.commands()]
        self.assertEqual(states, ["refused" if i % 3 == 0 else "done" for i in range(1000)])

    def test_refused(self):
        for reason in ("expired", "replayed", "signature", "a_reason_of_tomorrow"):
            token = self.token()
            self.push(token)
            self.assertEqual(self.agent.receive_token(), token)
            members = {"receipt": receipt(self.agent.key, token, decision="refused", reason=reason,
                                          exit=None)} if reason == "expired" else {}
            self.agent.decide(token, reason, **members)
            wait_for(lambda: self.command(token)["summary"] == "refused: " + reason)
            self.assertEqual(self.outputs(token, "--wait")[0], 255)
        self.assertEqual(len(self.console.admin("receipts", "--machine", self.agent.key.id,
                                                "--raw").split()), 1)

    def test_a_revocation_is_taken(self):
        token = self.token()
        self.push(token)
        self.agent.receive_token()
        self.agent.decide(token, "revocation")
        wait_for(lambda: self.command(token)["summary"] == "revocation taken")

    def test_busy_decides_nothing(self):
        token = self.token()
        self.push(token)
        self.agent.receive_token()
        self.agent.decide(token, "busy")
        self.agent.decide(token)
        self.agent.answer(token)
        self.assertEqual(self.command(token)["state"], "done")

    def test_pushed_twice(self):
        token = self.token()
        self.push(token)
        self.run_to(token, exit=3)
        self.push(token)
        self.assertEqual(len(self.commands()), 1)
        self.push(token, options=["--again"])
        self.assertEqual(self.agent.receive_token(), token)
        self.push(token, options=["--again"])
        self.agent.decide(token, "replayed", receipt=receipt(self.agent.key, token, exit=3))
        wait_for(lambda: [c["summary"] for c in self.commands()] == ["exit 3", "refused: replayed"])
        self.assertEqual(self.outputs(token, "--wait")[0], 3)

    def test_an_agent_without_the_feature(self):
        self.agent.close()
        self.push(self.token())
        self.agent, _ = self.console.again(self.agent, features=["alerts"])
        wait_for(lambda: self.console.logged("commands wait, and this agent takes none"))
        self.agent.send({"type": "bundle_abort", "ticket": "00" * 16})
        self.agent.receive("bundle_aborted")
        self.agent.send({"type": "command_unknown", "token": "00" * 16})
        self.assert_closed(self.agent, 1008, "unknown_type")
        self.assertEqual(self.commands()[0]["state"], "queued")

    def test_the_challenge_names_the_feature(self):
        self.assertEqual(self.console.agent().receive("challenge")["features"], ["commands"])

    def test_claimed_expiry_is_shown_and_it_is_sent(self):
        self.agent.close()
        token = self.token(exp=1790000000)
        self.push(token)
        self.assertEqual(self.command(token)["summary"], "queued (claims to have expired)")
        self.again()
        self.assertEqual(self.agent.receive_token(), token)

    def test_forget(self):
        self.agent.close()
        first, second = self.token(), self.token()
        self.push(first, second)
        self.console.admin("forget", token_id(first)[:12])
        self.again()
        self.assertEqual(self.agent.receive_token(), second)
        self.console.admin("forget", token_id(second), status=4)
        self.agent.decide(second)
        self.agent.output(second, 0, b"x")
        self.agent.wait_for_ack(second, 1)
        self.agent.answer(second, stdout=b"x")
        self.console.admin("forget", token_id(second))
        self.assertEqual(self.commands(), [])
        with sqlite3.connect(self.console.state + "/console.db") as db:
            self.assertEqual(db.execute("SELECT count(*) FROM command_tokens WHERE id = ?",
                                        (bytes.fromhex(token_id(second)),)).fetchone()[0], 0)
        self.console.admin("forget", token_id(second), status=3)
        self.assertEqual(self.agent.ask({"type": "bundle_abort", "ticket": "00" * 16})["type"],
                         "bundle_aborted")

    def test_hostile_claims_are_escaped(self):
        self.agent.close()
        self.push(self.token(argv=["/bin/sh", "\x1b[2Jred\n"]))
        text = self.console.admin("commands", "--machine", self.agent.key.id)
        self.assertIn("\\x1b[2Jred\\x0a", text)
        self.assertNotIn("\x1b", text)


class Receipts(CommandTest):
    def test_they_can_be_checked_elsewhere(self):
        token = self.started()
        text = receipt(self.agent.key, token)
        self.agent.answer(token, text)
        self.assertEqual(self.console.admin("receipts", token_id(token), "--raw"), text + "\n")
        entry = self.console.admin_json("receipts", token_id(token)[:8])[0]
        self.assertEqual((entry["jws"], entry["verified"]), (text, True))
        self.assertIn("exit 0", self.console.admin("receipts", "--machine", self.agent.key.id))
        self.console.admin("receipts", "00" * 16, status=3)

    def test_wrong_ones_are_refused(self):
        key, other = self.agent.key, Key()
        token, another = self.started(), self.token()
        good = receipt(key, token)
        parts = good.split(".")
        wrong = {
            "signature": [receipt(key, token, signer=other), good[:-4] + "AAAA",
                          ".".join(parts[:2]) + "." + b64(bytes(64)),
                          ".".join(parts[:2]) + ".AAAA"],
            "token": [receipt(key, another)],
            "machine": [receipt(key, token, machine=other.id)],
            "header": [receipt(other, token), receipt(key, token, header={"alg": "none"}),
                       receipt(key, token, header={"kid": key.id, "alg": "EdDSA"})],
            "payload": [receipt(key, token, ver=2), receipt(key, token, typ="x"),
                        receipt(key, token, exit=None), receipt(key, token, signal=1),
                        receipt(key, token, exit=256), receipt(key, token, stdout_sha256="0"),
                        receipt(key, token, decision="maybe"),
                        jws({"alg": "EdDSA", "kid": key.id}, b"[]", key.sign),
                        jws({"alg": "EdDSA", "kid": key.id}, b'{"a":1,"a":1}', key.sign)],
            "malformed": ["x", "a.b", good + ".", good + "=", "." + good, good.replace(".", ".."),
                          good.replace(".", "\u00ab.", 1)],
        }
        for why, texts in wrong.items():
            for text in texts:
                with self.subTest(why, text=text[:20]):
                    self.agent.send({"type": "command_receipt", "token": token_id(token),
                                     "receipt": text})
                    self.assert_closed(self.agent, 1008, "receipt")
                    c = self.command(token)
                    self.assertEqual((c["state"], c["wrong_receipt"]), ("running", why))
                    self.again()
                    self.query(token)
        self.assertTrue(self.console.logged("refused a receipt for command " + token_id(token)))
        self.agent.answer(token, good)
        self.assertNotIn("wrong_receipt", self.command(token))

    def test_a_wrong_one_with_a_refusal(self):
        token = self.token()
        self.push(token)
        self.agent.receive_token()
        self.agent.decide(token, "expired", receipt=receipt(Key(), token))
        self.assert_closed(self.agent, 1008, "receipt")
        self.assertEqual(self.command(token)["state"], "sent")

    def test_decisions_in_words(self):
        for changes, text in (({"decision": "not_run", "reason": "policy_profile", "exit": None},
                               "not run: policy_profile"),
                              ({"decision": "unknown", "reason": "runner_died", "exit": None},
                               "unknown: runner_died"),
                              ({"exit": None, "errno": 2}, "errno 2"),
                              ({"exit": None, "signal": 9, "limit": "time"},
                               "signal 9 (time limit)")):
            token = self.started()
            self.agent.answer(token, **changes)
            self.assertEqual(self.command(token)["summary"], text)


class Hostile(CommandTest):
    """Everything that a machine may not say closes its connection, and loses nothing."""

    def assert_refused(self, reason, send):
        send()
        self.assert_closed(self.agent, 1008, reason)
        self.again()

    def test_frames(self):
        unknown = self.token()
        for name, reason, send in (
                ("unknown token", "order", lambda: self.agent.output(unknown, 0, b"x")),
                ("empty", "malformed", lambda: self.agent.output(unknown, 0, b"")),
                ("a token", "malformed", lambda: self.agent.binary(bytes([16]) + bytes(40))),
                ("kind 19", "malformed", lambda: self.agent.binary(bytes([19]) + bytes(40))),
                ("oversize", "oversize", lambda: self.agent.output(unknown, 0, bytes(CHUNK + 1)))):
            with self.subTest(name):
                self.assert_refused(reason, send)

    def running(self, token, stdout=0, stderr=0):
        self.query(token, stdout, stderr)
        self.agent.send({"type": "command_running", "token": token_id(token)})

    def test_before_its_time(self):
        token = self.token()
        self.push(token)
        self.agent.receive_token()
        said = {"type": "command_receipt", "token": token_id(token),
                "receipt": receipt(self.agent.key, token)}
        running = {"type": "command_running", "token": token_id(token)}
        for send in (lambda: self.agent.output(token, 0, b"before the decision"),
                     lambda: self.agent.output(token, 0, b"before the answer"),
                     lambda: self.agent.decide(token), lambda: self.agent.decide(token, "expired")):
            self.assert_refused("order", send)
            self.assertEqual(self.agent.receive("command_query")["stdout"], 0)
        self.agent.send(running)
        self.assert_refused("order", lambda: self.agent.send(running))
        self.running(token)
        self.assert_refused("order", lambda: self.agent.decide(token))
        fresh = self.token()
        self.push(fresh)
        self.running(token)
        self.assertEqual(self.agent.receive_token(), fresh)
        for message in (said, running, {**running, "type": "command_unknown"}):
            self.assert_refused("order", lambda: self.agent.send(
                {**message, "token": token_id(fresh)}))
            self.running(token)
            self.query(fresh)
            self.agent.send({"type": "command_unknown", "token": token_id(fresh)})
            self.assertEqual(self.agent.receive_token(), fresh)

    def test_indices(self):
        token, have = self.started(), 0
        for wrong in (1, 7, 2**31):
            self.assert_refused("order", lambda: self.agent.output(token, have + wrong, b"wrong"))
            self.running(token, have)
            self.agent.output(token, have, b"next")
            have += 1
            self.agent.wait_for_ack(token, have)
        self.again()
        self.running(token, have)
        self.assert_refused("order", lambda: self.agent.output(token, 2**32 - 1, b"the last"))
        self.running(token, have)
        self.assert_refused("order", lambda: self.agent.output(token, have - 1, b"before"))
        self.running(token, have)
        self.agent.answer(token, stdout=b"next" * have)
        self.assertEqual(self.outputs(token)[:2], (0, b"next" * have))

    def test_after_the_receipt(self):
        token = self.started()
        self.agent.answer(token)
        self.assert_refused("order", lambda: self.agent.output(token, 0, b"x"))
        for message in ({"type": "command_receipt", "receipt": receipt(self.agent.key, token)},
                        {"type": "command_running"}, {"type": "command_unknown"},
                        {"type": "command_decision", "accepted": True, "reason": "accepted"}):
            self.assert_refused("order", lambda: self.agent.send(
                {**message, "token": token_id(token)}))
        self.assertEqual(self.outputs(token), (0, b"", b""))

    def test_what_only_the_console_says(self):
        for kind in ("command_ack", "command_done", "command_query", "command"):
            self.assert_refused("unknown_type", lambda: self.agent.send(
                {"type": kind, "token": "00" * 16, "stdout": 0, "stderr": 0}))

    def test_members(self):
        token = token_id(self.token())
        decision = {"type": "command_decision", "token": token, "accepted": False,
                    "reason": "expired"}
        for changes in ({"token": "0"}, {"token": None}, {"accepted": 1}, {"accepted": True},
                        {"reason": "Expired"}, {"reason": ""}, {"reason": "accepted"},
                        {"reason": "x" * 33}, {"receipt": ""}, {"receipt": "x" * 8193},
                        {"receipt": 1}):
            self.assert_refused("malformed", lambda: self.agent.send({**decision, **changes}))
        for kind in ("command_receipt", "command_running"):
            self.assert_refused("malformed", lambda: self.agent.send({"type": kind}))

    def test_not_approved(self):
        pending = self.console.agent(features=["commands"])
        pending.authenticate()
        pending.enroll(self.console.token())
        pending.send({"type": "command_unknown", "token": "00" * 16})
        self.assert_closed(pending, 1008, "order")

    def test_another_machines_command(self):
        token = self.started()
        other = self.console.approved(features=["commands"])
        other.send({"type": "command_receipt", "token": token_id(token),
                    "receipt": receipt(other.key, token)})
        self.assert_closed(other, 1008, "order")
        self.agent.answer(token)


if __name__ == "__main__":
    unittest.main(verbosity=2)
