"""Signed commands with a console on python3-websockets, which drives the real uplink: vault and
runner behind it are played (played_agent.h)."""

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import unittest

import websockets

import peers
import websocket_console
from certificates import Authority
from driver import Run, TrustTest

CHALLENGE = peers.CHALLENGE[:-1] + ',"features":["commands"]}'
TOKEN, STDOUT, STDERR = 16, 17, 18
CHUNK = 262144


def token_id(token):
    return hashlib.sha256(token).digest()[:16]


def output(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class Console:
    """What a console keeps of one connection, in the words of docs/wire.md."""

    def __init__(self, socket, stored=None):
        self.socket = socket
        self.stored = stored if stored is not None else {STDOUT: [], STDERR: []}
        self.texts = []

    async def token(self, token, index=0, name=None, kind=TOKEN):
        await self.socket.send(bytes([kind]) + (name or token_id(token)) +
                               index.to_bytes(4, "little") + token)

    async def say(self, what, token, **members):
        await self.socket.send(json.dumps(
            {"type": "command_" + what, "token": token_id(token).hex(), **members}))

    def counts(self):
        return {"stdout": len(self.stored[STDOUT]), "stderr": len(self.stored[STDERR])}

    async def message(self):
        """The next text; chunks before it are stored, and acknowledged each."""
        while True:
            message = await asyncio.wait_for(self.socket.recv(), 30)
            if isinstance(message, str):
                self.texts.append(json.loads(message))
                return self.texts[-1]
            self.store(message)
            await self.say("ack", self.running, **self.counts())

    def store(self, message):
        kind, name, index = message[0], message[1:17], int.from_bytes(message[17:21], "little")
        assert name == token_id(self.running), name
        assert index == len(self.stored[kind]), (kind, index)
        assert 0 < len(message) - 21 <= CHUNK
        self.stored[kind].append(message[21:])

    async def expect(self, what, token, **members):
        message = await self.message()
        expected = {"type": "command_" + what, "token": token_id(token).hex(), **members}
        assert message == expected, (message, expected)

    async def finish(self, token):
        await self.expect("receipt", token,
                          receipt="played.%s.receipt" % token_id(token).hex())
        await self.say("done", token)


class Commands(TrustTest):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.authority = Authority(os.path.join(self.folder.name, "ca"), "Example Trust CA")
        self.certificate = self.authority.leaf("good")
        self.state = os.path.join(self.folder.name, "state")
        self.failure = None

    def tearDown(self):
        self.folder.cleanup()

    def session(self, behave, sizes=(0, 0), challenge=CHALLENGE, state="approved", stored=None):
        """Runs the driver against `behave(console)`; returns the run and the close code."""
        codes = []

        async def talk(socket):
            console = Console(socket, stored)
            await socket.send(challenge)
            console.authenticate = json.loads(await socket.recv())
            await socket.send(peers.WELCOME % state)
            try:
                await behave(console)
                await asyncio.wait_for(socket.wait_closed(), 30)
            except websockets.ConnectionClosed:
                pass
            except (AssertionError, asyncio.TimeoutError) as failure:
                self.failure = failure
            codes.append((socket.close_code, socket.close_reason))

        with websocket_console.serving(talk, self.certificate, ["cloister.v1"],
                                       max_size=None) as port:
            run = Run("--host", "localhost", "--address", "127.0.0.1", "--port", port, "--ca",
                      self.authority.pem, "--stay", "20000", "--commands", self.state, "--output",
                      "%d,%d" % sizes)
        self.assertIsNone(self.failure, run)
        return run, codes[0]

    def test_runs_commands(self):
        """Refused, run, run, with outputs whose sizes are around the chunk's."""
        sizes = 3 * CHUNK + 5, CHUNK
        stored = []

        async def behave(console):
            assert console.authenticate["features"] == ["commands"]
            await console.token(b"refuse this")
            for token in (b"first.one.x", b"second.one.x"):
                await console.token(token)
            await console.expect("decision", b"refuse this", accepted=False, reason="signature")
            for token in (b"first.one.x", b"second.one.x"):
                console.running = token
                console.stored = {STDOUT: [], STDERR: []}
                await console.expect("decision", token, accepted=True, reason="accepted")
                await console.finish(token)
                stored.append({kind: b"".join(parts) for kind, parts in console.stored.items()})
            await console.socket.close()

        run, _ = self.session(behave, sizes)
        self.refused(run, "closed", "(1000 )", welcome=True)
        self.assertEqual(len(stored), 2)
        for streams in stored:
            self.assertEqual(streams[STDOUT], output(sizes[0]))
            self.assertEqual(streams[STDERR], output(sizes[1]))

    def test_resumes(self):
        """The connection breaks twice, once with chunks that were never acknowledged."""
        token, sizes = b"one.that.lasts", (40 * CHUNK + 1, 2 * CHUNK)
        stored = {STDOUT: [], STDERR: []}

        async def begin(console):
            console.running = token
            await console.token(token)
            await console.expect("decision", token, accepted=True, reason="accepted")
            await cut_after(console, 7)

        async def cut_after(console, count):
            for _ in range(count):
                console.store(await console.socket.recv())
                await console.say("ack", token, **console.counts())
            for _ in range(5):  # these are lost
                await console.socket.recv()
            console.socket.transport.abort()

        async def go_on(console):
            console.running = token
            await console.say("query", token, **console.counts())
            await console.expect("running", token)
            await cut_after(console, 9)

        async def end(console):
            console.running = token
            await console.say("query", token, **console.counts())
            await console.expect("running", token)
            await console.expect("receipt", token,
                                 receipt="played.%s.receipt" % token_id(token).hex())
            console.socket.transport.abort()  # before it is stored

        async def fetch_receipt(console):
            await console.say("query", token, **console.counts())
            await console.finish(token)
            await asyncio.sleep(0)
            await console.say("query", token, **console.counts())
            await console.expect("unknown", token)
            await console.socket.close()

        for behave in (begin, go_on):
            run, _ = self.session(behave, sizes, stored=stored)
            self.refused(run, "closed", welcome=True, seconds=20)
        run, _ = self.session(end, sizes, stored=stored)
        self.refused(run, "closed", welcome=True, seconds=20)
        self.assertEqual(b"".join(stored[STDOUT]), output(sizes[0]))
        self.assertEqual(b"".join(stored[STDERR]), output(sizes[1]))
        run, _ = self.session(fetch_receipt, sizes, stored=stored)
        self.refused(run, "closed", "(1000 )", welcome=True)
        self.assertFalse(os.path.exists(self.state))

    def test_keeps_to_the_window(self):
        """A console that acknowledges nothing gets sixteen chunks, and pings."""
        token = b"one.without.acks"
        chunks = []

        async def behave(console):
            await console.token(token)
            while len(chunks) < 16:
                message = await asyncio.wait_for(console.socket.recv(), 30)
                if not isinstance(message, str):
                    chunks.append(message)
            with contextlib.suppress(asyncio.TimeoutError):
                chunks.append(await asyncio.wait_for(console.socket.recv(), 3))
            assert console.socket.open  # the driver's pings were answered all the while
            await console.socket.close()

        run, _ = self.session(behave, (100 * CHUNK, 0))
        self.refused(run, "closed", "(1000 )", welcome=True)
        self.assertEqual(len(chunks), 16)

    def test_closes_on_misuse(self):
        async def nine(console):
            for i in range(9):
                await console.token(b"query %d" % i)

        def frames(*arguments, **members):
            return lambda console: console.token(*arguments, **members)

        def texts(*arguments, **members):
            return lambda console: console.say(*arguments, **members)

        async def twice(console):
            await console.token(b"refuse twice")
            await console.token(b"refuse twice")

        async def too_much(console):
            await console.token(b"a.b.c")
            await console.message()
            await console.say("ack", b"a.b.c", stdout=6, stderr=0)

        async def done_early(console):
            await console.token(b"a.b.c")
            await console.message()
            await console.say("done", b"a.b.c")

        async def after_withdrawal(console):
            await console.socket.send('{"type":"state","state":"pending"}')
            await console.token(b"a.b.c")

        def closes(behave, word, **members):
            with self.subTest(word=word, behave=behave):
                run, (code, reason) = self.session(behave, (5 * CHUNK, 0), **members)
                self.refused(run, "protocol", welcome=True)
                self.assertEqual((code, reason), (1008, word))
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.state)

        closes(nine, "order")
        closes(too_much, "order")
        closes(done_early, "order")
        closes(after_withdrawal, "order")
        closes(texts("done", b"x"), "order")
        closes(texts("ack", b"x", stdout=0, stderr=0), "order")
        closes(texts("ack", b"x", stdout=0), "malformed")
        closes(frames(b"a.b.c", index=1), "malformed")
        closes(frames(b"a.b.c", name=b"0123456789abcdef"), "malformed")
        closes(frames(b""), "malformed")
        closes(frames(b"a.b.c", kind=STDOUT), "malformed")
        closes(frames(b"a.b.c"), "order", state="pending")
        closes(texts("query", b"x", stdout=0, stderr=0), "order", state="pending")
        closes(frames(b"a.b.c"), "unknown_type", challenge=peers.CHALLENGE)
        closes(texts("query", b"x", stdout=0, stderr=0), "unknown_type",
               challenge=peers.CHALLENGE)

    def test_takes_the_longest_token(self):
        async def behave(console):
            await console.token(b"refuse" + b"x" * (CHUNK - 6))
            message = await console.message()
            assert message["reason"] == "signature", message
            await console.token(b"refuse" + b"x" * (CHUNK - 5))

        run, (code, _) = self.session(behave)
        self.refused(run, "protocol", "longer", welcome=True)
        self.assertEqual(code, 1009)


if __name__ == "__main__":
    unittest.main()
