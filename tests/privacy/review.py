"""cloister-ticket as a person at a terminal uses it."""
import os
import pty
import re
import select
import subprocess
import termios
import time

from agent import DEADLINE, Failure


class Review:
    def __init__(self, agent, desktop, *args):
        main, terminal = pty.openpty()
        attributes = termios.tcgetattr(terminal)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)
        command = [os.path.join(agent.bin, "cloister"), "ticket", "--runtime", agent.runtime, *args]
        self.process = subprocess.Popen(
            desktop.as_user(command), env=desktop.environment(), cwd=desktop.folder, stdin=terminal,
            stdout=terminal, stderr=terminal, start_new_session=True)
        os.close(terminal)
        self.main, self.text, self.seen = main, "", 0

    @property
    def pid(self):
        return self.process.pid

    def expect(self, pattern, deadline=DEADLINE):
        """Waits until what was printed since the last match contains `pattern`; returns the match."""
        end = time.monotonic() + deadline
        while True:
            match = re.compile(pattern, re.DOTALL).search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise Failure(f"cloister-ticket did not print {pattern!r}:\n{self.text}")

    def _read(self, seconds):
        if not select.select([self.main], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.main, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.text += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def say(self, line):
        os.write(self.main, line.encode() + b"\n")

    def cancel(self):
        """Gives up; returns the exit status."""
        self.say("cancel")
        self.expect("Nothing was sent")
        return self.process.wait(DEADLINE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.main >= 0:
            os.close(self.main)
        self.main = -1
