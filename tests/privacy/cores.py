"""Core files while a test runs: the kernel hands them to a program of the test's, which keeps them.

That is the hardest setting for a process that must leave none: as with systemd-coredump, neither a
RLIMIT_CORE of 0 nor a folder that cannot be written stops it (core(5)). Where the kernel does not find the
program (it looks for it in the machine's own root, and a test may run in another), cores go to a folder.
Either way it is a setting of the whole machine: it is put back at the end, also if the test is killed, and
one test at a time may have it.
"""
import fcntl
import os
import resource
import shutil
import subprocess
import tempfile

from pattern import tool
from surroundings import Failure, wait_for

SETTING = "/proc/sys/kernel/core_pattern"


def can_be_set():
    return os.access(SETTING, os.W_OK)


class Cores:
    def __init__(self, test):
        self.lock = open("/run/cloister-core-pattern.lock", "w", encoding="ascii")
        test.addCleanup(self.lock.close)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.folder = tempfile.mkdtemp(prefix="cl-cores-", dir="/var/tmp")
        test.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o1777)  # any process could write there
        self._guard(test)
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))  # for what the test starts from now on
        catcher = os.path.join(self.folder, "catch")  # a short path: the setting holds 127 characters
        shutil.copy(tool("core_catcher"), catcher)
        self.piped = self._set(f"|{catcher} {self.folder} %P")
        if not self.piped and not self._set(f"{self.folder}/core.%p"):
            raise Failure("no setting makes this kernel write a core")

    @staticmethod
    def _guard(test):
        """Puts the setting back when its input ends, whatever this process has died of."""
        with open(SETTING, encoding="ascii") as f:
            before = f.read().rstrip("\n")
        guard = subprocess.Popen(["sh", "-c", f'cat; printf "%s\\n" "$1" > {SETTING}', "guard", before],
                                 stdin=subprocess.PIPE, start_new_session=True)

        def restore():
            guard.stdin.close()
            guard.wait(10)
        test.addCleanup(restore)

    def _set(self, value):
        """Whether a process leaves its core with this setting."""
        with open(SETTING, "w", encoding="ascii") as f:
            f.write(value + "\n")
        probe = subprocess.Popen(["sh", "-c", "kill -ABRT $$"], cwd=self.folder)
        probe.wait(10)
        try:
            return bool(wait_for("a core", lambda: os.path.exists(self.path(probe.pid)), deadline=3))
        except Failure:
            return False

    def path(self, pid):
        return os.path.join(self.folder, f"core.{pid}")

    def wait(self, pid):
        """The core of a process that must leave one."""
        wait_for(f"the core of process {pid}", lambda: os.path.exists(self.path(pid)))
        with open(self.path(pid), "rb") as f:
            return f.read()

    def begun(self):
        """Names of all cores, complete or not. The kernel starts to write before a dying process is
        gone."""
        return sorted(n for n in os.listdir(self.folder) if n != "catch")
