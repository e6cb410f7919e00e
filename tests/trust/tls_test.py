"""Certificates, pins and versions, against openssl s_server."""

import os
import socket
import tempfile
import unittest

import peers
from certificates import Authority, pin
from driver import Run, TrustTest


class Tls(TrustTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        path = cls.folder.name
        cls.ours = Authority(os.path.join(path, "ours"), "Example Trust CA")
        cls.theirs = Authority(os.path.join(path, "theirs"), "Evil Middlebox CA")
        cls.good = cls.ours.leaf("good")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def against(self, certificate, *options, server=(), ca=None, host="localhost", config=None):
        with peers.s_server(certificate, *server, config=config) as peer:
            return Run("--host", host, "--address", "127.0.0.1", "--port", peer.port, "--ca",
                       ca or self.ours.pem, *options)

    def test_trusted_chain_reaches_http(self):
        """The positive control: TLS stands, and only HTTP is not a WebSocket."""
        run = self.against(self.good, server=("-www", "-tls1_3"))
        self.refused(run, "http-status", "200")

    def test_address_as_host(self):
        run = self.against(self.good, server=("-www",), host="127.0.0.1")
        self.refused(run, "http-status", "200")
        run = self.against(self.ours.leaf("noip", names="DNS:localhost"), host="127.0.0.1")
        self.refused(run, "tls-wrong-host", "127.0.0.1")

    def test_host_in_other_case_and_with_final_dot(self):
        run = self.against(self.good, server=("-www",), host="LOCALHOST.")
        self.refused(run, "http-status", "200")

    def test_interception_names_the_issuer(self):
        run = self.against(self.theirs.leaf("box"))
        self.refused(run, "tls-unknown-issuer", "CN=Evil Middlebox CA")
        self.assertIn("intercepts", run.detail)

    def test_interception_with_the_whole_chain(self):
        run = self.against(self.theirs.leaf("box2"), server=("-cert_chain", self.theirs.pem))
        self.refused(run, "tls-unknown-issuer", "CN=Evil Middlebox CA")

    def test_issuer_cannot_write_into_the_log(self):
        evil = Authority(os.path.join(self.folder.name, "esc"), "x\x1b[2J\\\n<0>forged")
        run = self.against(evil.leaf("esc"))
        self.refused(run, "tls-unknown-issuer", "issued by")
        self.assertEqual([line for line in run.text.split("\n") if "forged" in line],
                         [run.text.rstrip("\n").split("\n")[-1]])
        self.assertNotIn("\x1b", run.text)

    def test_self_signed(self):
        run = self.against(self.theirs.self_signed("self"))
        self.refused(run, "tls-unknown-issuer", "self-signed")

    def test_same_name_other_key(self):
        """A CA that only calls itself like ours."""
        false = Authority(os.path.join(self.folder.name, "false"), "Example Trust CA")
        self.refused(self.against(false.leaf("false")), "tls-unknown-issuer")

    def test_wrong_host(self):
        run = self.against(self.ours.leaf("other", names="DNS:other.example.org"))
        self.refused(run, "tls-wrong-host", "other.example.org")

    def test_common_name_does_not_count(self):
        run = self.against(self.ours.leaf("localhost", names="DNS:x.example.org"))
        self.refused(run, "tls-wrong-host")

    def test_validity(self):
        self.refused(self.against(self.ours.leaf("old", days=(-30, -1))), "tls-expired", "expired")
        self.refused(self.against(self.ours.leaf("new", days=(1, 30))), "tls-expired", "not valid")

    def test_certificate_for_clients_only(self):
        leaf = self.ours.leaf("client", usage="extendedKeyUsage = clientAuth")
        self.refused(self.against(leaf), "tls-certificate", "purpose")

    def test_pin(self):
        self.refused(self.against(self.good, "--pin", pin(self.theirs.pem)), "tls-pin",
                     pin(self.good[0]))
        run = self.against(self.good, "--pin", pin(self.good[0]), server=("-www",))
        self.refused(run, "http-status")
        run = self.against(self.good, "--pin", pin(self.ours.pem), server=("-www",))
        self.refused(run, "http-status")

    def test_versions(self):
        old = ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        self.refused(self.against(self.good, server=old), "tls-version")
        self.refused(self.against(self.good, "--tls12", server=old), "tls-version")
        self.refused(self.against(self.good, server=("-tls1_2",)), "tls-version")

    def test_tls12_where_configured(self):
        run = self.against(self.good, "--tls12", server=("-tls1_2", "-www"))
        self.refused(run, "http-status", "200")
        config = os.path.join(self.folder.name, "no_ems.cnf")
        with open(config, "w", encoding="ascii") as file:
            file.write("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
                       "[c]\nOptions = -ExtendedMasterSecret\n")
        run = self.against(self.good, "--tls12", server=("-tls1_2", "-www"), config=config)
        self.refused(run, "tls-version", "extended master secret")
        run = self.against(self.good, "--tls12",
                           server=("-tls1_2", "-www", "-cipher", "ECDHE-ECDSA-AES128-SHA256"))
        self.refused(run, "tls-handshake")

    def test_ca_file(self):
        empty = os.path.join(self.folder.name, "empty.pem")
        broken = os.path.join(self.folder.name, "broken.pem")
        with open(empty, "w", encoding="ascii") as file:
            file.write("no certificate\n")
        with open(self.ours.pem, encoding="ascii") as whole:
            with open(broken, "w", encoding="ascii") as file:
                text = whole.read()
                file.write(text + text[:100] + "\n-----END CERTIFICATE-----\n")
        self.refused(self.against(self.good, ca=empty), "configuration", "holds no certificate")
        self.refused(self.against(self.good, ca=broken), "configuration", "cannot be read")

    def test_not_tls(self):
        def babble(server, connection):
            connection.sendall(b"220 mail.example.org ESMTP\r\n")
            peers.drain(server, connection)

        def hang_up(server, connection):
            connection.recv(1)

        for behave, words in ((babble, "does not speak TLS"), (hang_up, "TLS handshake")):
            with peers.Server(behave) as peer:
                run = Run("--host", "localhost", "--address", "127.0.0.1", "--port", peer.port,
                          "--ca", self.ours.pem)
            self.refused(run, "tls-handshake", words)

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            run = Run("--host", "localhost", "--address", "127.0.0.1", "--port",
                      unused.getsockname()[1], "--ca", self.ours.pem)
        self.refused(run, "refused", "127.0.0.1")

    def test_silence(self):
        """Accepts and says nothing; or sends half a ServerHello and then nothing."""
        def half(server, connection):
            connection.recv(4096)
            connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00")
            server.over.wait(120)

        def check(name, behave):
            with peers.Server(behave) as peer:
                run = Run("--host", "localhost", "--address", "127.0.0.1", "--port", peer.port,
                          "--ca", self.ours.pem)
            self.refused(run, "phase-timeout", "TLS", seconds=25)
            self.assertGreater(run.elapsed_ms, 15000)

        self.each([("silent", peers.silent), ("half", half)], check)


if __name__ == "__main__":
    unittest.main()
