"""Consoles that break WebSocket framing or the wire protocol, before and after the sign-in."""

import json
import os
import tempfile
import time
import unittest

import peers
from certificates import Authority
from driver import Run, TrustTest
from peers import CHALLENGE, WELCOME, frame

TICKET = "00112233445566778899aabbccddeeff"
FRAMING = "framing"


def text(**members):
    return frame(1, json.dumps(members))


class WebSocket(TrustTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.authority = Authority(os.path.join(cls.folder.name, "ca"), "Example Trust CA")
        cls.good = cls.authority.leaf("good")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_driver(self, port, *options):
        return Run("--host", "localhost", "--address", "127.0.0.1", "--port", port, "--ca",
                   self.authority.pem, *options)

    def check(self, name, behave, reason="protocol", detail="", close=None, seconds=10,
              welcome=False, options=()):
        with peers.Server(behave, self.good) as peer:
            run = self.run_driver(peer.port, *options)
            self.refused(run, reason, detail, seconds, welcome)
            if close:
                self.assertTrue(peer.closed.wait(10), name)
                self.assertEqual(peer.close, close)

    def early(self, name, *frames, **expected):
        self.check(name, peers.after_upgrade(*frames), **expected)

    def test_framing(self):
        def one(name, *frames, close=(1002, ""), detail=FRAMING, **expected):
            self.early(name, *frames, close=close, detail=detail, **expected)

        self.each([(name, lambda _, f=frames, e=expected: one(_, *f, **e))
                   for name, frames, expected in (
            ("masked", [frame(1, CHALLENGE, mask=True)], {}),
            ("reserved bit 1", [frame(1, CHALLENGE, rsv=4)], {}),
            ("reserved bit 3", [frame(1, CHALLENGE, rsv=1)], {}),
            ("reserved opcode", [frame(3, b"x")], {}),
            ("reserved control opcode", [frame(11, b"x")], {}),
            ("long ping", [frame(9, b"x" * 126)], {"close": (0, "")}),
            ("fragmented ping", [frame(9, b"x", fin=False)], {"close": (0, "")}),
            ("continuation of nothing", [frame(0, b"x")], {}),
            ("text inside a fragmented text", [frame(1, b"{", fin=False), frame(1, b"}")], {}),
            ("non-minimal length", [b"\x81\x7e\x00\x05hello"], {"close": (0, "")}),
            ("length with the top bit", [b"\x81\x7f" + b"\xff" * 8], {"close": (0, "")}),
            ("oversize", [frame(1, b"x", length=65537)],
             {"detail": "longer", "close": (1009, "")}),
            # What it has not read yet resets the connection, and its close frame may be lost.
            ("oversize in fragments", [frame(1, b"[", fin=False), frame(0, b" " * 65536)],
             {"detail": "longer", "close": None}),
            ("gigantic", [frame(1, b"x", length=2 ** 62)],
             {"detail": "longer", "close": (1009, "")}),
            ("not utf-8", [frame(1, b"\xff\xfe")], {"detail": "UTF-8", "close": (1007, "")}),
            ("close with a forbidden status", [frame(8, b"\x03\xed")], {}),
            ("binary", [frame(2, b"x")], {"detail": "binary", "close": (1008, "malformed")}),
        )], lambda name, run: run(name))

    def test_words(self):
        def one(name, message, word, reason="protocol", detail=""):
            self.early(name, message if isinstance(message, bytes) else frame(1, message),
                       close=word, reason=reason, detail=detail or word[1])

        malformed, order = (1008, "malformed"), (1008, "order")
        self.each([
            ("empty", "", malformed),
            ("not json", "hello", malformed),
            ("array", "[1]", malformed),
            ("trailing", CHALLENGE + "x", malformed),
            ("two objects", CHALLENGE + CHALLENGE, malformed),
            ("twice the same member", CHALLENGE[:-1] + ',"type":"challenge"}', malformed),
            ("nul", CHALLENGE.replace("test", "te\\u0000st"), malformed),
            ("deep", CHALLENGE[:-1] + ',"x":' + "[" * 20000 + "]" * 20000 + "}", malformed),
            ("no type", "{}", malformed),
            ("type number", '{"type":1}', malformed),
            ("unknown type", '{"type":"self_destruct"}', (1008, "unknown_type")),
            ("short challenge", CHALLENGE.replace("QEFC", ""), malformed),
            ("challenge not canonical", CHALLENGE.replace("Xl8", "Xl9"), malformed),
            ("challenge in the other alphabet", CHALLENGE.replace("QEFC", "Q+FC"), malformed),
            ("no console", '{"type":"challenge","protocol":1}', malformed),
            ("long console", CHALLENGE.replace("test", "t" * 129), malformed),
            ("real number", CHALLENGE.replace(":1,", ":1.0,"), malformed),
            ("huge number", CHALLENGE.replace(":1,", ":99999999999999999999,"), malformed),
            ("negative", CHALLENGE.replace(":1,", ":-1,"), malformed),
            ("features", CHALLENGE[:-1] + ',"features":["A"]}', malformed),
            ("welcome unearned", WELCOME % "approved", order),
            ("state first", '{"type":"state","state":"approved"}', order),
            ("old version", CHALLENGE.replace(":1,", ":0,"), (4007, "version"), "denied",
             "protocol 0"),
            ("two challenges", frame(1, CHALLENGE) + frame(1, CHALLENGE), order),
        ], lambda name, message, word, *more: one(name, message, word, *more))

    def test_after_welcome(self):
        """Signed in, and then hostile: state, errors and bundles that nobody asked for."""
        def one(name, message, **expected):
            def then(server, connection):
                while True:
                    opcode, payload = peers.read_frame(connection)
                    if opcode == 8:
                        return server.note_close(payload)

            behave = peers.after_welcome(message, then=then)
            self.check(name, behave, welcome=True, options=("--stay", "20000"),
                       close=(1008, "order"), **expected)

        self.each([
            ("second welcome", frame(1, WELCOME % "approved")),
            ("second challenge", frame(1, CHALLENGE)),
            ("enrolled unasked", text(type="enrolled", state="approved", machine_id="0" * 64)),
            ("error unasked", text(type="error", code="storage", message="x")),
            ("error of no bundle", text(type="error", code="storage", message="", ticket=TICKET)),
            ("ready", text(type="bundle_ready", ticket=TICKET, have=0)),
            ("digests", text(type="bundle_digests", ticket=TICKET, next=0)),
            ("chunk", text(type="chunk", ticket=TICKET, index=0)),
            ("done", text(type="bundle_done", ticket=TICKET, number="T-000001",
                          received_time_ms=1)),
            ("aborted", text(type="bundle_aborted", ticket=TICKET)),
        ], one)

    def test_uploads_abused(self):
        """A console that answers an upload with what does not fit it."""
        path = os.path.join(self.folder.name, "bundle")
        with open(path, "wb") as file:
            file.write(b"a" * 600000)

        def talk(*answers):
            """Answers the n-th text frame of the client with answers[n](ticket)."""
            def then(server, connection):
                for make in answers:
                    opcode = 0
                    while opcode != 1:
                        opcode, payload = peers.read_frame(connection)
                    ticket = json.loads(payload)["ticket"]
                    for message in make(ticket):
                        connection.sendall(text(**message))
                peers.drain(server, connection)
            return peers.after_welcome(then=then)

        def ready(ticket):
            return {"type": "bundle_ready", "ticket": ticket, "have": 0}

        def done(ticket):
            return {"type": "bundle_done", "ticket": ticket, "number": "T-000001",
                    "received_time_ms": 1}

        def one(name, make):
            self.check(name, talk(make), detail="order", welcome=True,
                       options=("--upload", path, "--stay", "10000"), seconds=9)

        self.each([
            ("have too much", lambda t: [{"type": "bundle_ready", "ticket": t, "have": 3}]),
            ("ready twice", lambda t: [ready(t), ready(t)]),
            ("unsent acknowledged", lambda t: [ready(t), {"type": "chunk", "ticket": t,
                                                          "index": 2999}]),
            ("digests beyond the end", lambda t: [{"type": "bundle_digests", "ticket": t,
                                                   "next": 3}]),
            ("digests after ready", lambda t: [ready(t), {"type": "bundle_digests", "ticket": t,
                                                          "next": 0}]),
            ("done after digests", lambda t: [{"type": "bundle_digests", "ticket": t, "next": 0},
                                              done(t)]),
            ("done and done again", lambda t: [done(t), done(t)]),
        ], one)

    def test_errors_reach_the_ticket(self):
        path = os.path.join(self.folder.name, "bundle2")
        with open(path, "wb") as file:
            file.write(b"b" * 1000)

        def then(server, connection):
            _, payload = peers.read_frame(connection)
            connection.sendall(text(type="error", code="quota_exceeded", message="full\x1b[31m",
                                    ticket=json.loads(payload)["ticket"]))
            peers.drain(server, connection)

        with peers.Server(peers.after_welcome(then=then), self.good) as peer:
            run = self.run_driver(peer.port, "--upload", path)
        self.assertIn("failed 0 quota_exceeded", run.text)

    def test_floods(self):
        """Cheap to send and costly to answer: it ends soon and has cost little."""
        def flood(piece, state="approved"):
            def then(server, connection):
                while not server.over.is_set():
                    connection.sendall(piece * 1000)
            return peers.after_welcome(then=then, state=state)

        def one(name, behave, detail="floods", **expected):
            self.check(name, behave, detail=detail, welcome=True, seconds=15,
                       options=("--stay", "60000"), **expected)

        self.each([
            ("pings", flood(frame(9, b"x" * 125))),
            ("pongs", flood(frame(10))),
            ("empty continuations", flood(frame(1, b"", fin=False) + frame(0, b"", fin=False) *
                                          50), FRAMING),
            ("states", flood(text(type="state", state="approved"))),
            ("big messages", flood(text(type="state", state="approved", x="y" * 60000))),
        ], one)

    def test_empty_continuations_without_end(self):
        def then(server, connection):
            connection.sendall(frame(1, b"", fin=False))
            while not server.over.is_set():
                connection.sendall(frame(0, b"", fin=False) * 1000)

        self.check("", peers.after_welcome(then=then), detail="floods", welcome=True,
                   options=("--stay", "60000"))

    def test_closes(self):
        def one(name, payload, reason, detail=""):
            self.check(name, peers.after_upgrade(frame(8, payload)), reason=reason,
                       detail=detail)

        def status(code, word=""):
            return code.to_bytes(2, "big") + word.encode()

        self.each([
            ("revoked", status(4003, "revoked"), "revoked", "revoked"),
            ("auth", status(4001, "auth_failed"), "denied", "signature"),
            ("host", status(4002, "host_refused"), "denied", "host"),
            ("version", status(4007, "version"), "denied"),
            ("replaced", status(4005, "replaced"), "replaced"),
            ("rate", status(4006, "rate_limited"), "rate-limited"),
            ("shutdown", status(1001, "shutdown: \x1b[2Jlater"), "closed", "1001 shutdown: ?[2J"),
            ("flood", status(1008, "flood"), "protocol", "flood"),
            ("plain", status(1000), "closed", "1000"),
            ("without status", b"", "closed", "1005"),
            ("half a status", b"\x03", "closed", "1005"),
        ], one)

    def test_ends(self):
        def vanish(server, connection):
            connection.sendall(b"")

        self.check("vanishes", peers.after_welcome(then=vanish), reason="closed", welcome=True,
                   options=("--stay", "60000"))

    def test_silence(self):
        """Silent after each step, alive and useless, or not reading at all."""
        path = os.path.join(self.folder.name, "large")
        with open(path, "wb") as file:
            file.truncate(64 << 20)

        def challenge_only(server, connection):
            peers.upgrade(connection, early=frame(1, CHALLENGE))
            peers.drain(server, connection)

        def half_message(server, connection):
            connection.sendall(frame(1, b"{", fin=False))
            while True:
                opcode, payload = peers.read_frame(connection)
                if opcode == 9:
                    connection.sendall(frame(10, payload))

        def deaf(server, connection):
            server.over.wait(120)

        self.each([
            ("no welcome", challenge_only, "phase-timeout", "sign-in", 30, False, ()),
            ("no pong", peers.after_welcome(), "ping-timeout", "", 35, True, ("--stay", "90000")),
            ("half a message", peers.after_welcome(then=half_message), "protocol",
             "does not end", 75, True, ("--stay", "90000")),
            ("deaf", peers.after_welcome(then=deaf), "ping-timeout", "", 35, True,
             ("--upload", path)),
        ], lambda name, behave, reason, detail, seconds, welcome, options: self.check(
            name, behave, reason=reason, detail=detail, seconds=seconds, welcome=welcome,
            options=options))

    def test_good_frames_in_odd_shapes(self):
        """What RFC 6455 allows works: fragments, interleaved pings, one byte at a time."""
        def behave(server, connection):
            peers.upgrade(connection)
            half = len(CHALLENGE) // 2
            for byte in (frame(1, CHALLENGE[:half], fin=False) + frame(9, b"mid") +
                         frame(0, b"", fin=False) + frame(0, CHALLENGE[half:])):
                connection.sendall(bytes([byte]))
            seen = {}
            while len(seen) < 2:
                opcode, payload = peers.read_frame(connection)
                seen[opcode] = payload
            server.notes.append(seen)
            connection.sendall(frame(1, WELCOME % "pending"))
            opcode, payload = peers.read_frame(connection)
            server.notes.append((opcode, payload))
            connection.sendall(frame(8, payload))

        with peers.Server(behave, self.good) as peer:
            self.accepted(self.run_driver(peer.port))
            self.assertEqual(peer.notes[0][10], b"mid")
            self.assertEqual(json.loads(peer.notes[0][1])["type"], "authenticate")
            self.assertEqual(peer.notes[1], (8, b"\x03\xe8"))

    def test_heartbeat(self):
        """Pings come when nothing else is sent, about as often as the console asked."""
        def then(server, connection):
            while True:
                opcode, payload = peers.read_frame(connection)
                server.notes.append((opcode, time.monotonic()))
                if opcode == 9:
                    connection.sendall(frame(10, payload))
                if opcode == 8:
                    connection.sendall(frame(8, payload))
                    return

        with peers.Server(peers.after_welcome(then=then), self.good) as peer:
            run = self.run_driver(peer.port, "--stay", "4500")
            self.accepted(run)
        pings = [when for opcode, when in peer.notes[1:] if opcode == 9]
        self.assertIn(len(pings), (3, 4))


if __name__ == "__main__":
    unittest.main()
