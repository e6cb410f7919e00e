"""The agent's own network code (uplink, with the vault's signer) against the real console."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import unittest

from harness import ConsoleTest, PROGRAM, wait_for
from peer import CHUNK, Key

DRIVER = os.environ["UPLINK_DRIVER"]


class Run:
    """uplink_driver in the background; what it prints, line by line."""

    def __init__(self, console, *options, host="localhost"):
        self.lines = []
        self.process = subprocess.Popen(
            [DRIVER, "--host", host, "--address", "127.0.0.1", "--port", str(console.port), "--ca",
             console.state + "/ca.pem", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def seen(self, pattern):
        return re.search(pattern, "\n".join(self.lines), re.M)

    def wait(self, pattern, seconds=30):
        return wait_for(lambda: self.seen(pattern), seconds)

    def end(self):
        status = self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()
        return status, "\n".join(self.lines)


class Interop(ConsoleTest):
    key = Key(bytes(range(32)))  # the vectors' key, which the driver has

    def approved(self):
        if self.console.machine(self.key):
            return
        run = Run(self.console, "--enroll", self.console.token(), "--stay", "20000")
        run.wait(r"^enrolled yes")
        self.console.admin("approve", self.key.id, "--fingerprint", self.key.fingerprint())
        run.wait(r"^state approved$")
        run.process.terminate()
        run.end()

    def file(self, size):
        f = tempfile.NamedTemporaryFile()
        f.write(os.urandom(size))
        f.flush()
        self.addCleanup(f.close)
        return f.name

    def assert_stored(self, number, path):
        r = subprocess.run([PROGRAM, "ticket", number, "--out", "-", "--state", self.console.state],
                           capture_output=True, timeout=60)
        with open(path, "rb") as f:
            self.assertTrue(r.stdout == f.read(), "the bundle differs")

    def test_bundles(self):
        self.approved()
        files = [self.file(n) for n in (1, CHUNK, 3 * CHUNK + 1, 40 * CHUNK)]
        run = Run(self.console, *[x for f in files for x in ("--upload", f)])
        status, text = run.end()
        self.assertEqual(status, 0, text)
        for i, path in enumerate(files):
            self.assert_stored(run.seen(rf"^done {i} (T-\d+)$").group(1), path)

    def test_resuming_after_kill_9(self):
        self.approved()
        path = self.file(800 * CHUNK)
        run = Run(self.console, "--upload", path)
        run.wait(r"^ready 0 0$")
        wait_for(lambda: sum(os.path.getsize(self.console.state + "/incoming/" + n)
                             for n in os.listdir(self.console.state + "/incoming")) > 20 * CHUNK)
        self.console.stop(signal.SIGKILL)
        self.assertNotEqual(run.end()[0], 0)
        self.assertFalse(run.seen("^done"))
        self.console.start()
        run = Run(self.console, "--upload", path)
        status, text = run.end()
        self.assertEqual(status, 0, text)
        self.assertGreaterEqual(int(run.seen(r"^ready 0 (\d+)$").group(1)), 20)
        self.assert_stored(run.seen(r"^done 0 (T-\d+)$").group(1), path)

    def test_names_and_revocation(self):
        self.approved()
        refused = Run(self.console, "--stay", "5000", host="127.0.0.1")
        refused.wait(r"^welcome approved")
        self.console.admin("revoke", self.key.id)
        status, text = refused.end()
        self.assertEqual(status, 1)
        self.assertRegex(text, r"end \S+ .*revoked")
        self.console.admin("approve", self.key.id, "--fingerprint", self.key.fingerprint())

    def test_a_wrong_token(self):
        key = self.console.machine(self.key)
        if key:
            self.skipTest("the driver's machine is enrolled already")
        run = Run(self.console, "--enroll", "ct1." + "A" * 12 + "." + "A" * 43)
        self.assertRegex(run.end()[1], r"(?m)^enrolled no .*")


if __name__ == "__main__":
    unittest.main(verbosity=2)
