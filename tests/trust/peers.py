"""The other ends that uplink meets in the trust tests: good ones, foreign ones and hostile ones."""

import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
import subprocess
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CHALLENGE = ('{"type":"challenge","protocol":1,"console":"test",'
             '"challenge":"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"}')
WELCOME = ('{"type":"welcome","state":"%s","heartbeat_ms":1000,"chunk_window":8,'
           '"max_bundle_bytes":536870912,"time_ms":1790000000000}')


class Server:
    """Accepts on a loopback port and runs `behave(connection)` in a thread for each connection."""

    def __init__(self, behave, certificate=None, tls=None):
        self.behave = behave
        self.context = tls
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.over = threading.Event()
        self.notes = []
        self.close = None
        self.closed = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError, EOFError), connection:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            connection.settimeout(120)
            self.behave(self, connection)

    def note_close(self, payload):
        self.close = (int.from_bytes(payload[:2], "big"), payload[2:].decode())
        self.closed.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.socket.close()


class Program:
    """A server in another process that prints a line matching `ready` with its port."""

    def __init__(self, *command, ready, environment=None):
        self.lines = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.PIPE, env=environment, text=True)
        for line in self.process.stdout:
            self.lines.append(line)
            found = re.search(ready, line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            self.process.communicate()
            raise RuntimeError("".join(self.lines))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stdin.close()


def s_server(certificate, *arguments, config=None):
    """openssl s_server with an openssl.cnf; its standard input stays open, or it would end."""
    environment = dict(os.environ, OPENSSL_CONF=config) if config else None
    return Program("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate[0], "-key",
                   certificate[1], *arguments, ready=r"ACCEPT 127\.0\.0\.1:(\d+)",
                   environment=environment)


# ---------------------------------------------------------------- behaviours

def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError
        head += byte
    return head


def silent(server, connection):
    """Accepts and never says a word."""
    server.over.wait(120)


def answer(*parts, pause=0.0):
    """Reads the request and sends `parts`, then waits for the other end to go."""
    def behave(server, connection):
        read_head(connection)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        while connection.recv(4096):
            pass
    return behave


def endless(start, part):
    def behave(server, connection):
        read_head(connection)
        connection.sendall(start)
        while not server.over.is_set():
            connection.sendall(part)
    return behave


def drip(start, part, pause):
    """One piece every `pause` seconds: alive, and getting nowhere."""
    def behave(server, connection):
        read_head(connection)
        connection.sendall(start)
        while not server.over.wait(pause):
            connection.sendall(part)
    return behave


def accept_of(head):
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head).group(1)
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def upgrade(connection, extra=b"Sec-WebSocket-Protocol: cloister.v1\r\n", accept=None, early=b""):
    head = read_head(connection)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Accept: " +
                       (accept or accept_of(head)) + b"\r\n" + extra + b"\r\n" + early)
    return head


def frame(opcode, payload=b"", fin=True, rsv=0, mask=False, length=None):
    """One WebSocket frame; `length` lies about the payload's."""
    if isinstance(payload, str):
        payload = payload.encode()
    length = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + length.to_bytes(8, "big")
    if mask:
        head += b"\0\0\0\0"
    return head + payload


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_frame(connection):
    """Returns (opcode, payload) of one masked frame of the client's."""
    head = read_exactly(connection, 2)
    length = head[1] & 127
    if length == 126:
        length = int.from_bytes(read_exactly(connection, 2), "big")
    elif length == 127:
        length = int.from_bytes(read_exactly(connection, 8), "big")
    assert head[1] & 128, "the client must mask"
    mask = read_exactly(connection, 4)
    payload = read_exactly(connection, length)
    return head[0] & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def drain(server, connection):
    with contextlib.suppress(OSError, EOFError):
        while not server.over.is_set() and connection.recv(65536):
            pass


def after_upgrade(*frames):
    """A proper handshake, then these frames; keeps what the client's close frame said."""
    def behave(server, connection):
        upgrade(connection)
        connection.sendall(b"".join(frames))
        while True:
            opcode, payload = read_frame(connection)
            if opcode == 8:
                return server.note_close(payload)
    return behave


def after_welcome(*frames, state="approved", then=drain):
    """A console that knows the protocol (and checks no signature) up to welcome."""
    def behave(server, connection):
        upgrade(connection, early=frame(1, CHALLENGE))
        opcode, payload = read_frame(connection)
        server.notes.append((opcode, payload.decode()))
        connection.sendall(frame(1, WELCOME % state) + b"".join(frames))
        then(server, connection)
    return behave


def good_proxy(server, connection):
    """HTTP CONNECT as it should be."""
    head = read_head(connection)
    server.notes.append(head)
    host, port = re.match(rb"CONNECT (\S+):(\d+) HTTP/1.1\r\n", head).groups()
    with socket.create_connection(("127.0.0.1", int(port))) as onward:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
        back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
        back.start()
        pump(connection, onward)
        back.join()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
