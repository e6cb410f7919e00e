"""Signed commands from end to end, against ssh over a connection that stands and against bubblewrap."""
import hashlib
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../commands"))
from agent import Agent, Failure, make_user, wait_for
from console import free_port
from foreign import TOKEN, ForeignConsole, head
from signed import Desk, Keys, token_id

USER = "cloister-demo"
ROUNDS, WARM_UP = 60, 5
OUTPUT_RUNS = 5
OUTPUT_BYTES = 100 << 20
HEAD = ["/usr/bin/head", "-c", str(OUTPUT_BYTES), "/dev/zero"]
QUEUED = 1000
SSH = "ssh over a connection that stands"
BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]


def run_program(*command, out=subprocess.DEVNULL, deadline_s=60):
    """Waits for the very moment that it ends: with a time-out, subprocess looks from time to time."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
    pidfd = os.pidfd_open(process.pid)
    try:
        if not select.select([pidfd], [], [], deadline_s)[0]:
            process.kill()
        if process.wait() != 0:
            raise Failure(f"{' '.join(command)}: status {process.returncode}")
    finally:
        os.close(pidfd)


class Ssh:
    """A server of our own on the loopback, and a connection to it that later ones share."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cloister-ssh-", dir="/var/tmp")
        self.server = self.master = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        user = make_user(USER)
        os.chmod(self.folder, 0o755)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(key)], check=True)
        shutil.copy(self.path("user.pub"), self.path("authorized"))
        os.chown(self.path("authorized"), user.pw_uid, user.pw_gid)
        self.port = free_port()
        with open(self.path("config"), "w", encoding="utf-8") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\n"
                    f"AuthorizedKeysFile {self.path('authorized')}\nPidFile none\nUsePAM yes\n"
                    "PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\n")
        with open(self.path("log"), "wb") as log:
            self.server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.path("config")],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            wait_for("sshd", self._listens)
            self.master = subprocess.Popen(
                ["ssh", "-M", "-N", "-S", self.path("master"), "-i", self.path("user"), "-F", "none",
                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                 "-p", str(self.port), f"{USER}@127.0.0.1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("ssh's connection", lambda: os.path.exists(self.path("master")))
        return self

    def _listens(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as f:
            return "Server listening" in f.read()

    def run(self, *command, out=subprocess.DEVNULL):
        run_program("ssh", "-S", self.path("master"), "-F", "none", "-p", str(self.port),
                    f"{USER}@127.0.0.1", *command, out=out)

    def remove(self):
        for process in (self.master, self.server):
            if process:
                process.terminate()
                process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class TimedConsole(ForeignConsole):
    """Notes when a token was sent and when its receipt was here."""

    def __init__(self):
        self.sent, self.received = {}, {}
        super().__init__()

    async def _take(self, socket, message):
        now = time.monotonic()
        if isinstance(message, str) and '"command_receipt"' in message:
            identity = message[message.index('"token"') + 8:].split('"')[1]
            self.received.setdefault(identity, now)
        await super()._take(socket, message)

    def run(self, token, deadline=60):
        """Seconds from the frame with the token to the receipt of a command that exited with 0."""
        data = token.encode()
        identity = hashlib.sha256(data).hexdigest()[:32]
        frame = head(TOKEN, identity) + data
        before = time.monotonic()
        self.raw(frame)
        wait_for("a receipt", lambda: self.of(identity).receipt, deadline, 0.005)
        if self.of(identity).payload().get("exit") != 0:
            raise Failure(f"the command did not run: {self.of(identity).payload()}")
        return self.received[identity] - before


class ForeignDesk:
    """An agent with keys of its own at a foreign console."""

    def __init__(self):
        self.keys, self.console = Keys(), TimedConsole()
        self.agent = Agent({"console": self.console.section()},
                           replace={"cloister-vault": self.keys.stamp()})
        try:
            self.agent.start()
            self.console.wait_connection()
            self.machine = self.console.machine
        except Exception:
            self.remove()
            raise

    def remove(self):
        self.agent.remove()
        self.console.remove()
        self.keys.remove()


def sign_many(desk, count, argv=None, **members):
    """Tokens in the order of their sequence numbers."""
    now = int(time.time())  # not before the replay store's epoch
    payloads = [desk.keys.command([desk.machine], argv, nbf=now, **members) for _ in range(count)]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(desk.keys.sign, payloads))


def seconds(call):
    start = time.monotonic()
    call()
    return time.monotonic() - start


def measure(table):
    ssh = foreign = desk = None
    try:
        ssh, foreign, desk = Ssh().start(), ForeignDesk(), Desk()
        measure_latency(table, ssh, foreign, desk)
        measure_output(table, ssh, foreign, desk)
        measure_queue(table, desk)
    finally:
        for thing in (ssh, foreign, desk):
            if thing:
                thing.remove()


# ---- one command after the other

def at_console(desk, command, *args, **options):
    run_program(desk.console.program, command, *args, "--state", desk.console.state, **options)


def push_and_wait(desk, token):
    """As somebody at the console does it: two programs, the second until the receipt is stored."""
    path = os.path.join(desk.keys.folder, "one.jws")
    with open(path, "w", encoding="utf-8") as f:
        f.write(token)
    at_console(desk, "push", path, "--machine", desk.machine)
    at_console(desk, "outputs", token_id(token), "--wait")


def measure_latency(table, ssh, foreign, desk):
    count = ROUNDS + WARM_UP
    ours, theirs = sign_many(foreign, count), sign_many(desk, count)
    found = {name: [] for name in ("ssh", "bwrap", "foreign", "console")}
    for i in range(count):
        found["ssh"].append(seconds(lambda: ssh.run("true")))
        found["foreign"].append(foreign.console.run(ours[i]))
        found["bwrap"].append(seconds(lambda: run_program(*BWRAP)))
        found["console"].append(seconds(lambda: push_and_wait(desk, theirs[i])))
    ms = {name: statistics.median(values[WARM_UP:]) * 1000 for name, values in found.items()}
    name = "signed command to exit status, diagnostic, /bin/true"
    table.add(name, ms["foreign"], "ms", SSH, ms["ssh"], target=2, of="ratio", digits=2)
    table.add(name, ms["foreign"], "ms", " ".join(BWRAP), ms["bwrap"], target=4, of="ratio", digits=2)
    table.add("the same, 90th percentile", percentile(found["foreign"]) * 1000, "ms", SSH,
              percentile(found["ssh"]) * 1000, digits=2)
    table.add("the same at the reference console, by push and outputs --wait", ms["console"], "ms", SSH,
              ms["ssh"], digits=2)


def percentile(values):
    return sorted(values[WARM_UP:])[ROUNDS * 9 // 10]


# ---- 100 MiB

def ssh_to_file(ssh):
    with open(ssh.path("out"), "wb") as out:
        ssh.run("/usr/bin/head", "-c", str(OUTPUT_BYTES), "/dev/zero", out=out)
    os.remove(ssh.path("out"))


def measure_output(table, ssh, foreign, desk):
    members = {"output_bytes": OUTPUT_BYTES}
    ours = sign_many(foreign, OUTPUT_RUNS, HEAD, **members)
    theirs = sign_many(desk, OUTPUT_RUNS, HEAD, **members)
    found = {name: [] for name in ("ssh", "foreign", "console")}
    for i in range(OUTPUT_RUNS):
        found["ssh"].append(seconds(lambda: ssh_to_file(ssh)))
        found["foreign"].append(foreign.console.run(ours[i]))
        foreign.console.of(token_id(ours[i])).chunks.clear()
        found["console"].append(run_at_console(desk, theirs[i]))
    took = {name: statistics.median(values) for name, values in found.items()}
    for name, which in (("reference", "console"), ("foreign", "foreign")):
        table.add(f"a command's 100 MiB of output until its receipt, {name} console", took[which], "s",
                  SSH, took["ssh"], target=2, of="ratio")


def run_at_console(desk, token):
    """Seconds from push to the receipt, by the console's clock; output and receipt are durable by then."""
    [row] = desk.wait_ended(*desk.push(token))
    at_console(desk, "outputs", row["token"], "--out", desk.keys.folder, "--force")
    size = os.stat(os.path.join(desk.keys.folder, "stdout")).st_size
    if size != OUTPUT_BYTES:
        raise Failure(f"{size} bytes of output")
    return (row["ended_time_ms"] - row["pushed_time_ms"]) / 1000


# ---- a queue

def measure_queue(table, desk):
    desk.agent.stop()
    tokens = sign_many(desk, QUEUED)
    ids = desk.push(*tokens)
    before = runs_of(desk)
    desk.agent.start()
    at_console(desk, "outputs", ids[-1], "--wait", deadline_s=300)
    receipts = [row.get("receipt") for row in map(desk.commands().get, ids)]
    answered = [receipt for receipt in receipts if receipt and receipt.get("exit") == 0]
    accepted = [receipt["accepted_time_ms"] for receipt in answered]
    took_ms = max(receipt["ended_time_ms"] for receipt in answered) - min(accepted)
    table.add(f"{QUEUED:,} commands queued while the agent is away: not answered", QUEUED - len(answered),
              "commands", target=0)
    table.add("run out of order", sum(a > b for a, b in zip(accepted, accepted[1:])), "commands", target=0)
    table.add("run twice", runs_of(desk) - before - len(answered), "commands", target=0)
    table.add("from the first's acceptance to the last's end", took_ms / 1000, "s")
    table.add("a command of them", took_ms / QUEUED, "ms")


def runs_of(desk):
    """How many commands the agent says that it has started."""
    return desk.agent.log().count(" of ops (diagnostic) is started")
