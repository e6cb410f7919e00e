"""The demonstration: a console, an agent, a desktop, one ticket from the screen to the help desk,
and a signed command.

usage: ./run demo [--out DIR]

Everything that it prints was measured in this run. Exit status: 0 if every step worked, else 1.
"""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from agent import BIN, Agent, Failure, wait_for
from console import Console, enrol
from desktop import Desktop
from isolation import worker_rows

STARTED = time.monotonic()


def say(text):
    print(f"\033[1m[{time.monotonic() - STARTED:5.1f} s]\033[0m {text}", flush=True)


def show(text):
    for line in text.rstrip().splitlines():
        print(f"          {line}", flush=True)


class RealDisplay:
    """The display that the caller sits at. Its user clicks; nobody else drives it."""

    def __init__(self):
        self.display = os.environ["DISPLAY"]
        self.user = os.environ.get("SUDO_USER") or "root"
        self.xauthority = os.environ.get("XAUTHORITY") or os.path.expanduser(f"~{self.user}/.Xauthority")

    @staticmethod
    def works():
        if not os.environ.get("DISPLAY", "").startswith(":") or os.environ.get("SUDO_USER") is None:
            return False  # without a user of its own the session would be root's
        return subprocess.run(["xdpyinfo"], capture_output=True, check=False).returncode == 0

    def start(self):
        return self

    def session(self):
        return {"source": "config", "display": self.display, "user": self.user,
                "xauthority": self.xauthority}

    def as_user(self, command):
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", "--", *command]

    def run(self, *command, timeout=60, **options):
        return subprocess.run(self.as_user(command), capture_output=True, text=True, timeout=timeout,
                              check=False, **options)

    def remove(self):
        pass


def frames_of(agent):
    return agent.status()["capture"]["frames"]


def wait_frames(agent, at_least):
    wait_for(f"{at_least} screenshots", lambda: frames_of(agent) >= at_least)


def work(agent, desktop):
    """What a user does: opens programs, types, clicks, presses function keys."""
    if isinstance(desktop, RealDisplay):
        say("click, press Return or a function key a few times, please (20 s)")
        wait_for("three screenshots", lambda: frames_of(agent) >= 3, deadline=20)
        return
    desktop.spawn(["xterm", "-fa", "DejaVu Sans Mono", "-fs", "12", "-geometry", "90x30+80+60",
                   "-title", "Terminal"])
    terminal = desktop.window("Terminal")
    desktop.spawn(["xcalc", "-geometry", "300x400+1200+120"])
    desktop.window("Calculator")
    before = frames_of(agent)
    desktop.click(400, 300)
    wait_frames(agent, before + 1)
    desktop.xdotool("windowfocus", "--sync", terminal)
    desktop.xdotool("type", "--delay", "5", "ls -l /etc/hostname; df -h /")
    typed = frames_of(agent)
    desktop.xdotool("key", "Return")
    wait_frames(agent, typed + 1)
    for x, y in ((1260, 420), (1320, 420), (1390, 330)):
        count = frames_of(agent)
        desktop.click(x, y)
        wait_frames(agent, count + 1)
    count = frames_of(agent)
    desktop.xdotool("key", "F5")
    wait_frames(agent, count + 1)


def ticket_program(agent, desktop, *args):
    command = [os.path.join(agent.bin, "cloister"), "ticket", "--runtime", agent.runtime, *args]
    result = desktop.run(*command, timeout=120)
    if result.returncode != 0:
        raise Failure(f"cloister ticket {' '.join(args)}: status {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


def file_ticket(agent, desktop):
    listed = ticket_program(agent, desktop, "--list", "--json")
    frames = listed["frames"]
    say(f"the user opens a ticket and sees {len(frames)} screenshots:")
    for frame in frames:
        show(f"{frame['number']:3}  {frame['trigger']:8}  {frame['width']}x{frame['height']}  {frame['title']}")
    say("drops the first, blackens a rectangle of the second, describes, and consents")
    sent = ticket_program(agent, desktop, "--json", "--yes", "--drop", f"id:{frames[0]['id']}", "--redact",
                          f"id:{frames[1]['id']}:100,100,400,80", "--until", frames[-1]["id"],
                          "--description", "The calculator does not add up.")
    say(f"ticket {sent['number']} arrived: {sent['screenshots']} screenshots, "
        f"{sent['sealed_bytes']} sealed bytes")
    return sent


def open_ticket(console, number, key, out):
    """What the help desk does, with stock tools alone."""
    bundle = os.path.join(out, "ticket.age")
    console.command("ticket", number, "--out", bundle)
    opened = os.path.join(out, "ticket")
    os.makedirs(opened, exist_ok=True)
    line = f"age -d -i {key} {bundle} | lz4 -d -c | tar -x -C {opened}"
    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True)
    images = sorted(os.listdir(os.path.join(opened, "frames")))
    for image in images:
        path = os.path.join(opened, "frames", image)
        subprocess.run(["dwebp", "-quiet", path, "-o", path.replace(".webp", ".png")], check=True)
    with open(os.path.join(opened, "description.txt"), encoding="utf-8") as f:
        description = f.read().strip()
    say(f"the help desk opens it with age, lz4 and tar: {len(images)} images, \"{description}\"")
    return images


