"""Whole sessions with consoles that others' libraries make: node's ws and python3-websockets."""

import hashlib
import json
import os
import tempfile
import unittest

import peers
import websocket_console
from certificates import Authority
from driver import Run, TrustTest

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_MODULES = "/usr/share/nodejs"  # where Debian's node-ws lies; other builds of node do not look


class Foreign(TrustTest):
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

    def node(self, *arguments):
        return peers.Program("node", os.path.join(HERE, "node_console.js"), *self.good, *arguments,
                             ready=r"^port (\d+)$",
                             environment=dict(os.environ, NODE_PATH=NODE_MODULES))

    def file(self, name, size):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(os.urandom(size))
        with open(path, "rb") as file:
            return path, hashlib.sha256(file.read()).hexdigest()

    @staticmethod
    def events(program, name):
        program.process.terminate()
        program.process.wait()
        program.reader.join()
        found = [json.loads(line) for line in program.lines if line.startswith("{")]
        defects = [event for event in found if event["event"] == "defect"]
        assert not defects, defects
        return [event for event in found if event["event"] == name]

    def test_node_accepts_the_sign_in(self):
        with self.node() as console:
            run = self.run_driver(console.port)
            self.accepted(run)
            self.assertIn("welcome approved 56475aa75463474c", run.text)
            event = self.events(console, "authenticate")[0]
        self.assertTrue(event["good"])
        self.assertNotIn("features", event["members"])

    def test_node_enrols(self):
        with self.node("unenrolled") as console:
            run = self.run_driver(console.port, "--enroll", "the-right-token-0")
            self.accepted(run)
            self.assertIn("welcome unenrolled", run.text)
            self.assertIn("enrolled yes pending", run.text)
            run = self.run_driver(console.port, "--enroll", "some-other-token-1")
            self.assertIn("enrolled no token_refused: no", run.text)

    def test_node_approves_while_connected(self):
        path, digest = self.file("late", 300000)
        with self.node("unenrolled") as console:
            run = self.run_driver(console.port, "--enroll", "the-right-token-0", "--upload", path,
                                  "--stay", "3000")
            self.accepted(run)
            self.assertIn("state approved", run.text)
            self.assertIn("done 0 T-000042", run.text)
            self.assertEqual(self.events(console, "done")[0]["sha256"], digest)

    def test_node_receives_bundles(self):
        """Sizes around the chunk's, several at once, and each byte arrives."""
        files = [self.file("size%d" % size, size)
                 for size in (1, 262143, 262144, 262145, 5 * 262144 + 7)]
        options = [option for path, _ in files for option in ("--upload", path)]
        with self.node() as console:
            run = self.run_driver(console.port, *options)
            self.accepted(run)
            self.assertEqual(run.text.count("T-000042"), len(files))
            done = {event["sha256"] for event in self.events(console, "done")}
        self.assertEqual(done, {digest for _, digest in files})

    def test_node_resumes(self):
        path, digest = self.file("cut", 9 * 262144 + 1)
        with self.node("approved", "5") as console:
            run = self.run_driver(console.port, "--upload", path)
            self.refused(run, "closed", welcome=True)
            run = self.run_driver(console.port, "--upload", path)
            self.accepted(run)
            self.assertIn("ready 0 6", run.text)
            self.assertIn("done 0 T-000042", run.text)
            again = self.run_driver(console.port, "--upload", path)
            self.assertIn("done 0 T-000042", again.text)
            self.assertNotIn("ready", again.text)
            self.assertEqual(self.events(console, "done")[0]["sha256"], digest)

    def with_python(self, subprotocols, *options):
        """A console on python3-websockets, in a thread with a loop of its own."""
        heard = []

        async def talk(socket):
            heard.append((socket.path, socket.request_headers))
            await socket.send(peers.CHALLENGE)
            heard.append(json.loads(await socket.recv()))
            await socket.send(peers.WELCOME % "approved")
            await socket.wait_closed()
            heard.append(socket.close_code)

        with websocket_console.serving(talk, self.good, subprotocols, ping_interval=0.2) as port:
            run = self.run_driver(port, *options)
        return run, heard

    def test_python_websockets(self):
        run, heard = self.with_python(["chat", "cloister.v1"], "--stay", "1500")
        self.accepted(run)
        path, headers = heard[0]
        self.assertEqual(path, "/agent")
        self.assertEqual(headers.get("Sec-WebSocket-Protocol"), "cloister.v1")
        self.assertNotIn("Origin", headers)
        self.assertNotIn("Sec-WebSocket-Extensions", headers)
        self.assertEqual(heard[1]["type"], "authenticate")

    def test_python_websockets_of_another_kind(self):
        run, _ = self.with_python(["chat"])
        self.refused(run, "no-subprotocol")


if __name__ == "__main__":
    unittest.main()
