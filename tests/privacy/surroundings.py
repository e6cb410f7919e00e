"""A desktop, a console and an agent that is enrolled there, for the tests of consent and privacy."""
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../agent"))
from agent import BIN, Agent, Failure, wait_for
from console import Console, enrol
from desktop import Desktop
from pattern import Pattern, tool
from review import Review

WORKERS = ("vault", "capture", "uplink")


def sanitized():
    """Whether this build's programs run under AddressSanitizer, whose shadow memory and allocator
    make memory look like nothing that is shipped."""
    version = subprocess.run([os.path.join(BIN, "cloister-ticket"), "--version"], capture_output=True,
                             text=True, check=False).stdout
    return "sanitizer" in version


class Surroundings:
    """Adds its clean-up to the test."""

    def __init__(self, test, config=None, console=None, replace=None, wrapper=None, seed=None):
        self.test = test
        self.folder = tempfile.mkdtemp(prefix="cloister-helpdesk-", dir="/var/tmp")
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.console = console or Console()
        test.addCleanup(self.console.remove)
        self.console.start()
        self.desktop = Desktop(size="1024x768")
        test.addCleanup(self.desktop.remove)
        self.desktop.start()
        # Another one for each test: several run at a time, and one's cores are another's files.
        seed = seed or random.SystemRandom().getrandbits(48)
        print(f"\n    the pattern's seed is {seed}", flush=True)
        self.pattern = Pattern(seed)
        self.key = os.path.join(self.folder, "key")
        subprocess.run(["age-keygen", "-o", self.key], check=True, capture_output=True)
        recipient = subprocess.run(["age-keygen", "-y", self.key], check=True, capture_output=True,
                                   text=True).stdout.strip()
        self.agent = Agent({"capture": {"screenshots": "on", "cpu_percent": "100"},
                            "session": self.desktop.session(), "console": self.console.section(),
                            "ticket": {"recipients": recipient}, **(config or {})},
                           replace=replace, wrapper=wrapper)
        test.addCleanup(self.agent.remove)
        self.agent.start()
        self.agent.wait_serving(*WORKERS)
        enrol(self.agent, self.console)

    def frames(self):
        return self.agent.status()["capture"]["frames"]

    def trigger(self):
        """One more frame."""
        before = self.frames()
        self.desktop.xdotool("key", "F3")
        wait_for("a frame", lambda: self.frames() > before)

    def show_pattern(self):
        self.pattern.show(self.desktop)
        self.trigger()

    def client(self, name):
        """One of the tests' own X clients, as the desktop's user; it is there when this returns."""
        process = subprocess.Popen(self.desktop.as_user([tool(name)]), env=self.desktop.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.desktop.processes.append(process)
        with process.stdout as said:
            self.test.assertEqual(said.readline(), b"ready\n")
        return process

    def review(self, *args):
        """A ticket opened by hand, held at its prompt with all frames prepared."""
        review = Review(self.agent, self.desktop, *args)
        self.test.addCleanup(review.close)
        review.expect("ticket> ")
        return review

    def prepared(self, review):
        """Waits until every frame has been encoded."""
        def ready():
            review.say("list")
            return "still being prepared" not in review.expect(r"\d+ frames: [^\n]*").group(0)
        wait_for("all frames to be prepared", ready)

    def ticket(self, *args, user=None):
        """cloister-ticket as a script runs it."""
        command = [os.path.join(self.agent.bin, "cloister-ticket"), "--runtime", self.agent.runtime, *args]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                                  env={"PATH": "/usr/bin:/bin"})
        return self.desktop.run(*command)

    def open_bundle(self, number):
        """Opens a ticket with stock tools; returns the folder."""
        folder = os.path.join(self.folder, number)
        os.mkdir(folder)
        bundle = os.path.join(self.folder, f"{number}.age")
        self.console.command("ticket", number, "--out", bundle)
        subprocess.run(["bash", "-o", "pipefail", "-c",
                        f"age -d -i {self.key} {bundle} | lz4 -d -c | tar -x -C {folder}"], check=True)
        return folder
