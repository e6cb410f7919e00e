"""Runs cloister-console for tests and the demo."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from agent import BIN, Failure, wait_for


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Console:
    def __init__(self, name="localhost", program=None, config=None, state=None, address="127.0.0.1"):
        """`config`: the text of a configuration file; `state`: another state folder; `address`: where it
        listens."""
        self.folder = tempfile.mkdtemp(prefix="cloister-console-", dir="/var/tmp")
        self.state = state or os.path.join(self.folder, "state")
        self.config = config
        os.chmod(self.folder, 0o755)  # the agent reads the CA below it
        self.ca = os.path.join(self.folder, "ca.pem")
        self.log_path = os.path.join(self.folder, "log")
        self.program = program or os.path.join(BIN, "cloister-console")
        self.name, self.address, self.port = name, address, free_port()
        self.process = None

    def start(self):
        extra = []
        if self.config:
            extra = ["--config", os.path.join(self.folder, "console.conf")]
            with open(extra[1], "w", encoding="utf-8") as f:
                f.write(self.config)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--state", self.state, "--listen",
                 f"{self.address}:{self.port}", "--name", self.name, "--name", self.address, *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("the console", self._answers)
        with open(self.ca, "w", encoding="utf-8") as f:
            f.write(self.command("ca"))
        os.chmod(self.ca, 0o644)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise Failure(f"the console exited:\n{self.log()}")
        try:
            socket.create_connection((self.address, self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def command(self, *args):
        """Runs an administrator's command and returns what it prints."""
        result = subprocess.run([self.program, args[0], *args[1:], "--state", self.state],
                                capture_output=True, text=True, timeout=60, check=False)
        if result.returncode != 0:
            raise Failure(f"cloister-console {args[0]}: {result.stderr.strip()}")
        return result.stdout

    def json(self, *args):
        return json.loads(self.command(*args, "--json"))

    def token(self):
        return self.json("token")["token"]

    def machines(self):
        return self.json("machines")

    def tickets(self):
        return self.json("tickets")

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(10)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def section(self):
        """The [console] section of an agent that dials this console."""
        return {"host": self.name, "port": str(self.port), "ca": self.ca}


def enrol(agent, console):
    """Enrols and approves the agent's machine; returns its machine id."""
    result = agent.run("cloister", "enroll", console.token(), timeout=90)
    if result.returncode != 0:
        raise Failure(f"enroll: {result.stderr or result.stdout}\n{agent.log()}\n{console.log()}")
    identity = json.loads(agent.run("cloister", "identity", "--json", check=True).stdout)
    console.command("approve", identity["machine_id"], "--fingerprint", identity["fingerprint"])
    wait_for("the approval to reach the agent",
             lambda: agent.status()["connection"]["phase"] == "approved")
    return identity["machine_id"]
