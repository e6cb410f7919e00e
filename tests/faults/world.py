"""Everything that a ticket passes through, for tests that break it: a desktop that shows noise (which
nothing can compress), an agent, a link that can stand still, a console, the help desk's key."""
import collections
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../agent"))
from agent import Agent, Failure, make_user, wait_for
from console import Console, enrol
from desktop import Desktop
from link import Link
from typist import CLEAR, CODES, Typist

STANDING = {"cloisterd", "cloister-broker", "cloister-vault", "cloister-capture", "cloister-uplink"}
RECOVERY = 40.0  # seconds within which everything stands again, on a busy machine


def noise_picture(path, width, height):
    """An X window dump (XWD, version 7) of random pixels."""
    name = b"noise\0"
    header = struct.pack(">25I", 100 + len(name), 7, 2, 24, width, height, 0, 0, 32, 0, 32, 32,
                         4 * width, 4, 0xff0000, 0xff00, 0xff, 8, 0, 0, width, height, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(header + name + os.urandom(4 * width * height))
    os.chmod(path, 0o644)


class World:
    def __init__(self, config=None, console_config=None, server="Xvfb", size="640x480", noise=True,
                 console_state=None):
        self.cleanup = []
        try:
            self.console = self._keep(Console(config=console_config, state=console_state), Console.remove)
            self._build(config or {}, server, size, noise)
        except BaseException:
            self.close()
            raise

    def _build(self, config, server, size, noise):
        self.folder = self._keep(tempfile.mkdtemp(prefix="cloister-faults-", dir="/var/tmp"),
                                 lambda f: shutil.rmtree(f, ignore_errors=True))
        os.chmod(self.folder, 0o755)
        self.console.start()
        self.link = self._keep(Link(self.console.port), Link.close)
        self.desktop = self._keep(Desktop(size=size, server=server), Desktop.remove)
        self.desktop.start()
        if noise:
            self.show_noise()
        self.key = os.path.join(self.folder, "helpdesk.key")
        subprocess.run(["age-keygen", "-o", self.key], check=True, capture_output=True)
        recipient = subprocess.run(["age-keygen", "-y", self.key], check=True, capture_output=True,
                                   text=True).stdout.strip()
        sections = {"capture": {"screenshots": "on", "cpu_percent": "100"},
                    "session": self.desktop.session(),
                    "console": {**self.console.section(), "port": str(self.link.port)},
                    "ticket": {"recipients": recipient}}
        for section, keys in config.items():
            sections.setdefault(section, {}).update(keys)
        self.agent = self._keep(Agent(sections), Agent.remove)
        self.described = 0
        self.monitors = set()  # pids of every cloisterd that ran

    def _keep(self, thing, end):
        self.cleanup.append(lambda: end(thing))
        return thing

    def begin(self):
        self.agent.start()
        self.monitors.add(self.agent.process.pid)
        self.agent.wait_serving("vault", "capture", "uplink")
        enrol(self.agent, self.console)
        self.wait_standing()
        return self

    def left_behind(self):
        """After a clean stop: processes, control groups and mounts that are still there."""
        groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup")
                  if (name := os.path.basename(folder)).startswith("cloister-")
                  and int(name.split("-")[1]) in self.monitors]
        with open("/proc/self/mounts", encoding="utf-8") as f:
            mounts = [line for line in f if self.agent.runtime in line]
        return [*self.running(), *groups, *mounts]

    def close(self):
        for step in reversed(self.cleanup):
            step()

    # ---- the desktop ----

    def show_noise(self, width=440, height=400):
        picture = os.path.join(self.folder, "noise.xwd")
        noise_picture(picture, width, height)
        for _ in range(10):
            shown = self.desktop.spawn(["xwud", "-in", picture, "-geometry", "+20+20"])
            try:
                return wait_for("the noise", self.noise_is_shown, 3)
            except Failure:
                shown.kill()  # openbox forgets windows that come while it starts
        raise Failure("no noise on the screen")

    def noise_is_shown(self):
        return self.desktop.run("xdotool", "search", "--onlyvisible", "--name", "noise").stdout

    def frames(self):
        state = self.state()
        return state["capture"]["frames"] if state else 0

    def gather(self, count=3):
        """Presses F3 until there are that many frames."""
        while (have := self.frames()) < count:
            self.desktop.xdotool("key", "F3")
            wait_for("a frame", lambda: self.frames() > have)

    # ---- the agent ----

    def state(self):
        """The agent's status, or None while nobody answers."""
        try:
            return self.agent.status()
        except (Failure, ValueError):
            return None

    def standing(self):
        """Whether everything serves, the console is connected, and just what should runs, once."""
        state = self.state()
        if not state or not all(w["state"] == "serving" for w in state["workers"]
                                if w["name"] in ("vault", "capture", "uplink")):
            return False
        running = self.running()
        del running["cloister-ticket"]
        return state["connection"]["phase"] == "approved" and \
            state["capture"]["phase"] == "capturing" and running == collections.Counter(STANDING)

    def running(self):
        """How many processes run of each program of the agent."""
        return collections.Counter(self.agent.processes().values())

    def wait_standing(self, deadline=RECOVERY):
        try:
            wait_for("everything to stand", self.standing, deadline)
        except Failure as failure:
            raise Failure(f"{failure}\nruns: {self.running()}\nstatus: {self.state()}\n"
                          f"{self.agent.log()}") from None

    def pid(self, program):
        return wait_for(f"{program} to run", lambda: next(
            (pid for pid, name in self.agent.processes().items() if name == program), None))

    def kill(self, program):
        """SIGKILL, and what an administrator's service manager would do: cloisterd and the console
        are started again, by restart()."""
        if program == "cloister-console":
            self.console.stop(signal.SIGKILL)
        elif program == "cloisterd":
            self.agent.process.kill()
            self.agent.process.wait()
        else:
            try:
                os.kill(self.pid(program), signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself in between

    def restart(self):
        for process, log in ((self.console.process, self.console), (self.agent.process, self.agent)):
            if process.poll() not in (None, -signal.SIGKILL):
                raise Failure(f"{process.args[0]} ended with {process.returncode}:\n{log.log()}")
        if self.console.process.poll() is not None:
            self.console.start()
        if self.agent.process.poll() is not None:
            self.agent.start(wait=False)
            self.monitors.add(self.agent.process.pid)

    def recover(self, deadline=RECOVERY):
        self.link.thaw()
        self.restart()
        self.wait_standing(deadline)

    # ---- tickets ----

    def description(self):
        self.described += 1
        return f"Ticket number {self.described} of this test."

    def typist(self, description, *options):
        return Typist(self.agent, self.desktop, "--description", description, *options)

    def script(self, *options, timeout=120):
        """`cloister ticket` without a terminal."""
        program = os.path.join(self.agent.bin, "cloister")
        return self.desktop.run(program, "ticket", "--runtime", self.agent.runtime, *options,
                                timeout=timeout)

    def unfinished(self):
        return self.console.json("tickets", "--incomplete")

    def stored(self):
        """Bytes of unfinished bundles in the console's folder; its database notes them later."""
        folder = os.path.join(self.console.state, "incoming")
        return sum(os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder))

    def open_ticket(self, number):
        """What the help desk does. Returns (description, names of the images, folder)."""
        bundle = os.path.join(self.folder, f"{number}.age")
        opened = os.path.join(self.folder, number)
        shutil.rmtree(opened, ignore_errors=True)
        os.mkdir(opened)
        self.console.command("ticket", number, "--out", bundle, "--force")
        line = f"age -d -i {self.key} {bundle} | lz4 -d -c | tar -x -C {opened}"
        subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, capture_output=True)
        frames = os.path.join(opened, "frames")
        with open(os.path.join(opened, "description.txt"), encoding="utf-8") as f:
            text = f.read().strip()
        return text, sorted(os.listdir(frames)) if os.path.isdir(frames) else [], opened


