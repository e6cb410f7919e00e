"""Bundles: whole, resumed, interrupted, refused, copied out (docs/wire.md, "Bundles")."""

import os
import random
import resource
import signal
import sqlite3
import stat
import tempfile
import time
import unittest

from harness import ConsoleTest, wait_for
from peer import CHUNK, Bundle, Closed, Key, b64


def stored(console, number):
    """What `ticket --out -` gives for a ticket."""
    import subprocess
    from harness import PROGRAM
    r = subprocess.run([PROGRAM, "ticket", number, "--out", "-", "--state", console.state],
                       capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Whole(ConsoleTest):
    def setUp(self):
        self.agent = self.console.approved()

    def test_sizes(self):
        for size in (1, CHUNK - 1, CHUNK, CHUNK + 1, 12 * CHUNK + 77):
            with self.subTest(size=size):
                bundle = Bundle(self.agent.key, os.urandom(size))
                done = self.agent.upload(bundle)
                self.assertRegex(done["number"], r"^T-\d{6}$")
                self.assertEqual(stored(self.console, done["number"]), bundle.data)

    def test_numbers_rise_and_the_same_bundle_keeps_its_own(self):
        first = Bundle(self.agent.key, b"first")
        one = self.agent.upload(first)
        two = self.agent.upload(Bundle(self.agent.key, b"second"))
        self.assertEqual(int(two["number"][2:]), int(one["number"][2:]) + 1)
        self.assertEqual(self.agent.upload(first), one)

    def test_four_at_once_with_their_frames_mixed(self):
        bundles = [Bundle(self.agent.key, os.urandom(3 * CHUNK)) for _ in range(4)]
        for b in bundles:
            self.assertEqual(self.agent.ask(b.begin())["type"], "bundle_digests")
        fifth = Bundle(self.agent.key, b"fifth")
        self.assertEqual(self.agent.ask(fifth.begin())["code"], "busy")
        for b in reversed(bundles):
            self.agent.binary(b.digest_frame())
            self.assertEqual(self.agent.receive("bundle_ready")["have"], 0)
        for i in range(3):
            for b in bundles:
                self.agent.binary(b.chunk_frame(i))
        done = {}
        while len(done) < 4:
            m = self.agent.receive()
            if m["type"] == "bundle_done":
                done[m["ticket"]] = m["number"]
        for b in bundles:
            self.assertEqual(stored(self.console, done[b.ticket.hex()]), b.data)

    def test_digests_in_several_frames(self):
        b = Bundle(self.agent.key, os.urandom(5 * CHUNK))
        self.agent.ask(b.begin(), "bundle_digests")
        for i in range(4):
            self.agent.binary(b.digest_frame(i, 1))
        self.agent.binary(b.digest_frame(4))
        self.agent.receive("bundle_ready")

    def test_what_the_console_shows(self):
        b = Bundle(self.agent.key, b"shown")
        number = self.agent.upload(b)["number"]
        t, = [t for t in self.console.admin_json("tickets") if t["number"] == number]
        self.assertEqual((t["ticket"], t["machine"], t["size"], t["digest"], t["consent_time_ms"]),
                         (b.ticket.hex(), self.agent.key.id, 5, b.digest.hex(), 1790000000000))
        self.assertEqual(self.console.admin_json("ticket", b.ticket.hex())["number"], number)
        self.assertIn("signed by the machine", self.console.admin("ticket", number))
        self.console.admin("ticket", "T-999999", status=3)

    def test_copying_out(self):
        number = self.agent.upload(Bundle(self.agent.key, b"copied"))["number"]
        with tempfile.TemporaryDirectory() as d:
            path = d + "/x.age"
            self.console.admin("ticket", number, "--out", path)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, "wb") as f:
                f.write(b"mine")
            self.console.admin("ticket", number, "--out", path, status=4)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), b"mine")
            self.console.admin("ticket", number, "--out", path, "--force")
            with open(path, "rb") as f:
                self.assertEqual(f.read(), b"copied")
            self.console.admin("ticket", number, "--out", d + "/no/x.age", status=1)
            self.assertEqual(os.listdir(d), ["x.age"])

    def test_a_bundle_damaged_on_disk_is_not_given_out(self):
        b = Bundle(self.agent.key, os.urandom(2 * CHUNK))
        number = self.agent.upload(b)["number"]
        for name in os.listdir(self.console.state + "/bundles"):
            path = self.console.state + "/bundles/" + name
            with open(path, "r+b") as f:
                if f.read() == b.data:
                    f.seek(CHUNK + 5)
                    f.write(bytes([b.data[CHUNK + 5] ^ 1]))
        with tempfile.TemporaryDirectory() as d:
            self.console.admin("ticket", number, "--out", d + "/x", status=1)
            self.assertEqual(os.listdir(d), [])

    def test_files_are_closed_to_others(self):
        self.agent.upload(Bundle(self.agent.key, b"private"))
        for folder, _, names in os.walk(self.console.state):
            for name in names:
                if name not in ("test.ini",):
                    mode = os.stat(os.path.join(folder, name)).st_mode
                    self.assertEqual(stat.S_IMODE(mode) & 0o077, 0, name)


