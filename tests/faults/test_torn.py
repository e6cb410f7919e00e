"""Full disks and folders that cannot be written, at the console and at the agent."""
import contextlib
import os
import subprocess
import unittest

from world import Agent, Console, Failure, FaultsCase, wait_for

MIB = 1 << 20


class Disk:
    """A small file system of its own."""

    def __init__(self, path, size):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "faults", path], check=True)

    def fill(self, leave=0):
        """Takes all of its space but `leave` bytes."""
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f, \
                contextlib.suppress(OSError):
            while True:
                f.write(bytes(4096))
        if leave:
            os.truncate(f.name, max(0, os.path.getsize(f.name) - leave))

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "filler"))

    def read_only(self, on):
        subprocess.run(["mount", "-o", "remount," + ("ro" if on else "rw"), self.path], check=True)

    def remove(self):
        subprocess.run(["umount", "-l", self.path], check=True)


class ConsoleDisk(FaultsCase):
    """The console's state lies on a small disk."""

    @classmethod
    def setUpClass(cls):
        folder = "/run/cloister-faults-disk-%d" % os.getpid()
        cls.disk = Disk(folder, 64 * MIB)
        cls.addClassCleanup(lambda: os.rmdir(folder))
        cls.addClassCleanup(cls.disk.remove)
        cls.options = {"console_state": os.path.join(folder, "state")}
        super().setUpClass()

    def setUp(self):
        self.disk.free()
        self.disk.read_only(False)
        super().setUp()
        self.world.gather(4)

    def agent_goes_on(self):
        state = self.world.state()
        self.assertTrue(all(w["state"] == "serving" for w in state["workers"]
                            if w["name"] in ("vault", "capture")), state)

    def test_a_disk_that_is_full_from_the_start(self):
        self.disk.fill()
        self.refused_then_taken()

    def test_a_disk_that_fills_up_in_the_middle_of_a_bundle(self):
        self.disk.fill(leave=1_400_000)
        self.refused_then_taken()

    def refused_then_taken(self):
        before = self.world.console.tickets()
        typist = self.typist().review().consent()
        typist.expect(r"(?i)storage|could not store")
        self.assertIsNone(typist.process.poll())
        self.assertEqual(self.world.console.tickets(), before)
        self.agent_goes_on()
        self.disk.free()
        self.check_told(typist, deadline=60)

    def test_a_script_does_not_wait_for_ever(self):
        self.disk.fill()
        result = self.world.script("--keep", "all", "--yes", "--description", "full", timeout=90)
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertRegex(result.stderr, r"(?i)storage|could not store")


class VaultGone(FaultsCase):
    """A vault that cannot be started when the user consents."""

    def setUp(self):
        super().setUp()
        self.world.gather()
        self.program = os.path.join(self.world.agent.bin, "cloister-vault")
        self.addCleanup(os.chmod, self.program, 0o755)

    def stop_the_vault(self):
        os.chmod(self.program, 0o777)  # not root's alone: the monitor does not start it
        self.world.kill("cloister-vault")
        wait_for("the vault to be away",
                 lambda: "cloister-vault" not in self.world.running())

    def test_a_person_is_told_and_waits(self):
        typist = self.typist().review().ask_to_send()
        self.stop_the_vault()
        typist.type("yes")
        typist.expect("Not sent yet: the vault (is not running|ended before it signed)")
        os.chmod(self.program, 0o755)
        self.check_told(typist)

    def test_a_script_is_told_and_ends(self):
        self.stop_the_vault()
        result = self.world.script("--keep", "all", "--yes", "--description", "no vault", timeout=90)
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertIn("the ticket could not be sent: the vault is not running", result.stderr)


class VaultDisk(unittest.TestCase):
    """The agent's state lies on a small disk: no key can be made, or kept."""

    def begin(self):
        self.console = Console()
        self.addCleanup(self.console.remove)
        self.console.start()
        self.agent = Agent({"console": self.console.section()})
        self.addCleanup(self.agent.remove)
        self.disk = Disk(self.agent.state, 4 * MIB)
        self.addCleanup(self.disk.remove)

    def check_says_so_then_works(self, words):
        self.agent.start()
        self.agent.wait_log(words)
        identity = self.agent.run("cloister", "identity")
        self.assertNotEqual(identity.returncode, 0)
        self.assertTrue(identity.stderr.strip())
        self.assertIn(words, identity.stderr + self.agent.worker("vault")["reason"])
        broker = [p for p, n in self.agent.processes().items() if n == "cloister-broker"]
        self.disk.read_only(False)
        self.disk.free()
        wait_for("an identity", lambda: self.agent.run("cloister", "identity").returncode == 0)
        self.assertEqual(broker, [p for p, n in self.agent.processes().items()
                                  if n == "cloister-broker"])

    def test_full_before_the_first_key(self):
        self.begin()
        self.disk.fill()
        self.check_says_so_then_works("No space left on device")

    def test_read_only_before_the_first_key(self):
        self.begin()
        self.disk.read_only(True)
        self.check_says_so_then_works("Read-only file system")

    def test_full_after_the_first_key_changes_nothing(self):
        self.begin()
        self.agent.start()
        self.agent.wait_serving("vault")
        before = self.agent.run("cloister", "identity", check=True).stdout
        self.agent.stop()
        self.disk.fill()
        self.disk.read_only(True)
        self.agent.start()
        self.agent.wait_serving("vault")
        self.assertEqual(self.agent.run("cloister", "identity", check=True).stdout, before)
        self.disk.read_only(False)
        refused = self.agent.run("cloister", "key", "reset", "--yes")
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(self.agent.run("cloister", "identity", check=True).stdout, before)


class ConsoleReadOnly(unittest.TestCase):
    def test_it_says_why_it_does_not_start(self):
        folder = "/run/cloister-faults-ro-%d" % os.getpid()
        disk = Disk(folder, MIB)
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(disk.remove)
        disk.read_only(True)
        console = Console(state=os.path.join(folder, "state"))
        self.addCleanup(console.remove)
        with self.assertRaisesRegex(Failure, "Read-only file system"):
            console.start()
        self.assertEqual(console.process.returncode, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
