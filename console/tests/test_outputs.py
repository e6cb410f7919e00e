"""The output of signed commands, and what is left of it after anything ended at any moment."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import threading
import time
import unittest

from OpenSSL import SSL

from commands_case import CommandTest
from harness import PROGRAM, wait_for
from peer import CHUNK, Closed, receipt, token_id


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
