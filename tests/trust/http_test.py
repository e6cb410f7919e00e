"""Consoles and proxies that answer HTTP wrongly, endlessly, slowly or with a lie."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import peers
from certificates import Authority
from driver import Run, TrustTest

START = b"HTTP/1.1 101 Switching Protocols\r\n"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def upgrade_with(**options):
    def behave(server, connection):
        peers.upgrade(connection, **options)
        peers.drain(server, connection)
    return behave


def reset(server, connection):
    peers.read_head(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def close_in_head(server, connection):
    peers.read_head(connection)
    connection.sendall(START + b"Upgr")


class Http(TrustTest):
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

    def check_console(self, name, behave, reason, detail="", seconds=10):
        with peers.Server(behave, self.good) as peer:
            self.refused(self.run_driver(peer.port), reason, detail, seconds)

    def check_proxy(self, name, behave, reason, detail="", seconds=10):
        with peers.Server(behave) as peer:
            run = self.run_driver(9, "--proxy-port", peer.port)
            self.refused(run, reason, detail, seconds)

    def test_console(self):
        malformed = "is not valid HTTP"
        self.each([
            ("silent", peers.silent, "phase-timeout", "upgrade", 25),
            ("403", peers.answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "http-status", "403"),
            ("302", peers.answer(b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n"),
             "http-status", "302"),
            ("200", peers.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "http-status"),
            ("early hints", peers.answer(b"HTTP/1.1 103 Hints\r\n\r\n"), "http-status", "103"),
            ("status escapes", peers.answer(b"HTTP/1.1 500 \x9b31m\\r\r\n\r\n"), "http-status",
             "500 ?31m?r"),
            ("bare lf", peers.answer(b"HTTP/1.1 101 X\nUpgrade: websocket\n\n"), "http-protocol",
             malformed),
            ("nul", peers.answer(START + b"A: \0\r\n\r\n"), "http-protocol", malformed),
            ("folded", peers.answer(START + b"A: b\r\n c\r\n\r\n"), "http-protocol", malformed),
            ("not http", peers.answer(b"\x16\x03\x01hello"), "http-protocol", malformed),
            ("http/2", peers.answer(b"HTTP/2 101\r\n\r\n"), "http-protocol", malformed),
            ("endless field", peers.endless(START + b"A: ", b"a" * 4096), "http-protocol",
             "does not end"),
            ("endless fields", peers.endless(START, b"A: b\r\n"), "http-protocol", "does not end"),
            ("endless status", peers.endless(b"HTTP/1.1 101 ", b"a"), "http-protocol",
             "does not end"),
            ("drip", peers.drip(START, b"A: b\r\n", 0.5), "phase-timeout", "upgrade", 25),
            ("closes", close_in_head, "http-protocol", "was complete"),
            ("resets", reset, "http-protocol"),
            ("wrong accept", upgrade_with(accept=b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
             "not-websocket", "Sec-WebSocket-Accept"),
            ("no subprotocol", upgrade_with(extra=b""), "no-subprotocol"),
            ("other subprotocol", upgrade_with(extra=b"Sec-WebSocket-Protocol: chat\r\n"),
             "no-subprotocol"),
            ("extension", upgrade_with(extra=b"Sec-WebSocket-Protocol: cloister.v1\r\n"
                                             b"Sec-WebSocket-Extensions: permessage-deflate\r\n"),
             "not-websocket", "extension"),
            ("silent after the upgrade", upgrade_with(), "phase-timeout", "no challenge", 35),
        ], self.check_console)

    def test_lying_proxies(self):
        def closes(server, connection):
            peers.read_head(connection)

        self.each([
            ("silent", peers.silent, "phase-timeout", "proxy", 25),
            ("407", peers.answer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
             "proxy-status", "407"),
            ("403", peers.answer(b"HTTP/1.1 403 Blocked by policy\r\n\r\n"), "proxy-status",
             "403 Blocked by policy"),
            ("503", peers.answer(b"HTTP/1.0 503 No\r\n\r\n"), "proxy-status", "503"),
            ("101", peers.answer(START + b"\r\n"), "proxy-status", "101"),
            ("not a proxy", peers.answer(b"220 mail ESMTP\r\n"), "proxy-protocol", "not valid"),
            ("closes", closes, "proxy-protocol", "closed before"),
            ("endless", peers.endless(b"HTTP/1.1 200 OK\r\nA: ", b"a" * 999), "proxy-protocol",
             "does not end"),
            ("drip", peers.drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.5), "phase-timeout",
             "proxy", 25),
            ("200 and garbage at once", peers.answer(OK + b"garbage"), "proxy-protocol",
             "spoke before"),
            ("200 and garbage later", peers.answer(OK, b"garbage", pause=0.3), "tls-handshake"),
            ("200 and silence", peers.answer(OK), "phase-timeout", "TLS", 25),
        ], self.check_proxy)

    def test_good_proxy(self):
        """The console's name goes to the proxy, and TLS is checked through it all the same."""
        console = peers.after_welcome()
        with peers.Server(console, self.good) as peer, peers.Server(peers.good_proxy) as proxy:
            self.accepted(self.run_driver(peer.port, "--proxy-port", proxy.port))
            self.assertIn(b"CONNECT localhost:%d HTTP/1.1\r\n" % peer.port, proxy.notes[0])
            self.assertNotIn(b"cloister", proxy.notes[0].lower())

    def test_intercepting_proxy(self):
        box = Authority(os.path.join(self.folder.name, "box"), "Evil Middlebox CA")
        with peers.Server(peers.after_welcome(), box.leaf("box")) as peer:
            with peers.Server(peers.good_proxy) as proxy:
                run = self.run_driver(peer.port, "--proxy-port", proxy.port)
        self.refused(run, "tls-unknown-issuer", "Evil Middlebox CA")

    @unittest.skipUnless(shutil.which("tinyproxy"), "tinyproxy is not installed")
    def test_tinyproxy(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = os.path.join(self.folder.name, "tinyproxy.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 4\nAllow 127.0.0.1\n"
                       % port)
        process = subprocess.Popen(["tinyproxy", "-d", "-c", config], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            with peers.Server(peers.after_welcome(), self.good) as peer:
                self.accepted(self.run_driver(peer.port, "--proxy-port", port))
            run = self.run_driver(1, "--proxy-port", port)
            self.refused(run, "proxy-status", "the proxy said 5")
        finally:
            process.kill()
            process.wait()


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError


if __name__ == "__main__":
    unittest.main()
