"""Starts the real console on a free port with a state folder of its own."""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from peer import Agent

PROGRAM = os.environ["CLOISTER_CONSOLE"]


def wait_for(condition, seconds=20):
    """Waits until `condition()` is true and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")


class Console:
    def __init__(self, *options, limits="", names=("127.0.0.1", "localhost")):
        self.state = tempfile.mkdtemp(prefix="console-test-")
        os.chmod(self.state, 0o700)
        atexit.register(shutil.rmtree, self.state, ignore_errors=True)
        self.config = self.state + "/test.ini"
        with open(self.config, "w") as f:
            f.write("[limits]\n" + limits)
        self.options, self.names, self.port = list(options), names, 0
        self.process, self.log = None, []
        self.start()

    def start(self):
        names = [x for n in self.names for x in ("--name", n)]
        self.log = []
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--config", self.config, "--state", self.state, "--listen",
             f"127.0.0.1:{self.port}", *names, *self.options],
            stderr=subprocess.PIPE, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.port = int(wait_for(lambda: self.logged(r"listening on \S+:(\d+)")).group(1))

    def _read(self, stream):
        for line in stream:
            self.log.append(line)

    def logged(self, pattern):
        if self.process.poll() is not None:
            raise AssertionError("the console ended:\n" + "".join(self.log))
        return re.search(pattern, "".join(self.log))

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(20)
        self.reader.join(5)
        self.process.stderr.close()
        return status

    def admin(self, *args, status=0, check=True):
        r = subprocess.run([PROGRAM, *args, "--state", self.state], capture_output=True, timeout=60)
        if check and r.returncode != status:
            raise AssertionError(f"{args}: exit {r.returncode}: {r.stderr}")
        return r.stdout.decode()

    def admin_json(self, *args):
        return json.loads(self.admin(*args, "--json"))

    def token(self, *args):
        return self.admin("token", *args).strip()

    def agent(self, **options):
        options.setdefault("host", "127.0.0.1")
        return Agent(self.port, self.state + "/ca.pem", **options)

    def machine(self, key):
        for m in self.admin_json("machines"):
            if m["id"] == key.id:
                return m
        return None

    def approved(self, **options):
        """A connected agent of a new, approved machine."""
        a = self.agent(**options)
        assert a.authenticate()["state"] == "unenrolled"
        assert a.enroll(self.token())["type"] == "enrolled"
        self.admin("approve", a.key.id, "--fingerprint", a.key.fingerprint())
        assert a.receive("state")["state"] == "approved"
        return a

    def again(self, agent, **options):
        """A new connection of the same machine."""
        options.setdefault("features", agent.features)
        a = self.agent(key=agent.key, **options)
        return a, a.authenticate()


class ConsoleTest(unittest.TestCase):
    """Every class has one console; `limits` is its [limits] section."""
    limits = ""

    @classmethod
    def setUpClass(cls):
        cls.console = Console(limits=cls.limits)

    @classmethod
    def tearDownClass(cls):
        status = cls.console.stop()
        log = "".join(cls.console.log)
        assert status == 0, f"exit {status}:\n{log}"
        assert "Sanitizer" not in log and "runtime error" not in log, log

    def assert_closed(self, agent, code, reason):
        self.assertEqual(agent.expect_close(), (code, reason))
