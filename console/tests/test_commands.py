"""Signed commands: the queue, decisions, output, receipts, and what is left of them after anything
ended at any moment."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from OpenSSL import SSL

from harness import PROGRAM, ConsoleTest, wait_for
from peer import CHUNK, Closed, Key, b64, command_token, jws, receipt, token_id


class CommandTest(ConsoleTest):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.agent = self.console.approved(features=["commands"])
        self.counter = int.from_bytes(os.urandom(5), "big")

    def token(self, **changes):
        self.counter += 1
        return command_token(self.counter, **changes)

    def file(self, data, name="token.jws"):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def push(self, *tokens, machine=None, console=None, options=()):
        files = [self.file(t, f"{i}.jws") for i, t in enumerate(tokens)]
        return (console or self.console).admin(
            "push", *files, "--machine", machine or self.agent.key.id, *options).split()

    def commands(self, agent=None):
        return self.console.admin_json("commands", "--machine", (agent or self.agent).key.id)

    def command(self, token):
        return [c for c in self.commands() if c["token"] == token_id(token)][-1]

    def outputs(self, token, *options, console=None, check=True):
        """(exit status, standard output, standard error)."""
        r = subprocess.run([PROGRAM, "outputs", token_id(token), "--machine", self.agent.key.id,
                            "--state", (console or self.console).state, *options],
                           capture_output=True, timeout=60)
        return r.returncode, r.stdout, r.stderr

    def again(self):
        self.agent, welcome = self.console.again(self.agent)
        self.assertEqual(welcome["state"], "approved")

    def run_to(self, token, **changes):
        """Takes the token, accepts it and answers it."""
        self.assertEqual(self.agent.receive_token(), token)
        self.agent.decide(token)
        self.agent.answer(token, **changes)

    def started(self):
        """A token that was pushed, sent and accepted."""
        token = self.token()
        self.push(token)
        self.assertEqual(self.agent.receive_token(), token)
        self.agent.decide(token)
        return token

    def query(self, token, stdout=0, stderr=0):
        self.assertEqual(self.agent.receive("command_query"),
                         {"type": "command_query", "token": token_id(token), "stdout": stdout,
                          "stderr": stderr})


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


class Output(CommandTest):
    def test_streams_and_chunks(self):
        token = self.started()
        data = [os.urandom(n) for n in (1, CHUNK, 17, CHUNK, 5)]
        errors = [os.urandom(n) for n in (3, 1)]
        for i, chunk in enumerate(data):
            self.agent.output(token, i, chunk)
        for i, chunk in enumerate(errors):
            self.agent.output(token, i, chunk, 1)
        self.agent.wait_for_ack(token, 5, 2)
        self.agent.answer(token, stdout=b"".join(data), stderr=b"".join(errors))
        self.assertEqual(self.outputs(token), (0, b"".join(data), b"".join(errors)))
        target = self.folder.name + "/out"
        self.assertEqual(self.outputs(token, "--out", target), (0, b"", b""))
        self.assertEqual(self.outputs(token, "--out", target)[0], 4)
        self.assertEqual(self.outputs(token, "--out", target, "--force")[0], 0)
        with open(target + "/stdout", "rb") as f:
            self.assertEqual(f.read(), b"".join(data))
        self.assertEqual(os.stat(target + "/stderr").st_mode & 0o777, 0o600)

    def send_windows(self, token, chunks, first=0):
        """Within the window of 16, as an agent does; returns what was acknowledged at the end."""
        acked = sent = first
        while acked < len(chunks):
            while sent < len(chunks) and sent - acked < 16:
                self.agent.output(token, sent, chunks[sent])
                sent += 1
            acked = self.agent.receive("command_ack")["stdout"]

    def test_many_chunks(self):
        token = self.started()
        chunks = [os.urandom(random.choice((1, 1000, CHUNK))) for _ in range(200)]
        self.send_windows(token, chunks)
        self.agent.answer(token, stdout=b"".join(chunks))
        self.assertEqual(self.outputs(token)[:2], (0, b"".join(chunks)))

    def test_resume_after_a_lost_connection(self):
        token = self.started()
        for i in range(3):
            self.agent.output(token, i, bytes([i]) * 1000)
        self.agent.output(token, 0, b"e", 1)
        self.agent.wait_for_ack(token, 3, 1)
        self.agent.output(token, 3, b"3")
        self.agent.socket.close()
        self.again()
        query = self.agent.receive("command_query")
        self.assertEqual(query["stderr"], 1)
        self.assertIn(query["stdout"], (3, 4))
        self.agent.send({"type": "command_running", "token": token_id(token)})
        if query["stdout"] == 3:
            self.agent.output(token, 3, b"3")
        self.agent.output(token, 4, b"4")
        self.agent.wait_for_ack(token, 5, 1)
        whole = b"".join(bytes([i]) * 1000 for i in range(3)) + b"34"
        self.agent.answer(token, stdout=whole, stderr=b"e")
        self.assertEqual(self.outputs(token), (0, whole, b"e"))

    def test_a_replaced_connection(self):
        token = self.started()
        self.agent.output(token, 0, b"0")
        self.agent.wait_for_ack(token, 1)
        older = self.agent
        self.again()
        self.assert_closed(older, 4005, "replaced")
        self.query(token, 1)

    def test_a_query_is_answered_unknown(self):
        """It was lost on its way: it is sent again, and what follows stays behind it."""
        tokens = [self.token() for _ in range(10)]
        self.push(*tokens)
        for token in tokens[:8]:
            self.assertEqual(self.agent.receive_token(), token)
        self.agent.decide(tokens[0])
        wait_for(lambda: self.command(tokens[0])["state"] == "running")
        self.again()
        for token in tokens[:8]:
            self.query(token)
        self.agent.send({"type": "command_running", "token": token_id(tokens[0])})
        for token in tokens[1:8]:
            self.agent.send({"type": "command_unknown", "token": token_id(token)})
        for token in tokens[1:8]:
            self.assertEqual(self.agent.receive_token(), token)
        self.agent.answer(tokens[0])
        self.assertEqual(self.agent.receive_token(), tokens[8])

    def test_accepted_and_then_unknown_is_not_sent_again(self):
        token = self.started()
        wait_for(lambda: self.command(token)["state"] == "running")
        self.again()
        self.query(token)
        self.agent.send({"type": "command_unknown", "token": token_id(token)})
        wait_for(lambda: self.command(token)["summary"] == "refused: lost")
        token = self.started()
        self.agent.send({"type": "command_unknown", "token": token_id(token)})
        wait_for(lambda: self.command(token)["summary"] == "refused: lost")

    def test_a_query_is_answered_by_the_receipt(self):
        token = self.started()
        self.again()
        self.query(token)
        self.agent.answer(token)
        self.assertEqual(self.command(token)["summary"], "exit 0")

    def test_a_gap_is_told(self):
        token = self.started()
        self.agent.output(token, 0, b"first")
        self.agent.wait_for_ack(token, 1)
        self.again()
        self.query(token, 1)
        self.agent.send({"type": "command_running", "token": token_id(token)})
        self.agent.output(token, 4, b"last")
        self.agent.wait_for_ack(token, 5)
        self.agent.answer(token, stdout=b"first" + b"lost" * 3 + b"last")
        status, out, err = self.outputs(token)
        self.assertEqual((status, out), (1, b"firstlast"))
        self.assertIn(b"3 chunks of standard output are missing", err)
        self.assertIn(b"the receipt says 21 bytes", err)
        self.assertEqual(self.outputs(token, "--wait")[0], 255)

    def test_a_cut_is_told(self):
        token = self.started()
        self.agent.output(token, 0, b"some")
        self.agent.wait_for_ack(token, 1)
        self.agent.answer(token, stdout=b"some", exit=None, signal=9, limit="output",
                          stdout_dropped=12345)
        status, out, err = self.outputs(token)
        self.assertEqual((status, out), (0, b"some"))
        self.assertIn(b"12345 more bytes", err)
        self.assertEqual(self.outputs(token, "--wait")[0], 128 + 9)
        self.assertEqual(self.command(token)["summary"], "signal 9 (output limit)")

    def test_following(self):
        token = self.token()
        self.push(token)
        follower = subprocess.Popen(
            [PROGRAM, "outputs", token_id(token), "--wait", "--state", self.console.state],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.agent.receive_token()
        self.agent.decide(token)
        for i in range(3):
            self.agent.output(token, i, b"%d\n" % i)
            self.agent.wait_for_ack(token, i + 1)
            self.assertEqual(follower.stdout.readline(), b"%d\n" % i)
        self.agent.answer(token, stdout=b"0\n1\n2\n", exit=42)
        self.assertEqual(follower.wait(10), 42)
        follower.stdout.close()
        self.assertEqual(follower.stderr.read(), b"")
        follower.stderr.close()

    def test_the_end_is_noticed_at_once(self):
        """Not when it is next looked for, once a second."""
        spans = []
        for _ in range(5):
            token = self.started()
            waiting = subprocess.Popen([PROGRAM, "outputs", token_id(token), "--wait", "--state",
                                        self.console.state], stdout=subprocess.PIPE)
            self.agent.output(token, 0, b"x")
            self.assertEqual(waiting.stdout.read(1), b"x")
            self.agent.wait_for_ack(token, 1)
            self.agent.answer(token, stdout=b"x")
            ended = time.monotonic()
            self.assertEqual(waiting.wait(10), 0)
            spans.append(time.monotonic() - ended)
            waiting.stdout.close()
        self.assertLess(sorted(spans)[2], 0.5)

    def test_waiting_has_an_end(self):
        token = self.started()
        self.assertEqual(self.outputs(token, "--wait=1")[0], 255)
        self.assertEqual(self.outputs(token)[0], 0)

    def test_a_terminal_gets_no_control_characters(self):
        token = self.started()
        hostile = b"\x1b]0;title\x07a\tb\n\xc3\xa9"
        self.agent.output(token, 0, hostile)
        self.agent.wait_for_ack(token, 1)
        self.agent.answer(token, stdout=hostile)
        for options, expected in (((), b"\\x1b]0;title\\x07a\tb\r\n\\xc3\\xa9"),
                                  (("--raw",), hostile.replace(b"\n", b"\r\n"))):
            master, slave = os.openpty()
            subprocess.run([PROGRAM, "outputs", token_id(token), "--state", self.console.state,
                            *options], stdout=slave, timeout=30, check=True)
            os.close(slave)
            with open(master, "rb", buffering=0) as f:
                self.assertEqual(f.read(4096).replace(b"        ", b"\t"), expected)

    def restart(self):
        self.console.stop(signal.SIGKILL)
        self.console.start()

    def test_kill_9_in_mid_output(self):
        token = self.started()
        chunks = [os.urandom(CHUNK) for _ in range(40)]
        acked = 0
        for i in range(20):
            self.agent.output(token, i, chunks[i])
            if i >= 12:
                acked = self.agent.receive("command_ack")["stdout"]
        self.restart()
        self.again()
        query = self.agent.receive("command_query")
        self.assertGreaterEqual(query["stdout"], acked)
        self.agent.send({"type": "command_running", "token": token_id(token)})
        self.send_windows(token, chunks, query["stdout"])
        self.agent.answer(token, stdout=b"".join(chunks))
        self.assertEqual(self.outputs(token)[:2], (0, b"".join(chunks)))

    def test_a_torn_write_is_sent_again(self):
        token = self.started()
        chunks = [os.urandom(1000) for _ in range(6)]
        self.send_windows(token, chunks)
        self.console.stop(signal.SIGKILL)
        with sqlite3.connect(self.console.state + "/console.db") as db:
            row = db.execute("SELECT id FROM commands WHERE token = ?",
                             (bytes.fromhex(token_id(token)),)).fetchone()[0]
        path = f"{self.console.state}/commands/{row}.out"
        with open(path, "r+b") as f:
            f.seek(4 * 1024 + 100)
            f.write(b"torn")
        self.console.start()
        self.again()
        self.query(token, 4)
        self.agent.send({"type": "command_running", "token": token_id(token)})
        self.send_windows(token, chunks, 4)
        self.agent.answer(token, stdout=b"".join(chunks))
        self.assertEqual(self.outputs(token)[:2], (0, b"".join(chunks)))
        with open(path, "r+b") as f:
            f.seek(100)
            f.write(b"bits")
        status, out, err = self.outputs(token)
        self.assertEqual((status, out), (1, b""))
        self.assertIn(b"damaged", err)

    def test_a_full_disk(self):
        token = self.started()
        pid = self.console.process.pid
        chunks = [os.urandom(CHUNK) for _ in range(12)]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (5 * CHUNK + 500, resource.RLIM_INFINITY))
        with self.assertRaises(Closed) as caught:
            self.send_windows(token, chunks)
        self.assertEqual((caught.exception.code, caught.exception.reason), (1011, "storage"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        self.again()
        self.query(token, 5)
        self.agent.send({"type": "command_running", "token": token_id(token)})
        self.send_windows(token, chunks, 5)
        self.agent.answer(token, stdout=b"".join(chunks))
        self.assertEqual(self.outputs(token)[:2], (0, b"".join(chunks)))


class Limits(CommandTest):
    limits = "command_output_mib = 1\ncommands_quota_mib = 4\ncommands_days = 30\n"

    def fill(self, token, chunks, first=0):
        with self.assertRaises(Closed) as caught:
            for i in range(first, first + chunks):
                self.agent.output(token, i, bytes(CHUNK))
                self.agent.wait_for_ack(token, i + 1)
        self.assertEqual((caught.exception.code, caught.exception.reason), (1011, "storage"))

    def test_output_beyond_the_limits(self):
        first = self.started()
        self.fill(first, 5)
        self.assertEqual(self.command(first)["held"], "output")
        self.again()  # and is not asked for the first: it would only be thrown out again
        second = self.started()
        self.fill(second, 5)
        self.again()
        self.push(third := self.token())
        wait_for(lambda: self.command(third)["summary"] == "queued (held: quota)")
        self.assertEqual(self.command(second)["summary"], "running (held: output)")
        self.hour_passes(first, second)
        self.again()
        for token in (first, second):
            self.query(token, 4)
        for token in (first, second):
            self.agent.answer(token, stdout=bytes(9 * CHUNK))
        self.assertEqual(self.outputs(first)[0], 1)

    def hour_passes(self, *tokens):
        with sqlite3.connect(self.console.state + "/console.db") as db:
            for token in tokens:
                db.execute("UPDATE commands SET held_ms = held_ms - 4000000 WHERE token = ?",
                           (bytes.fromhex(token_id(token)),))

    def test_the_quota_keeps_tokens_back(self):
        for _ in range(2):
            token = self.started()
            for i in range(4):
                self.agent.output(token, i, bytes(CHUNK))
                self.agent.wait_for_ack(token, i + 1)
            self.agent.answer(token, stdout=bytes(4 * CHUNK))
        self.push(held := self.token())
        wait_for(lambda: self.command(held)["summary"] == "queued (held: quota)")
        self.console.admin("forget", token_id(token))
        self.assertEqual(self.agent.receive_token(), held)

    def test_retention(self):
        token = self.started()
        self.agent.output(token, 0, b"old")
        self.agent.wait_for_ack(token, 1)
        self.agent.answer(token, stdout=b"old")
        kept = self.started()
        self.agent.answer(kept)
        self.console.stop()
        with sqlite3.connect(self.console.state + "/console.db") as db:
            row = db.execute("SELECT id FROM commands WHERE token = ?",
                             (bytes.fromhex(token_id(token)),)).fetchone()[0]
            db.execute("UPDATE commands SET ended_ms = ended_ms - 31 * 86400000 WHERE id = ?",
                       (row,))
        path = f"{self.console.state}/commands/{row}.out"
        self.assertTrue(os.path.exists(path))
        self.console.start()
        wait_for(lambda: [c["token"] for c in self.commands()] == [token_id(kept)])
        wait_for(lambda: not os.path.exists(path))


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


class KillLoop(CommandTest):
    def test_kill_9_at_any_moment(self):
        """An agent that keeps what it accepted, as a real one does, and a console that dies at random:
        each command is accepted once, in order, and all its output is stored once."""
        generator, count = random.Random(3), 60
        tokens = [self.token() for _ in range(count)]
        self.push(*tokens)
        accepted, ended = [], set()
        outputs = {t: [b"%s %d\n" % (token_id(t).encode(), i) * 50 for i in range(5)]
                   for t in tokens}
        by_id = {token_id(t): t for t in tokens}
        stop = threading.Event()

        def deal_with(agent, m):
            if m["type"] == 16:
                token = m["content"]
                if token in accepted:
                    agent.decide(token, "replayed")
                    return
                accepted.append(token)
                agent.decide(token)
                self.play(agent, token, outputs[token], 0)
            elif m["type"] == "command_query":
                token = by_id[m["token"]]
                if token not in accepted:
                    agent.send({"type": "command_unknown", "token": m["token"]})
                else:
                    agent.send({"type": "command_running", "token": m["token"]})
                    self.play(agent, token, outputs[token], m["stdout"])
            elif m["type"] == "command_ack":
                token = by_id[m["token"]]
                if m["stdout"] == 5:
                    agent.send({"type": "command_receipt", "token": m["token"],
                                "receipt": receipt(agent.key, token,
                                                   stdout=b"".join(outputs[token]))})
            elif m["type"] == "command_done":
                ended.add(by_id[m["token"]])

        def serve():
            while not stop.is_set():
                try:
                    agent = self.console.agent(key=self.agent.key, features=["commands"],
                                               timeout=3)
                    agent.authenticate()
                    while not stop.is_set():
                        deal_with(agent, agent.receive_any())
                except (Closed, OSError, SSL.Error, EOFError):
                    time.sleep(0.02)

        thread = threading.Thread(target=serve)
        self.agent.close()
        thread.start()
        try:
            kills = 0
            end = time.monotonic() + 120
            while not self.done(count) and time.monotonic() < end:
                if kills < 40:
                    time.sleep(generator.uniform(0.02, 0.15))
                    self.console.stop(signal.SIGKILL)
                    self.console.start()
                    kills += 1
                else:
                    time.sleep(0.1)
        finally:
            stop.set()
            thread.join(20)
        self.assertTrue(self.done(count))
        self.assertEqual(accepted, tokens)
        for token in tokens:
            self.assertEqual(self.outputs(token), (0, b"".join(outputs[token]), b""))

    def done(self, count):
        with sqlite3.connect(self.console.state + "/console.db") as db:
            return db.execute("SELECT count(*) FROM commands WHERE state = 'done'"
                              ).fetchone()[0] == count

    def play(self, agent, token, chunks, first):
        for i in range(first, len(chunks)):
            agent.output(token, i, chunks[i])
        if first == len(chunks):
            agent.send({"type": "command_receipt", "token": token_id(token),
                        "receipt": receipt(agent.key, token, stdout=b"".join(chunks))})


if __name__ == "__main__":
    unittest.main(verbosity=2)
