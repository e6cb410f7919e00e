"""Runs the real agent and its surroundings for tests and the demo.

Every Agent has folders of its own (programs, configuration, state, runtime), so that several can run
side by side. Programs are copied from a build's bin/, and a test may put another program in the place
of one of them. Standard library only.
"""
import json
import os
import pwd
import grp
import shutil
import signal
import subprocess
import tempfile
import time

BIN = os.path.abspath(os.environ.get("CLOISTER_BIN") or
                      os.path.join(os.path.dirname(__file__), "../../build/bin"))
DEADLINE = 30.0  # seconds; a condition that does not come true by then has failed


class Failure(Exception):
    """Something that was awaited did not happen."""


def wait_for(what, condition, deadline=DEADLINE, interval=0.02):
    """Calls `condition` until it returns something true, and returns that."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {deadline:g} s in vain for {what}")
        time.sleep(interval)


class Agent:
    """One cloisterd with its workers."""

    def __init__(self, config=None, replace=None, wrapper=None, bin_dir=None):
        """`config`: {section: {key: value}}; `replace`: {program: path of another}; `wrapper`: an
        argument list to start cloisterd under; `bin_dir`: a build's bin/."""
        self.folder = tempfile.mkdtemp(prefix="cloister-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.runtime = tempfile.mkdtemp(prefix="cl-", dir="/run")
        os.rmdir(self.runtime)
        self.state = os.path.join(self.folder, "state")
        self.bin = os.path.join(self.folder, "bin")
        self.log_path = os.path.join(self.folder, "log")
        self.config_path = os.path.join(self.folder, "cloister.conf")
        self.wrapper = wrapper or []
        self.process = None
        self.config = {"agent": {"state": self.state, "runtime": self.runtime},
                       "capture": {"screenshots": "off"}}
        for section, keys in (config or {}).items():
            self.config.setdefault(section, {}).update(keys)
        self._stage(bin_dir or BIN, replace or {})

    def _stage(self, source, replace):
        os.mkdir(self.bin)
        for name in os.listdir(source):
            if name.startswith("cloister"):
                shutil.copy(replace.get(name, os.path.join(source, name)), os.path.join(self.bin, name))
                os.chmod(os.path.join(self.bin, name), 0o755)
        ticket = os.path.join(self.bin, "cloister-ticket")
        if os.path.exists(ticket):
            os.chown(ticket, 0, grp.getgrnam("cloister-ticket").gr_gid)
            os.chmod(ticket, 0o2755)
            subprocess.run(["setcap", "cap_ipc_lock+ep", ticket], check=True)
        os.mkdir(self.state, 0o711)

    def write_config(self):
        with open(self.config_path, "w", encoding="utf-8") as f:
            for section, keys in self.config.items():
                f.write(f"[{section}]\n")
                f.writelines(f"{key} = {value}\n" for key, value in keys.items() if value is not None)
        os.chmod(self.config_path, 0o600)

    def start(self, wait=True):
        self.write_config()
        # After a kill: a control group that is not empty yet is swept only at the start after this.
        wait_for("what is left of an earlier agent to end", lambda: not self.processes())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.wrapper + [os.path.join(self.bin, "cloisterd"), "--config", self.config_path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            wait_for("the agent's door", lambda: self.alive() and self.door_is_open())
        return self

    def door_is_open(self):
        """Whether somebody answers there: the socket is seen a moment before it listens."""
        return os.path.exists(os.path.join(self.runtime, "door", "control")) and \
            self.run("cloister", "status").returncode != 7

    def alive(self):
        if self.process.poll() is not None:
            raise Failure(f"cloisterd exited with status {self.process.returncode}:\n{self.log()}")
        return True

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_log(self, text, deadline=DEADLINE):
        wait_for(f"the log line {text!r}", lambda: text in self.log(), deadline)

    def run(self, *args, user=None, check=False, **options):
        """Runs one of the agent's programs, e.g. run("cloister", "status"), as another user if asked."""
        command = [os.path.join(self.bin, args[0]), "--runtime", self.runtime, *args[1:]]
        if args[0] == "cloister":
            command = [command[0], args[1], "--runtime", self.runtime, *args[2:]]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
                       "--reset-env", *command]
        return subprocess.run(command, capture_output=True, text=True, check=check,
                              timeout=options.pop("timeout", 60), **options)

    def status(self):
        """`cloister status --json`, as a dictionary."""
        result = self.run("cloister", "status", "--json")
        if not result.stdout:
            raise Failure(f"no status: {result.stderr}")
        return json.loads(result.stdout)

    def worker(self, name):
        return next((w for w in self.status()["workers"] if w["name"] == name), None)

    def wait_serving(self, *names, deadline=DEADLINE):
        def serving():
            self.alive()
            by_name = {w["name"]: w for w in self.status()["workers"]}
            return all(by_name[n]["state"] == "serving" for n in names) and by_name
        try:
            return wait_for(f"{', '.join(names)} to serve", serving, deadline)
        except Failure as failure:
            raise Failure(f"{failure}\n{self.log()}") from None

    def processes(self):
        """{pid: program} of every process whose program lies in this agent's bin/."""
        names = {os.stat(os.path.join(self.bin, n)).st_ino: n for n in os.listdir(self.bin)}
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                name = names.get(os.stat(f"/proc/{pid}/exe").st_ino)
            except OSError:
                continue
            if name:
                found[int(pid)] = name
        return found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if value is not None:
            print(f"---- log of the agent ----\n{self.log() if self.process else ''}----")
        self.remove()


def user_exists(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def make_user(name):
    """An ordinary user for tests; made once and left."""
    if not user_exists(name):
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    return pwd.getpwnam(name)
