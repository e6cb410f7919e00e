"""The whole agent against hostile consoles, proxies and name servers: what uplink is when it meets
them, and what is left of the agent afterwards. Needs root; runs in network and mount namespaces of
its own, with a name server of its own on port 53."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "agent"))

import peers  # noqa: E402
from agent import Agent, wait_for  # noqa: E402
from certificates import Authority  # noqa: E402

NAME = "console.cloister.test"


class NameServer:
    """Answers every question about NAME with 127.0.0.1 and others with NXDOMAIN, or misbehaves."""

    def __init__(self):
        self.mode = "good"
        self.questions = []
        self.tcp = 0
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.bind((address, 53))
            threading.Thread(target=self.serve, args=(udp, family), daemon=True).start()
        listener = socket.create_server(("127.0.0.1", 53))
        threading.Thread(target=self.serve_tcp, args=(listener,), daemon=True).start()

    def serve(self, udp, family):
        while True:
            question, peer = udp.recvfrom(4096)
            if self.mode == "only6" and family == socket.AF_INET:
                continue
            for part in self.answer(question):
                udp.sendto(part, peer)

    def serve_tcp(self, listener):
        while True:
            connection, _ = listener.accept()
            with connection:
                while True:
                    head = connection.recv(2)
                    if len(head) < 2:
                        break
                    question = peers.read_exactly(connection, int.from_bytes(head, "big"))
                    self.tcp += 1
                    for part in self.answer(question, over_tcp=True):
                        connection.sendall(len(part).to_bytes(2, "big") + part)

    def answer(self, question, over_tcp=False):
        end = question.index(0, 12) + 5
        body = question[12:end]
        kind = struct.unpack("!H", question[end - 4:end - 2])[0]
        self.questions.append((body, kind))

        def reply(flags, records=b"", count=0):
            return question[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + body + records

        address = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"
        if self.mode == "silent":
            return []
        if self.mode == "truncated" and not over_tcp:
            return [reply(0x8380)]
        if self.mode == "garbage":
            return [question[:2] + b"\x81\x80" + os.urandom(500), b"", b"\x00"]
        if self.mode == "loop":  # a name that is a pointer to itself
            return [reply(0x8180, b"\xc0" + bytes([end]) + address[2:], 1)]
        if self.mode == "many":
            return [reply(0x8180, address * 60, 60) if kind == 1 else reply(0x8180)]
        if b"\x08cloister\x04test" not in body or self.mode == "nxdomain":
            return [reply(0x8183)]
        return [reply(0x8180, address, 1) if kind == 1 else reply(0x8180)]


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class WholeAgent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        os.chmod(cls.folder.name, 0o755)
        cls.authority = Authority(os.path.join(cls.folder.name, "ca"), "Example Trust CA")
        cls.good = cls.authority.leaf("good", names="DNS:" + NAME)
        resolv = os.path.join(cls.folder.name, "resolv.conf")
        if not os.path.exists("/etc/resolv.conf"):
            raise unittest.SkipTest("there is no /etc/resolv.conf to stand in for")
        with open(resolv, "w", encoding="ascii") as file:
            file.write("nameserver 127.0.0.1\nnameserver ::1\n")
        os.chmod(resolv, 0o644)
        subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
        cls.names = NameServer()

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["umount", "/etc/resolv.conf"], check=True)
        cls.folder.cleanup()

    def setUp(self):
        self.names.mode = "good"
        self.names.questions.clear()

    def agent(self, port, **keys):
        console = {"host": NAME, "port": port, "ca": self.authority.pem}
        return Agent({"console": {**console, **keys}})

    def wait_reason(self, agent, text, seconds=60):
        def told():
            agent.alive()
            return text in agent.log()
        wait_for("%r in the log:\n%s" % (text, agent.log()), told, seconds)

    def test_locked_before_the_first_byte(self):
        """While the console has not said a byte, uplink already is what it will be."""
        connected, speak = threading.Event(), threading.Event()

        def behave(server, connection):
            connected.set()
            speak.wait(60)
            peers.drain(server, connection)

        with peers.Server(behave) as peer, self.agent(peer.port) as agent:
            agent.start()
            self.assertTrue(connected.wait(30), agent.log())
            agent.wait_serving("uplink")
            status = status_of(agent.worker("uplink")["pid"])
            speak.set()
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["CapEff"], "0" * 16)

    def test_locked_before_the_proxy_speaks(self):
        connected = threading.Event()

        def behave(server, connection):
            connected.set()
            peers.drain(server, connection)

        with peers.Server(behave) as proxy, \
                self.agent(443, proxy="http://127.0.0.1:%d" % proxy.port) as agent:
            agent.start()
            self.assertTrue(connected.wait(30), agent.log())
            agent.wait_serving("uplink")
            self.assertEqual(status_of(agent.worker("uplink")["pid"])["Seccomp"], "2")
        self.assertEqual(self.names.questions, [])  # the proxy resolves; nobody here asked

    def test_resolves_and_signs_in(self):
        """Through name service and vault; and the resolver is gone when it has answered."""
        with peers.Server(peers.after_welcome(state="pending"), self.good) as peer, \
                self.agent(peer.port) as agent:
            agent.start()
            self.wait_reason(agent, "this machine is pending")
            self.assertEqual(agent.worker("resolver")["pid"], 0)
            self.assertIn('"type":"authenticate"', peer.notes[0][1])
            self.assertIn('"host":"%s"' % NAME, peer.notes[0][1])
        self.assertTrue(self.names.questions)

    def test_interception_is_named(self):
        box = Authority(os.path.join(self.folder.name, "box"), "Evil Middlebox CA")
        leaf = box.leaf("box", names="DNS:" + NAME)
        with peers.Server(peers.after_welcome(), leaf) as peer, self.agent(peer.port) as agent:
            agent.start()
            self.wait_reason(agent, "CN=Evil Middlebox CA")
            self.assertEqual(agent.status()["refusals"], 0)
            self.assertEqual(peer.notes, [])

    def test_hostile_console_is_survived(self):
        """A flood after the sign-in costs the connection and nothing else."""
        def then(server, connection):
            while not server.over.is_set():
                connection.sendall(peers.frame(9, b"x" * 125) * 1000)

        with peers.Server(peers.after_welcome(then=then), self.good) as peer, \
                self.agent(peer.port) as agent:
            agent.start()
            self.wait_reason(agent, "protocol: the console floods")
            vault = agent.worker("vault")
            self.assertEqual((vault["state"], vault["restarts"]), ("serving", 0))
            self.assertNotIn("forbidden system call", agent.log())

    def test_hostile_names(self):
        """No address, no answer, or nonsense: said so, tried again, and then it works."""
        with peers.Server(peers.after_welcome(state="pending"), self.good) as peer, \
                self.agent(peer.port) as agent:
            for mode in ("nxdomain", "garbage", "loop", "silent"):
                self.names.mode = mode
                seen = len(agent.log()) if agent.process else 0
                if not agent.process:
                    agent.start()
                wait_for("an attempt that failed (%s)" % mode,
                         lambda: "not connected" in agent.log()[seen:], 90)
            self.names.mode = "many"
            self.wait_reason(agent, "this machine is pending", 120)
            self.assertNotIn("forbidden system call", agent.log())

    def test_other_ways_to_the_name_server(self):
        """Over TCP, where the answer is too long, and over IPv6, where IPv4 is silent."""
        for mode in ("truncated", "only6"):
            self.names.mode = mode
            with peers.Server(peers.after_welcome(state="pending"), self.good) as peer, \
                    self.agent(peer.port) as agent:
                agent.start()
                self.wait_reason(agent, "this machine is pending")
                self.assertNotIn("not connected", agent.log())
        self.assertGreater(self.names.tcp, 0)

    def test_ca_that_others_can_write(self):
        loose = os.path.join(self.folder.name, "loose.pem")
        with open(self.authority.pem, encoding="ascii") as source:
            with open(loose, "w", encoding="ascii") as file:
                file.write(source.read())
        os.chmod(loose, 0o644)
        with peers.Server(peers.after_welcome(), self.good) as peer, \
                self.agent(peer.port, ca=loose) as agent:
            agent.start()
            self.wait_reason(agent, "connected to " + NAME)
            os.chmod(loose, 0o666)
            os.kill(agent.worker("uplink")["pid"], 9)
            self.wait_reason(agent, "configuration: the CA file")


def main():
    if os.geteuid() != 0:
        print("needs root")
        sys.exit(77)
    if "CLOISTER_TRUST_NAMESPACE" not in os.environ:
        os.environ["CLOISTER_TRUST_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--net", sys.executable, *sys.orig_argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    unittest.main()


if __name__ == "__main__":
    main()
