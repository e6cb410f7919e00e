"""Input that is wrong on purpose. After each case the console still serves others."""

import json
import os
import select
import socket
import struct
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from OpenSSL import SSL

from harness import Console, ConsoleTest, wait_for
from peer import Bundle, Closed, b64

NO_EXTENDED_MASTER_SECRET = 1 << 0  # SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])


class HostileTest(ConsoleTest):
    def tearDown(self):
        a = self.console.agent()
        self.assertEqual(a.authenticate()["state"], "unenrolled")
        a.close()


class Text(HostileTest):
    def assert_refused(self, text, reason="malformed", agent=None):
        a = agent or self.console.agent()
        if agent is None:
            a.challenge()
        a.text(text)
        self.assert_closed(a, 1008, reason)

    def test_not_json(self):
        for text in ("", "{", "[]", "null", "1", '"authenticate"', "{}", "{\"type\":1}", "\ufeff{}",
                     '{"type":"enroll"}x', "{'type':'enroll'}", '{"type":"x"}{"type":"x"}',
                     '{"type":""}', '{"type":"' + "x" * 33 + '"}', "{" * 60000, "[" * 65536,
                     '{"type":"enroll","token":"\\u0000","name":"x"}',
                     '{"type":"enroll","token":"\\ud800","name":"x"}',
                     '{"type":"authenticate","type":"authenticate"}',
                     '{"type":"authenticate","x":' + "[" * 9 + "]" * 9 + "}",
                     '{"type":"authenticate","protocol":1e400}',
                     '{"type":"authenticate","protocol":99999999999999999999999}'):
            with self.subTest(text=text[:60]):
                self.assert_refused(text)

    def test_not_utf8(self):
        a = self.console.agent()
        a.challenge()
        a.ws.send_text(b'{"type":"\xff\xfe"}')
        a.flush()
        self.assertIn(a.expect_close()[0], (1007, 1008))

    def test_unknown_types(self):
        for kind in ("run", "Authenticate", "authenticate ", "bundle", "error", "welcome"):
            self.assert_refused(json.dumps({"type": kind}), "unknown_type")

    def test_every_member_is_checked(self):
        a = self.console.agent()
        good = a.authentication(a.challenge())
        wrong = {
            "protocol": [None, "1", 1.0, -1, 2**32, True, [1]],
            "public_key": [None, 1, "", b64(bytes(31)), b64(bytes(33)), b64(bytes(32)) + "=",
                           "+" + b64(bytes(32))[1:], b64(bytes(32))[:-1] + "B"],
            "machine_id": [None, "", "A" * 64, "0" * 63, "0" * 65, "g" * 64],
            "host": [None, "", "Console.Example.org", "a.", "a b", "a" * 254, "b\u00fccher.example"],
            "signature": [None, "", b64(bytes(63)), 64 * "!"],
            "agent_version": [None, "", "x" * 65, 1],
            "boot_id": [None, "x" * 35, "x" * 37],
            "rotation_reason": ["disk", "moon", 1],
            "previous_machine_id": ["0" * 64],
            "features": [{}, "x", ["X"], [1], [""], ["a"] * 33, ["a" * 33]],
        }
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name=name, value=str(value)[:40]):
                    m = dict(good)
                    m[name] = value
                    self.assert_refused(json.dumps(m))
        for name in ("protocol", "public_key", "machine_id", "host", "signature", "agent_version",
                     "boot_id"):
            m = dict(good)
            del m[name]
            self.assert_refused(json.dumps(m))

    def test_bundle_begin_is_checked(self):
        agent = self.console.approved()
        good = Bundle(agent.key, b"data").begin()
        wrong = {"ticket": ["", "0" * 31, "Z" * 32], "digest": ["0" * 63], "size": [0, -1, 1.5],
                 "recipients": [[], "age1", [""], ["a b"], ["a" * 129], ["a"] * 17, [1]],
                 "consent_time_ms": [-1, 2**53, "0"], "signature": [b64(bytes(65))]}
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name=name, value=str(value)[:40]):
                    a, _ = self.console.again(agent)
                    self.assert_refused(json.dumps({**good, name: value}), agent=a)

    def test_unknown_members_are_ignored(self):
        a = self.console.agent()
        welcome = a.authenticate(future={"a": [1, {"b": None}]}, features=["alerts", "commands"])
        self.assertEqual(welcome["state"], "unenrolled")

    def test_order(self):
        self.assert_refused('{"type":"enroll","token":"0123456789abcdef","name":"x"}', "order")
        self.assert_refused('{"type":"bundle_abort","ticket":"' + "0" * 32 + '"}', "order")
        for name in ("enroll", "bundle_begin"):
            a = self.console.agent()
            a.challenge()
            a.binary(bytes(22))
            self.assert_closed(a, 1008, "order")

    def test_sizes(self):
        a = self.console.agent()
        m = json.dumps(a.authentication(a.challenge()))
        self.assertEqual((a.text(m + " " * (65536 - len(m))), a.receive("welcome"))[1]["state"],
                         "unenrolled")
        self.assert_refused(" " * 65537, "oversize")
        self.assert_refused("x" * 3000000, "oversize")

    def test_oversize_in_fragments(self):
        a = self.console.agent()
        a.challenge()
        a.ws.send_text(b" " * 60000, fin=False)
        a.flush()
        a.ws.send_continuation(b" " * 5537, fin=True)
        a.flush()
        self.assert_closed(a, 1008, "oversize")

    def test_a_message_in_many_fragments(self):
        a = self.console.agent()
        data = json.dumps(a.authentication(a.challenge())).encode()
        a.ws.send_text(data[:1], fin=False)
        for i in range(1, len(data)):
            a.ws.send_continuation(data[i:i + 1], fin=i == len(data) - 1)
        a.flush()
        a.receive("welcome")

    def test_oversize_binary(self):
        agent = self.console.approved()
        agent.binary(bytes(262165 + 1))
        self.assert_closed(agent, 1008, "oversize")

    def test_a_flood(self):
        agent = self.console.approved()
        m = json.dumps({"type": "bundle_abort", "ticket": "0" * 32}).encode()
        for _ in range(3000):
            agent.ws.send_text(m)
        agent.flush()
        self.assert_closed(agent, 1008, "flood")

    def test_log_lines_cannot_be_forged(self):
        a = self.console.agent()
        a.challenge()
        evil = "0.1\n<0>cloister-console: all is well\x1b[31m"
        a.send(a.authentication(bytes(32), agent_version=evil))
        a.expect_close()
        token = self.console.token()
        b = self.console.agent()
        b.authenticate()
        b.enroll(token, name="x\n<0>forged\x1b")
        wait_for(lambda: self.console.logged("enrolled as"))
        for line in self.console.log:
            self.assertTrue(line.startswith("cloister-console: "), line)
            self.assertTrue(line.rstrip("\n").isprintable(), line)


