"""A console of the tests' own, on python3-websockets: it speaks docs/wire.md as far as commands go, and does
what no honest console would when it is told to.

It approves whoever signs in with a proof that holds (python3-cryptography checks it).
"""
import asyncio
import hashlib
import json
import os
import secrets
import ssl
import struct
import sys
import tempfile
import threading

import websockets
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../trust"))
sys.path.insert(0, os.path.join(HERE, "../agent"))
from agent import wait_for
from certificates import Authority
from signed import b64url, token_id, unb64url

TOKEN, STDOUT, STDERR = 16, 17, 18


def head(kind, identity, index=0):
    return struct.pack("<B16sI", kind, bytes.fromhex(identity), index)


class Command:
    """What came of one token."""

    def __init__(self):
        self.decisions = []
        self.receipt = None
        self.receipts = 0
        self.unknown = self.running = 0
        self.chunks = {STDOUT: [], STDERR: []}

    def output(self, kind=STDOUT):
        return b"".join(self.chunks[kind])

    def payload(self):
        return json.loads(unb64url(self.receipt.split(".")[1])) if self.receipt else None


class ForeignConsole:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="cloister-foreign-", dir="/var/tmp")
        os.chmod(self.folder.name, 0o755)
        authority = Authority(os.path.join(self.folder.name, "ca"), "Foreign CA")
        os.chmod(os.path.join(self.folder.name, "ca"), 0o755)
        os.chmod(authority.pem, 0o644)
        self.ca = authority.pem
        self.certificate = authority.leaf("console")
        self.commands = {}
        self.socket = None
        self.connections = 0
        self.closes = []
        self.machine = None
        self.public_key = None
        self.answers = True    # acknowledges chunks and receipts
        self.port = None
        self.stopping = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._turn, daemon=True)
        self.thread.start()
        wait_for("the foreign console", lambda: self.port)

    # ---- in the thread

    def _turn(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*self.certificate)
        self.stopping = asyncio.Event()
        async with websockets.serve(self._talk, "127.0.0.1", 0, ssl=context, max_size=300000,
                                    subprotocols=["cloister.v1"], compression=None,
                                    ping_interval=None) as server:
            self.port = server.sockets[0].getsockname()[1]
            await self.stopping.wait()

    async def _say(self, socket, **message):
        await socket.send(json.dumps(message))

    async def _talk(self, socket):
        challenge = secrets.token_bytes(32)
        await self._say(socket, type="challenge", protocol=1, challenge=b64url(challenge),
                        console="Foreign", features=["commands", "horoscopes"])
        proof = json.loads(await socket.recv())
        assert proof["features"] == ["commands"], proof
        self._check(socket, proof, challenge)
        await self._say(socket, type="welcome", state="approved", heartbeat_ms=60000, chunk_window=8,
                        max_bundle_bytes=1 << 28, time_ms=1790000000000)
        self.socket = socket
        self.connections += 1
        try:
            async for message in socket:
                await self._take(socket, message)
        except websockets.ConnectionClosed:
            pass
        self.closes.append((socket.close_code, socket.close_reason))
        if self.socket is socket:
            self.socket = None

    def _check(self, socket, proof, challenge):
        key = unb64url(proof["public_key"])
        self.machine, self.public_key = hashlib.sha256(key).hexdigest(), key
        assert proof["machine_id"] == self.machine
        # Python's ssl cannot export keying material, so the channel binding is not checked here; the
        # reference console does.

    async def _take(self, socket, message):
        if isinstance(message, bytes):
            kind, identity, index = struct.unpack_from("<B16sI", message)
            command = self.of(identity.hex())
            if index == len(command.chunks[kind]):
                command.chunks[kind].append(message[21:])
            if self.answers:
                await self._say(socket, type="command_ack", token=identity.hex(),
                                stdout=len(command.chunks[STDOUT]), stderr=len(command.chunks[STDERR]))
            return
        said = json.loads(message)
        command = self.of(said["token"])
        if said["type"] == "command_decision":
            command.decisions.append(said)
        elif said["type"] == "command_unknown":
            command.unknown += 1
        elif said["type"] == "command_running":
            command.running += 1
        elif said["type"] == "command_receipt":
            command.receipt, command.receipts = said["receipt"], command.receipts + 1
            self._check_receipt(said["receipt"])
            if self.answers:
                await self._say(socket, type="command_done", token=said["token"])

    def _check_receipt(self, receipt):
        signed, _, signature = receipt.rpartition(".")
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(unb64url(signature), signed.encode())
        except InvalidSignature:
            self.closes.append(("bad receipt", receipt))

    # ---- for tests

    def of(self, identity):
        return self.commands.setdefault(identity, Command())

    def raw(self, data):
        """Sends a text or bytes as they are."""
        wait_for("a connection", lambda: self.socket)
        asyncio.run_coroutine_threadsafe(self.socket.send(data), self.loop).result(30)

    def send(self, token):
        """Sends a token; returns its id."""
        data = token if isinstance(token, bytes) else token.encode()
        identity = hashlib.sha256(data).hexdigest()[:32]
        self.raw(head(TOKEN, identity) + data)
        return identity

    def query(self, identity):
        command = self.of(identity)
        self.raw(json.dumps({"type": "command_query", "token": identity,
                             "stdout": len(command.chunks[STDOUT]), "stderr": len(command.chunks[STDERR])}))

    def decide(self, token, deadline=30):
        """Sends a token and waits for the decision on it; returns that."""
        identity = token_id(token) if isinstance(token, str) else hashlib.sha256(token).hexdigest()[:32]
        before = len(self.of(identity).decisions)
        self.send(token)
        wait_for("a decision", lambda: len(self.of(identity).decisions) > before, deadline)
        return self.of(identity).decisions[-1]

    def wait_receipt(self, identity, deadline=60):
        wait_for(f"the receipt of {identity}", lambda: self.of(identity).receipt, deadline)
        return self.of(identity).payload()

    def drop(self):
        """Ends the connection."""
        socket, before = self.socket, self.connections
        asyncio.run_coroutine_threadsafe(socket.close(1001, "shutdown"), self.loop).result(30)
        return before

    def wait_connection(self, after=0, deadline=60):
        wait_for("the agent to connect", lambda: self.socket and self.connections > after, deadline)

    def section(self):
        return {"host": "localhost", "port": str(self.port), "ca": self.ca}

    def remove(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(10)
        self.folder.cleanup()
