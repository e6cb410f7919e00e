"""An agent written from docs/wire.md alone: python3-websockets without its I/O, pyOpenSSL (which can
export keying material) and python3-cryptography. Shares no code with Cloister."""

import base64
import hashlib
import json
import os
import select
import socket
import struct
import time

from OpenSSL import SSL
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.client import ClientConnection
from websockets.frames import Opcode
from websockets.uri import parse_uri

CHUNK = 262144
BOOT_ID = "6b1c5c3e-6d8f-4a5e-9c39-0f5b8f6f2a11"
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    return hashlib.sha256(data).digest()


class Closed(Exception):
    """The console ended the connection; code is None when it did so without a close frame."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Key:
    def __init__(self, seed=None):
        self.key = Ed25519PrivateKey.from_private_bytes(seed or os.urandom(32))
        self.public = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = sha256(self.public).hex()

    def sign(self, data):
        return self.key.sign(data)

    def fingerprint(self):
        digits = base64.b32encode(sha256(b"cloister/v1 fingerprint\0" + self.public)[:20]).decode()
        return "-".join(digits[i:i + 4] for i in range(0, 32, 4))


class Bundle:
    def __init__(self, key, data, ticket=None, consent_time_ms=1790000000000):
        self.data, self.ticket = data, ticket or os.urandom(16)
        self.chunks = [data[i:i + CHUNK] for i in range(0, len(data), CHUNK)]
        self.digests = [sha256(c) for c in self.chunks]
        self.digest = sha256(b"".join(self.digests))
        self.consent_time_ms = consent_time_ms
        self.signature = key.sign(b"cloister/v1 bundle-origin\0" + self.ticket + self.digest +
                                  struct.pack("<QQ", len(data), consent_time_ms))

    def begin(self, **changes):
        m = {"type": "bundle_begin", "ticket": self.ticket.hex(), "digest": self.digest.hex(),
             "size": len(self.data), "chunk_size": CHUNK, "chunks": len(self.chunks),
             "recipients": [RECIPIENT], "consent_time_ms": self.consent_time_ms,
             "signature": b64(self.signature)}
        m.update(changes)
        return m

    def header(self, kind, index):
        return bytes([kind]) + self.ticket + struct.pack("<I", index)

    def digest_frame(self, index=0, count=None):
        count = len(self.digests) if count is None else count
        return self.header(2, index) + b"".join(self.digests[index:index + count])

    def chunk_frame(self, index):
        return self.header(1, index) + self.chunks[index]


def token_id(token):
    return sha256(token)[:16].hex()


def jws(header, payload, sign):
    """Compact; `header` and `payload` are dictionaries or bytes."""
    parts = [x if isinstance(x, bytes) else json.dumps(x, separators=(",", ":")).encode()
             for x in (header, payload)]
    text = ".".join(b64(x) for x in parts)
    return text + "." + b64(sign(text.encode()))


def command_token(number, size=0, **changes):
    """What a signer makes; a console does not verify it, so the signature is noise."""
    payload = {"typ": "cloister-command", "ver": 1, "jti": f"{number:032x}", "aud": ["group:all"],
               "seq": number + 1, "nbf": 1790000000, "exp": 4000000000, "profile": "diagnostic",
               "argv": ["/bin/echo", str(number), "x" * size]}
    payload.update(changes)
    return jws({"alg": "ES256", "kid": "test-1"}, payload, lambda text: os.urandom(64)).encode()


def receipt(key, token, stdout=b"", stderr=b"", **changes):
    """The receipt of a command that ran, unless `changes` say otherwise (None: left out)."""
    payload = {"typ": "cloister-receipt", "ver": 1, "machine": key.id, "token": token_id(token),
               "jti": "00" * 16, "kid": "test-1", "seq": 1, "profile": "diagnostic",
               "decision": "run", "reason": "", "exit": 0, "limit": "",
               "accepted_ms": 1790000000000, "started_ms": 1790000000001,
               "ended_ms": 1790000000002}
    for name, data in (("stdout", stdout), ("stderr", stderr)):
        payload.update({name + "_bytes": len(data), name + "_sha256": sha256(data).hex(),
                        name + "_dropped": 0})
    signer = changes.pop("signer", key)
    header = changes.pop("header", {"alg": "EdDSA", "kid": key.id})
    payload.update(changes)
    payload = {k: v for k, v in payload.items() if v is not None}
    return jws(header, payload, signer.sign)


class Agent:
    """One connection. Messages are received in order; everything has a deadline."""

    def __init__(self, port, ca, host="127.0.0.1", key=None, path="/agent",
                 subprotocols=("cloister.v1",), headers=(), connect=True, receive_buffer=None,
                 timeout=10, tls12=False, tls_options=0, features=()):
        self.host, self.key, self.timeout = host, key or Key(), timeout
        self.features, self.tokens = list(features), []
        self.inbox = []
        self.socket = socket.socket(socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        version = SSL.TLS1_2_VERSION if tls12 else SSL.TLS1_3_VERSION
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_options(tls_options)
        context.load_verify_locations(ca)
        context.set_verify(SSL.VERIFY_PEER)
        self.tls = SSL.Connection(context, self.socket)
        self.tls.set_connect_state()
        self.socket.setblocking(False)
        self._retry(self.tls.do_handshake)
        self.exporter = self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        self.ws = ClientConnection(parse_uri(f"wss://{host}:{port}{path}"), max_size=None,
                                   subprotocols=list(subprotocols) or None)
        if connect:
            request = self.ws.connect()
            for name, value in headers:
                request.headers[name] = value
            self.ws.send_request(request)
            self.flush()
            self.response = self.event()
            if self.ws.handshake_exc:
                raise self.ws.handshake_exc

    def _retry(self, call, *args):
        end = time.monotonic() + self.timeout
        while True:
            try:
                return call(*args)
            except SSL.WantReadError:
                wanted = ([self.socket], [])
            except SSL.WantWriteError:
                wanted = ([], [self.socket])
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError()
            select.select(*wanted, [], left)

    def send_raw(self, data):
        view = memoryview(data)
        while view:
            n = self._retry(self.tls.send, bytes(view[:65536]))
            view = view[n:]

    def flush(self):
        for data in self.ws.data_to_send():
            if data:
                self.send_raw(data)

    def event(self):
        """The next response or frame."""
        while not self.inbox:
            try:
                data = self._retry(self.tls.recv, 65536)
            except (SSL.ZeroReturnError, SSL.SysCallError, SSL.Error, ConnectionError) as e:
                raise Closed(None, repr(e)) from e
            if not data:
                raise Closed(None, "end of file")
            self.ws.receive_data(data)
            self.inbox += self.ws.events_received()
            try:
                self.flush()
            except (SSL.Error, OSError):
                pass
        return self.inbox.pop(0)

    def frame(self):
        while True:
            f = self.event()
            if f.opcode == Opcode.CLOSE:
                code = struct.unpack("!H", f.data[:2])[0] if f.data else None
                raise Closed(code, f.data[2:].decode())
            if f.opcode in (Opcode.PING, Opcode.PONG):
                continue
            return f

    def receive(self, kind=None):
        """The next text message. Tokens that come before it wait for receive_token."""
        f = self.frame()
        while f.opcode == Opcode.BINARY:
            self.tokens.append(self.bytes_message(f))
            f = self.frame()
        assert f.opcode == Opcode.TEXT, f
        message = json.loads(f.data)
        assert kind is None or message["type"] == kind, message
        return message

    def bytes_message(self, f):
        assert f.opcode == Opcode.BINARY and len(f.data) > 21, f
        data = bytes(f.data)
        return {"type": data[0], "token": data[1:17].hex(),
                "index": struct.unpack("<I", data[17:21])[0], "content": data[21:]}

    def receive_any(self):
        """The next message of either kind, as a dictionary."""
        f = self.frame()
        return json.loads(f.data) if f.opcode == Opcode.TEXT else self.bytes_message(f)

    def receive_token(self):
        m = self.tokens.pop(0) if self.tokens else self.receive_any()
        assert m["type"] == 16 and m["index"] == 0, m
        assert token_id(m["content"]) == m["token"], "the id is not the token's"
        return m["content"]

    def text(self, data):
        self.ws.send_text(data if isinstance(data, bytes) else data.encode())
        self.flush()

    def send(self, message):
        self.text(json.dumps(message))

    def binary(self, data):
        self.ws.send_binary(data)
        self.flush()

    def ask(self, message, kind=None):
        self.send(message)
        return self.receive(kind)

    def proof(self, challenge, host=None, exporter=None, key=None):
        host = (host or self.host).encode()
        return (key or self.key).sign(
            b"cloister/v1 console-auth\0" + struct.pack("<H", len(host)) + host + challenge +
            (exporter or self.exporter))

    def authentication(self, challenge, **changes):
        m = {"type": "authenticate", "protocol": 1, "public_key": b64(self.key.public),
             "machine_id": self.key.id, "host": self.host, "agent_version": "0.1.0",
             "boot_id": BOOT_ID, "signature": b64(self.proof(challenge))}
        if self.features:
            m["features"] = self.features
        m.update(changes)
        return m

    def challenge(self):
        m = self.receive("challenge")
        value = base64.urlsafe_b64decode(m["challenge"] + "=")
        assert len(value) == 32 and m["protocol"] == 1
        return value

    def authenticate(self, **changes):
        return self.ask(self.authentication(self.challenge(), **changes), "welcome")

    def enroll(self, token, name="desk-17"):
        return self.ask({"type": "enroll", "token": token, "name": name, "os": "Debian 12"})

    def upload(self, bundle, begin=True):
        """Sends what the console lacks of a bundle, within the window; returns bundle_done."""
        answer = self.ask(bundle.begin())
        if answer["type"] == "bundle_digests":
            self.binary(bundle.digest_frame(answer["next"]))
            answer = self.receive()
        if answer["type"] != "bundle_ready":
            return answer
        sent = acknowledged = answer["have"]
        while True:
            while sent < len(bundle.chunks) and sent - acknowledged < 8:
                self.binary(bundle.chunk_frame(sent))
                sent += 1
            answer = self.receive()
            if answer["type"] != "chunk":
                return answer
            acknowledged = answer["index"] + 1

    def decide(self, token, reason="accepted", **members):
        self.send({"type": "command_decision", "token": token_id(token),
                   "accepted": reason in ("accepted", "revocation"), "reason": reason, **members})

    def output(self, token, index, content, stream=0):
        self.binary(bytes([17 + stream]) + bytes.fromhex(token_id(token)) +
                    struct.pack("<I", index) + content)

    def wait_for_ack(self, token, stdout=0, stderr=0):
        """Receives acknowledgements until one covers so many chunks."""
        while True:
            m = self.receive("command_ack")
            assert m["token"] == token_id(token), m
            assert m["stdout"] <= stdout and m["stderr"] <= stderr, m
            if (m["stdout"], m["stderr"]) == (stdout, stderr):
                return

    def answer(self, token, text=None, **changes):
        """Sends the receipt and takes command_done."""
        self.send({"type": "command_receipt", "token": token_id(token),
                   "receipt": text or receipt(self.key, token, **changes)})
        assert self.receive("command_done")["token"] == token_id(token)

    def expect_close(self):
        """Receives until the console closes; returns (code, reason)."""
        try:
            while True:
                self.frame()
        except Closed as e:
            return e.code, e.reason

    def __del__(self):
        self.socket.close()

    def close(self):
        try:
            self.tls.shutdown()
        except SSL.Error:
            pass
        self.socket.close()