class Signer:
    """Somebody who signs commands, off line: one key, whose public half the vault is stamped with."""

    def __init__(self, folder):
        self.folder = folder
        self.key = os.path.join(folder, "ops.pem")
        self.passphrase = os.path.join(folder, "ops.passphrase")
        self.vault = os.path.join(folder, "cloister-vault")
        with open(self.passphrase, "w", encoding="utf-8") as f:
            f.write("correct horse battery staple\n")
        unlock = ["--passphrase-file", self.passphrase]
        self.run("keygen", "--kid", "ops", "--out", self.key, *unlock)
        keys = os.path.join(folder, "keys.jwks")
        jwk = os.path.join(folder, "ops.jwk")
        for path, arguments in ((jwk, ["jwk", "--key", self.key, "--kid", "ops", "--profile", "diagnostic",
                                       *unlock]), (keys, ["keys", jwk])):
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.run(*arguments))
        self.stamped = self.run("stamp", "--keys", keys, "--out", self.vault, os.path.join(BIN, "cloister-vault"))

    @staticmethod
    def run(*arguments):
        result = subprocess.run([os.path.join(BIN, "cloister-sign"), *arguments], capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise Failure(f"cloister-sign {arguments[0]}: {result.stderr.strip()}")
        return result.stdout

    def sign(self, machine, *command, **options):
        """The path of a token; `options` as cloister-sign's, with _ for -."""
        path = os.path.join(self.folder, f"command-{len(os.listdir(self.folder))}.jws")
        extra = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        self.run("sign", "--key", self.key, "--kid", "ops", "--passphrase-file", self.passphrase, "--state",
                 self.folder, "--machine", machine, "--out", path, *extra, "--", *command)
        return path


def tamper(path):
    """A token with one character of its payload changed."""
    with open(path, encoding="ascii") as f:
        header, payload, signature = f.read().strip().split(".")
    middle = len(payload) // 2
    changed = payload[:middle] + ("A" if payload[middle] != "A" else "B") + payload[middle + 1:]
    with open(path, "w", encoding="ascii") as f:
        f.write(f"{header}.{changed}.{signature}")
    return path


def push(console, machine, path, *options):
    """Queues a token; returns its id."""
    return console.json("push", path, "--machine", machine, *options)[0]["token"]


def outcome(console, identity):
    """What became of the command that was pushed last under that id."""
    def ended():
        row = [r for r in console.json("commands") if r["token"] == identity][-1]
        return row if row["state"] in ("done", "refused") else None
    return wait_for("the command to end", ended)


def show_processes(agent):
    """The tree of them, folders left out."""
    tree = subprocess.run(["ps", "-o", "user:18,pid,ppid,nlwp,args", "--forest", "-p",
                           ",".join(map(str, agent.processes()))], capture_output=True, text=True, check=True)
    show(tree.stdout.replace(agent.bin + "/", "").replace(agent.folder + "/", ""))


def run_commands(agent, console, machine, signer):
    """A command that runs, and three that do not."""
    good = signer.sign(machine, "/bin/sh", "-c", "id; grep PRETTY_NAME /etc/os-release; ls /home /root 2>&1; "
                       "grep -c : /proc/net/dev; sleep 1")
    identity = push(console, machine, good)
    say("a signed command is pushed; while it runs:")
    wait_for("the command to run", lambda: "cloister-command" in agent.processes().values())
    show_processes(agent)
    row = outcome(console, identity)
    if row["state"] != "done" or row["receipt"]["decision"] != "run":
        raise Failure(f"the signed command did not run: {row}")
    output = subprocess.run([console.program, "outputs", row["token"], "--stdout", "--raw", "--state", console.state],
                            capture_output=True, check=True).stdout
    say(f"it ran in its box: exit {row['receipt']['exit']}, and the console has what it wrote:")
    show(output.decode())
    if hashlib.sha256(output).hexdigest() != row["receipt"]["stdout"]["sha256"]:
        raise Failure("the output is not what the receipt says")
    receipt = os.path.join(signer.folder, "receipt.jws")
    with open(receipt, "w", encoding="ascii") as f:
        f.write(console.command("receipts", row["token"], "--raw"))
    key = json.loads(agent.run("cloister", "identity", "--json", check=True).stdout)["public_key"]
    signer.run("verify-receipt", receipt, "--public-key", key)
    say("its receipt, signed by the machine, holds: cloister-sign verify-receipt")
    past = int(time.time()) - 7200
    refused = [outcome(console, push(console, machine, *case))["reason"] for case in (
        (tamper(signer.sign(machine, "/bin/true")),),
        (good, "--again"),
        (signer.sign(machine, "/bin/true", not_before=f"@{past}", expires=f"@{past + 3600}"),))]
    say(f"refused: one that was tampered with ({refused[0]}), a replayed one ({refused[1]}), an expired one "
        f"({refused[2]})")
    if refused != ["signature", "replayed", "expired"]:
        raise Failure(f"refused for other reasons: {refused}")
    return {"accepted": True, "exit": row["receipt"]["exit"],
            "output_sha256": row["receipt"]["stdout"]["sha256"], "refused": refused}


def show_isolation(rows):
    say("the workers, as /proc shows them now:")
    show(f"{'worker':10}{'pid':>7}{'uid':>6}  {'CapEff':17}{'Seccomp':>8}{'calls':>6}{'NNP':>4}"
         f"{'Landlock':>9}  own namespaces")
    for row in rows:
        show(f"{row['name']:10}{row['pid']:>7}{row['uid']:>6}  {row['cap_eff']:17}"
             f"{row['seccomp_mode']:>8}{row['seccomp_syscalls'] or '':>6}{row['no_new_privs']:>4}"
             f"{row['landlock_abi'] or '':>9}  {' '.join(row['namespaces'])}")


def clear_earlier(folder):
    """What an earlier demo left here, and nothing else."""
    shutil.rmtree(os.path.join(folder, "ticket"), ignore_errors=True)
    for name in ("ticket.age", "helpdesk.key", "summary.json"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            os.unlink(path)


def make_key(folder):
    key = os.path.join(folder, "helpdesk.key")
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True)
    return key, recipient.stdout.strip()


def run(out, cleanup):
    console = Console()
    cleanup.append(console.remove)
    console.start()
    say(f"the console listens on {console.name}:{console.port}, with a CA of its own")
    desktop = RealDisplay() if RealDisplay.works() else Desktop()
    cleanup.append(desktop.remove)
    desktop.start()
    say(f"the desktop is display {desktop.display}, its user {desktop.user}")
    key, recipient = make_key(out)
    folder = tempfile.mkdtemp(prefix="cloister-signer-")
    cleanup.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    signer = Signer(folder)
    say("a signing key was made, off line, and its public half stamped into the vault")
    agent = Agent({"capture": {"screenshots": "on"}, "session": desktop.session(),
                   "console": console.section(), "ticket": {"recipients": recipient}},
                  replace={"cloister-vault": signer.vault})
    cleanup.append(agent.remove)
    agent.start()
    agent.wait_serving("vault", "capture", "uplink")
    say("the agent stands: broker, vault, capture and uplink are locked and serve")
    machine = enrol(agent, console)
    say(f"enrolled with a token and approved by fingerprint: machine {machine[:16]}...")
    try:
        work(agent, desktop)
        say(f"the user worked; {frames_of(agent)} screenshots are in memory, encrypted")
        sent = file_ticket(agent, desktop)
        images = open_ticket(console, sent["number"], key, out)
        command = run_commands(agent, console, machine, signer)
        rows = worker_rows(agent)
        show_isolation(rows)
    except Exception:
        show(agent.log())
        raise
    if len(images) != sent["screenshots"]:
        raise Failure(f"{sent['screenshots']} screenshots were sent and {len(images)} arrived")
    return {"ticket": {"id": sent["number"], "screenshots": len(images),
                       "sealed_bytes": sent["sealed_bytes"], "opened_with_age": True},
            "command": command,
            "workers": [row for row in rows if row["name"] != "cloisterd"],
            "monitor": next(row for row in rows if row["name"] == "cloisterd")}


def main():
    parser = argparse.ArgumentParser(prog="./run demo", description="Show Cloister at work.")
    parser.add_argument("--out", metavar="DIR", help="leave the images and summary.json in DIR")
    out = parser.parse_args().out
    folder = os.path.abspath(out) if out else tempfile.mkdtemp(prefix="cloister-demo-")
    os.makedirs(folder, exist_ok=True)
    clear_earlier(folder)
    cleanup, summary, status = [], None, 1
    try:
        summary = run(folder, cleanup)
        status = 0
    except (Failure, subprocess.SubprocessError, KeyError, OSError, ValueError) as error:
        say(f"FAILED: {error}")
    finally:
        for step in reversed(cleanup):
            step()
    if summary and out:
        with open(os.path.join(folder, "summary.json"), "w", encoding="utf-8") as f:
            json.dump(summary, f, indent=2)
            f.write("\n")
        say(f"images and summary.json are in {folder}")
    if not out:
        shutil.rmtree(folder, ignore_errors=True)
    say("done" if status == 0 else "not done")
    return status


if __name__ == "__main__":
    sys.exit(main())