class FaultsCase(unittest.TestCase):
    """Tests that share a world, and mend it before each. In the end nothing may be left of it."""
    options = {}

    @classmethod
    def tearDownClass(cls):
        cls.world.link.thaw()
        status = cls.world.agent.stop()
        left = cls.world.left_behind()
        if status != 0 or left:
            raise Failure(f"cloisterd ended with {status} and left {left}")

    @classmethod
    def setUpClass(cls):
        cls.world = World(**cls.options)
        cls.addClassCleanup(cls.world.close)
        cls.world.begin()

    def setUp(self):
        self.world.recover()
        self.told = {}  # number: description

    def tearDown(self):
        self.doCleanups()
        self.assertNotIn("cloister-ticket", self.world.running())

    def typist(self, *options):
        self.said = self.world.description()
        typist = self.world.typist(self.said, *options)
        self.addCleanup(typist.close)
        return typist

    def check_told(self, typist, deadline=RECOVERY):
        """The program ended with a number, which the console has."""
        code, number = typist.end(deadline)
        self.assertEqual(code, 0, typist.text + self.world.agent.log())
        self.assertTrue(number, typist.text)
        self.check_at_console(number, self.said)
        return number

    def check_clear_error(self, typist, deadline=RECOVERY):
        """It ended without a number, and said why."""
        code, number = typist.end(deadline)
        self.assertIn(code, CODES, typist.text)
        self.assertIsNone(number, typist.text)
        self.assertRegex(typist.text, CLEAR)

    def check_at_console(self, number, description):
        """There once, whole, and opened by age; returns the images' names."""
        found = [t for t in self.world.console.tickets() if t["number"] == number]
        self.assertEqual(len(found), 1)
        text, images, _ = self.world.open_ticket(number)
        self.assertEqual(text, description)
        return images

    def check_console(self):
        """Every ticket that the console shows is whole, opens, and is nobody else's again."""
        seen = collections.Counter()
        for ticket in self.world.console.tickets():
            self.assertEqual(ticket["have"], ticket["chunks"], ticket)
            seen[self.world.open_ticket(ticket["number"])[0]] += 1
        self.assertFalse([text for text, count in seen.items() if count > 1])
        return seen