class Refused(ConsoleTest):
    limits = "max_bundle_mib = 4\nquota_mib = 6\n"

    def setUp(self):
        self.agent = self.console.approved()

    def begin(self, data=b"data"):
        b = Bundle(self.agent.key, data)
        self.agent.ask(b.begin(), "bundle_digests")
        return b

    def ready(self, data):
        b = self.begin(data)
        self.agent.binary(b.digest_frame())
        self.agent.receive("bundle_ready")
        return b

    def assert_nothing_whole(self):
        machine = self.agent.key.id
        self.assertFalse([t for t in self.console.admin_json("tickets") if t["machine"] == machine])

    def test_origin(self):
        b = Bundle(self.agent.key, b"data")
        wrong = [b.begin(consent_time_ms=1), b.begin(size=5), b.begin(ticket="00" * 16),
                 b.begin(digest="00" * 32), b.begin(signature=b64(bytes(64))),
                 Bundle(Key(), b"data").begin()]
        for begin in wrong:
            self.assertEqual(self.agent.ask(begin)["code"], "origin_invalid")
        self.assertEqual(self.agent.upload(b)["type"], "bundle_done")

    def test_a_ticket_id_is_one_bundle(self):
        b = self.begin()
        other = Bundle(self.agent.key, b"other", ticket=b.ticket)
        again, _ = self.console.again(self.agent)
        self.assertEqual(again.ask(other.begin())["code"], "ticket_conflict")
        self.assertEqual(again.upload(b)["type"], "bundle_done")
        self.assertEqual(again.ask(other.begin())["code"], "ticket_conflict")

    def test_two_machines_may_choose_the_same_ticket_id(self):
        other, ticket = self.console.approved(), os.urandom(16)
        one = self.agent.upload(Bundle(self.agent.key, b"one", ticket=ticket))
        two = other.upload(Bundle(other.key, b"two", ticket=ticket))
        self.assertNotEqual(one["number"], two["number"])
        self.assertEqual(stored(self.console, two["number"]), b"two")
        self.console.admin("ticket", ticket.hex(), status=3)

    def test_too_large(self):
        b = Bundle(self.agent.key, bytes(4 * 2**20 + 1))
        self.assertEqual(self.agent.ask(b.begin())["code"], "bundle_too_large")

    def test_quota(self):
        self.agent.upload(Bundle(self.agent.key, os.urandom(4 * 2**20)))
        b = Bundle(self.agent.key, bytes(2 * 2**20))
        self.assertEqual(self.agent.ask(b.begin())["code"], "quota_exceeded")
        self.assertEqual(self.agent.upload(Bundle(self.agent.key, b"x"))["type"], "bundle_done")

    def test_incomplete_bundles_are_bounded(self):
        a, codes = self.agent, []
        for _ in range(33):
            answer = a.ask(Bundle(a.key, os.urandom(8)).begin())
            codes.append(answer.get("code"))
            if len(codes) % 4 == 0:
                a, _ = self.console.again(a)
        self.assertEqual(codes, [None] * 32 + ["quota_exceeded"])

    def test_lying_sizes(self):
        b = Bundle(self.agent.key, bytes(CHUNK + 1))
        for changes in ({"chunks": 1}, {"chunks": 3}, {"size": 0}, {"chunk_size": 65536},
                        {"size": 2**53 - 1}, {"chunks": 65537, "size": 65537 * CHUNK}):
            a, _ = self.console.again(self.agent)
            a.send(b.begin(**changes))
            self.assert_closed(a, 1008, "malformed")

    def test_chunk_lengths(self):
        b = self.ready(os.urandom(CHUNK + 10))
        self.agent.binary(b.chunk_frame(0)[:-1])
        self.assert_closed(self.agent, 1008, "malformed")
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(b.begin())["have"], 0)
        a.binary(b.chunk_frame(0))
        a.receive("chunk")
        a.binary(b.chunk_frame(1) + b"x")
        self.assert_closed(a, 1008, "malformed")
        self.assert_nothing_whole()

    def test_a_flipped_bit(self):
        data = os.urandom(3 * CHUNK)
        b = self.ready(data)
        self.agent.binary(b.chunk_frame(0))
        self.agent.receive("chunk")
        wrong = bytearray(b.chunk_frame(1))
        wrong[-1] ^= 0x80
        self.agent.binary(bytes(wrong))
        self.assert_closed(self.agent, 1008, "chunk_digest")
        self.assert_nothing_whole()
        self.console.admin("ticket", b.ticket.hex(), "--out", "/dev/null", status=4)
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(b.begin())["have"], 1)
        for i in (1, 2):
            a.binary(b.chunk_frame(i))
        a.receive("chunk")
        self.assertEqual(stored(self.console, a.receive("bundle_done")["number"]), data)

    def test_the_reason_arrives_though_more_chunks_are_under_way(self):
        b = self.ready(os.urandom(9 * CHUNK))
        self.agent.binary(b.header(1, 0) + bytes(CHUNK))
        for i in range(1, 9):
            self.agent.binary(b.chunk_frame(i))
        self.assert_closed(self.agent, 1008, "chunk_digest")

    def test_digests_that_are_not_of_the_digest(self):
        b = self.begin(bytes(2 * CHUNK))
        self.agent.binary(b.header(2, 0) + bytes(64))
        self.assertEqual(self.agent.receive("error")["code"], "digest_mismatch")
        self.agent.binary(b.chunk_frame(0))
        self.assert_closed(self.agent, 1008, "order")

    def test_order(self):
        bundle = Bundle(self.agent.key, os.urandom(3 * CHUNK))
        digests, ready = [bundle.digest_frame()], bundle.chunk_frame
        other = Bundle(self.agent.key, b"other")
        cases = {
            "chunk before digests": ([], ready(0)),
            "digests not from the start": ([], bundle.digest_frame(1)),
            "gap": (digests, ready(1)),
            "digests again": (digests, bundle.digest_frame()),
            "not under way": (digests, other.chunk_frame(0)),
            "past the end": (digests, bundle.header(1, 3) + b"x"),
        }
        for name, (before, frame) in cases.items():
            with self.subTest(name):
                a, _ = self.console.again(self.agent)
                a.ask({"type": "bundle_abort", "ticket": bundle.ticket.hex()}, "bundle_aborted")
                a.ask(bundle.begin(), "bundle_digests")
                for f in before:
                    a.binary(f)
                    a.receive("bundle_ready")
                a.binary(frame)
                self.assert_closed(a, 1008, "order")
        self.assert_nothing_whole()

    def test_a_repeated_chunk_and_a_repeated_begin(self):
        b = self.ready(os.urandom(2 * CHUNK))
        self.agent.binary(b.chunk_frame(0))
        self.agent.receive("chunk")
        self.agent.binary(b.chunk_frame(0))
        self.assert_closed(self.agent, 1008, "order")
        a, _ = self.console.again(self.agent)
        a.ask(b.begin(), "bundle_ready")
        a.send(b.begin())
        self.assert_closed(a, 1008, "order")

    def test_malformed_frames(self):
        b = Bundle(self.agent.key, b"data")
        for frame in (b"", b"\x01", b.header(1, 0), bytes(22), b.header(3, 0) + b"x",
                      b.header(2, 0) + bytes(31), b.header(2, 0) + bytes(64)):
            a, _ = self.console.again(self.agent)
            a.ask(b.begin(), "bundle_digests")
            a.binary(frame)
            self.assert_closed(a, 1008, "malformed")

    def test_abort(self):
        b = self.ready(os.urandom(2 * CHUNK))
        self.agent.binary(b.chunk_frame(0))
        self.agent.receive("chunk")
        abort = {"type": "bundle_abort", "ticket": b.ticket.hex()}
        self.assertEqual(self.agent.ask(abort)["type"], "bundle_aborted")
        self.assertEqual(self.agent.ask(abort)["type"], "bundle_aborted")
        self.assertFalse([n for n in self.console.admin_json("tickets", "--incomplete")
                          if n["ticket"] == b.ticket.hex()])
        self.assertEqual(self.agent.ask(b.begin())["type"], "bundle_digests")
        done = self.agent.upload(Bundle(self.agent.key, b"done", ticket=bytes(16)))
        self.assertEqual(self.agent.ask({"type": "bundle_abort", "ticket": "00" * 16}), done)