class Bytes(HostileTest):
    limits = "heartbeat_s = 1\n"

    def raw(self, data):
        s = socket.create_connection(("127.0.0.1", self.console.port), 10)
        s.sendall(data)
        return s

    def test_not_tls(self):
        for data in (b"GET /agent HTTP/1.1\r\n\r\n", os.urandom(5000), b"\x16\x03\x01\xff\xff" * 900):
            with self.raw(data) as s:
                s.settimeout(20)
                try:
                    while s.recv(4096):
                        pass
                except ConnectionError:
                    pass

    def test_tls_before_1_3(self):
        for version in ("-tls1_2", "-tls1_1"):
            r = subprocess.run(["openssl", "s_client", version, "-cipher", "DEFAULT@SECLEVEL=0",
                                "-connect", f"127.0.0.1:{self.console.port}"],
                               input=b"", capture_output=True, timeout=20)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn(b"Cipher is (NONE)", r.stdout)

    def test_the_certificate(self):
        """The certificate verifies by name and by address, with stock openssl."""
        for option in (["-verify_ip", "127.0.0.1"], ["-verify_hostname", "localhost"]):
            r = subprocess.run(["openssl", "s_client", "-tls1_3", "-CAfile",
                                self.console.state + "/ca.pem", "-verify_return_error", *option,
                                "-connect", f"127.0.0.1:{self.console.port}"],
                               input=b"", capture_output=True, timeout=20)
            self.assertEqual(r.returncode, 0, r.stderr)
        r = subprocess.run(["openssl", "s_client", "-CAfile", self.console.state + "/ca.pem",
                            "-verify_return_error", "-verify_hostname", "example.org",
                            "-connect", f"127.0.0.1:{self.console.port}"],
                           input=b"", capture_output=True, timeout=20)
        self.assertNotEqual(r.returncode, 0)

    def test_garbage_after_the_upgrade(self):
        for data in (os.urandom(20000), b"\xff" * 100, b"\x00" * 100,
                     b"\x82\xff" + struct.pack("!Q", 2**63) + b"mask" + b"x" * 100,
                     b"\x81\xff" + struct.pack("!Q", 2**40) + b"mask" + b"x" * 100,
                     b"\x81\x05hello", b"\xf1\x80mask", b"\x89\xfe\xff\xffmask" + b"x" * 65535):
            a = self.console.agent()
            a.challenge()
            try:
                a.send_raw(data)
                a.expect_close()
            except (AssertionError, TimeoutError):
                self.fail(f"not refused: {data[:20]!r}")
            except Exception:  # the connection broke while sending: also refused
                pass

    def slow_http_garbage(self):
        for data in (b"\x00" * 70000, b"GET " + b"/" * 70000,
                     b"GET /agent HTTP/1.1\r\n" + b"a: b\r\n" * 20000,
                     b"GET /agent HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            a = self.console.agent(connect=False, timeout=30)
            try:
                a.send_raw(data)
                while a._retry(a.tls.recv, 65536):
                    pass
            except TimeoutError:
                self.fail(f"not ended: {data[:20]!r}")
            except Exception:
                pass

    def slow_an_upgrade_that_never_ends(self):
        """Byte by byte: the console cuts it off after about ten seconds."""
        a = self.console.agent(connect=False)
        begun, ended = time.monotonic(), None
        request = b"GET /agent HTTP/1.1\r\nX: " + b"x" * 1000
        for i in range(len(request)):
            try:
                a.send_raw(request[i:i + 1])
                a.tls.recv(1)
            except SSL.WantReadError:
                pass
            except Exception:
                ended = time.monotonic()
                break
            select.select([a.socket], [], [], 0.1)
        self.assertIsNotNone(ended)
        self.assertLess(ended - begun, 25)

    def slow_nothing_at_all_is_cut_off(self):
        with socket.create_connection(("127.0.0.1", self.console.port), 10) as s:
            s.settimeout(25)
            begun = time.monotonic()
            try:
                self.assertEqual(s.recv(1), b"")
            except ConnectionError:
                pass
            self.assertLess(time.monotonic() - begun, 25)

    def slow_a_stranger_who_says_nothing(self):
        a = self.console.agent(timeout=20)
        a.challenge()
        begun = time.monotonic()
        self.assert_closed(a, 4004, "timeout")
        self.assertGreater(time.monotonic() - begun, 9)

    def slow_silence_ends_a_session_and_pings_keep_it(self):
        silent, alive = self.console.agent(timeout=20), self.console.agent(timeout=20)
        silent.authenticate()
        alive.authenticate()
        ended = False
        while not ended:
            alive.ws.send_ping(b"alive")
            alive.flush()
            ended = bool(select.select([silent.socket], [], [], 0.5)[0])
        self.assert_closed(silent, 4004, "timeout")
        self.assertEqual(alive.enroll(self.console.token())["type"], "enrolled")

    def test_time_outs(self):
        """All that take their ten seconds, at the same time."""
        names = [n for n in dir(self) if n.startswith("slow_")]
        with ThreadPoolExecutor(len(names)) as pool:
            running = {n: pool.submit(getattr(self, n)) for n in names}
        for name, future in running.items():
            with self.subTest(name):
                future.result()

    def test_a_peer_that_does_not_read(self):
        """Nobody else waits for it, and memory stays bounded."""
        agent = self.console.approved(receive_buffer=4096)
        pid = self.console.process.pid
        before = resident_kib(pid)
        m = json.dumps({"type": "bundle_abort", "ticket": "0" * 32}).encode()
        for _ in range(12):
            for _ in range(20):
                agent.ws.send_text(m)
            agent.flush()
            other, _ = self.console.again(self.console.agent())
            other.close()
            time.sleep(0.3)  # the rate of a peer that keeps below the flood limit
        self.assertLess(resident_kib(pid) - before, 65536)

    def test_a_closed_machine_is_cut_off_even_if_it_does_not_answer(self):
        agent = self.console.approved()
        self.console.admin("revoke", agent.key.id)
        end = time.monotonic() + 15
        wait_for(lambda: self.console.machine(agent.key)["connected"] is False, 15)
        self.assertLess(time.monotonic(), end)


class Tls12(unittest.TestCase):
    def test_allowed_by_configuration_only_with_extended_master_secret(self):
        console = Console(limits="\n[tls]\nminimum = 1.2\n")
        try:
            a = console.agent(tls12=True)
            self.assertEqual(a.tls.get_protocol_version_name(), "TLSv1.2")
            self.assertEqual(a.authenticate()["state"], "unenrolled")
            with self.assertRaises(Closed):
                console.agent(tls12=True, tls_options=NO_EXTENDED_MASTER_SECRET).challenge()
        finally:
            console.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