class Interrupted(ConsoleTest):
    def setUp(self):
        self.agent = self.console.approved()
        self.data = os.urandom(40 * CHUNK + 5)
        self.bundle = Bundle(self.agent.key, self.data)

    def send_some(self, agent, count):
        """Sends chunks until `count` are acknowledged, a few more on the way."""
        answer = agent.ask(self.bundle.begin())
        if answer["type"] == "bundle_digests":
            agent.binary(self.bundle.digest_frame())
            answer = agent.receive("bundle_ready")
        first = answer["have"]
        for i in range(first, first + count + 3):
            agent.binary(self.bundle.chunk_frame(i))
        acknowledged = -1
        while acknowledged < first + count - 1:
            acknowledged = agent.receive("chunk")["index"]
        return acknowledged

    def row_number(self, **values):
        with sqlite3.connect(self.console.state + "/console.db") as db:
            for name, value in values.items():
                db.execute(f"UPDATE bundles SET {name} = ? WHERE ticket = ?",
                           (value, self.bundle.ticket))
            return db.execute("SELECT id FROM bundles WHERE ticket = ?",
                              (self.bundle.ticket,)).fetchone()[0]

    def restart(self, number=signal.SIGKILL):
        self.console.stop(number)
        self.console.start()

    def assert_finishes(self):
        a, _ = self.console.again(self.agent)
        done = a.upload(self.bundle)
        self.assertEqual(done["type"], "bundle_done")
        self.assertEqual(stored(self.console, done["number"]), self.data)
        return done

    def test_resume_after_a_lost_connection(self):
        acknowledged = self.send_some(self.agent, 5)
        self.agent.socket.close()
        a, _ = self.console.again(self.agent)
        self.assertGreaterEqual(a.ask(self.bundle.begin(), "bundle_ready")["have"],
                                acknowledged + 1)
        self.assert_finishes()

    def test_resume_after_kill_9_in_mid_upload(self):
        acknowledged = self.send_some(self.agent, 7)
        self.restart()
        self.assertEqual(self.console.admin_json("tickets"), [
            t for t in self.console.admin_json("tickets") if t["ticket"] != self.bundle.ticket.hex()])
        self.assertIn(self.bundle.ticket.hex(), self.console.admin("tickets", "--incomplete"))
        self.console.admin("ticket", self.bundle.ticket.hex(), "--out", "/dev/null", status=4)
        a, _ = self.console.again(self.agent)
        have = a.ask(self.bundle.begin(), "bundle_ready")["have"]
        self.assertGreaterEqual(have, acknowledged + 1)
        self.assert_finishes()

    def test_kill_9_at_random_moments(self):
        generator, done = random.Random(1), None
        for _ in range(200):
            agent, _ = self.console.again(self.agent)
            timer = time.monotonic() + generator.uniform(0, 0.08)
            try:
                answer = agent.ask(self.bundle.begin())
                if answer["type"] == "bundle_digests":
                    agent.binary(self.bundle.digest_frame())
                    answer = agent.receive()
                index = answer.get("have", 0)
                while answer["type"] != "bundle_done" and time.monotonic() < timer:
                    agent.binary(self.bundle.chunk_frame(index))
                    index, answer = index + 1, agent.receive()
                if answer["type"] == "bundle_done":
                    done = answer
                    break
            finally:
                self.restart()
            whole = [t for t in self.console.admin_json("tickets")
                     if t["ticket"] == self.bundle.ticket.hex()]
            self.assertEqual(whole, [])
        self.assertIsNotNone(done)
        self.assertEqual(self.assert_finishes(), done)

    def test_finished_twice_across_a_restart(self):
        done = self.assert_finishes()
        self.restart()
        self.assertEqual(self.assert_finishes(), done)

    def test_death_between_rename_and_commit(self):
        self.assert_finishes()
        self.console.stop(signal.SIGKILL)
        self.row_number(number=None, received_ms=None, have=3)
        self.console.start()
        self.console.admin("ticket", self.bundle.ticket.hex(), "--out", "/dev/null", status=4)
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(self.bundle.begin())["type"], "bundle_done")
        self.assert_finishes()

    def test_a_torn_write_is_sent_again(self):
        """After a loss of power: the last chunks are garbage, longer than they should be."""
        self.send_some(self.agent, 6)
        self.console.stop(signal.SIGKILL)
        path = f"{self.console.state}/incoming/{self.row_number()}.part"
        with open(path, "r+b") as f:
            f.seek(4 * CHUNK + 100)
            f.write(bytes(5 * CHUNK))
        self.console.start()
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(self.bundle.begin(), "bundle_ready")["have"], 4)
        self.assert_finishes()

    def test_a_part_file_that_vanished(self):
        self.send_some(self.agent, 6)
        self.console.stop()
        os.unlink(f"{self.console.state}/incoming/{self.row_number()}.part")
        self.console.start()
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(self.bundle.begin(), "bundle_ready")["have"], 0)
        self.assert_finishes()

    def test_a_full_disk(self):
        """The limit on file sizes stands for the disk: writing fails, then works again."""
        pid = self.console.process.pid
        a, _ = self.console.again(self.agent)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (20 * CHUNK + 9, resource.RLIM_INFINITY))
        with self.assertRaises(Closed) as caught:
            a.upload(self.bundle)
        self.assertEqual((caught.exception.code, caught.exception.reason), (1011, "storage"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        a, _ = self.console.again(self.agent)
        self.assertEqual(a.ask(self.bundle.begin(), "bundle_ready")["have"], 20)
        self.assert_finishes()

    def test_incomplete_bundles_expire(self):
        self.send_some(self.agent, 2)
        self.console.stop()
        row = self.row_number(touched_ms=int((time.time() - 8 * 86400) * 1000))
        self.console.start()
        ticket = self.bundle.ticket.hex()
        wait_for(lambda: ticket not in self.console.admin("tickets", "--incomplete"))
        self.assertFalse(os.path.exists(f"{self.console.state}/incoming/{row}.part"))
        self.assert_finishes()

    def test_revocation_in_mid_upload(self):
        self.send_some(self.agent, 2)
        self.console.admin("revoke", self.agent.key.id)
        self.assert_closed(self.agent, 4003, "revoked")
        self.assertNotIn(self.bundle.ticket.hex(), self.console.admin("tickets", "--json"))

    def test_an_orderly_stop_says_so(self):
        self.send_some(self.agent, 2)
        self.assertEqual(self.console.stop(), 0)
        self.assert_closed(self.agent, 1001, "shutdown")
        self.console.start()
        self.assert_finishes()


if __name__ == "__main__":
    unittest.main(verbosity=2)
