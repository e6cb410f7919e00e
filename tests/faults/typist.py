"""A person who files a ticket: `cloister ticket` in a terminal."""
import contextlib
import os
import pty
import re
import subprocess
import threading

from agent import DEADLINE, Failure, wait_for

TOLD = re.compile(r"The help desk has your ticket: (T-\d+)")
# What a person may read when there is no ticket number: the words of docs/ticket.md.
CLEAR = re.compile(r"the agent ended the ticket|the ticket could not be sent: \S|the agent does not run|"
                   r"the agent ended the connection|the connection is gone|the agent is gone|"
                   r"the agent does not answer|cannot reach the agent: \S|the agent refused: \S|the agent does not take the consent",
                   re.I)
CODES = {1, 4, 5, 7}  # docs/exit-codes.md: of a ticket that came to nothing by no fault of the user


class Typist:
    def __init__(self, agent, desktop, *options):
        self.text = ""
        master, slave = pty.openpty()
        self.terminal = master
        command = [os.path.join(agent.bin, "cloister"), "ticket", "--runtime", agent.runtime, *options]
        self.process = subprocess.Popen(desktop.as_user(command), env=desktop.environment(),
                                        cwd=desktop.folder, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while part := os.read(self.terminal, 65536):
                self.text += part.decode(errors="replace")

    def expect(self, pattern, deadline=DEADLINE):
        """Waits until the screen shows `pattern`."""
        def shown():
            if match := re.search(pattern, self.text):
                return match
            if self.process.poll() is not None:
                self.reader.join(2)
                raise Failure(f"cloister ticket ended with {self.process.returncode} before it said "
                              f"{pattern!r}:\n{self.text}")
            return None
        try:
            return wait_for(f"{pattern!r}", shown, deadline)
        except Failure as failure:
            raise Failure(f"{failure}; the screen:\n{self.text}") from None

    def type(self, line):
        os.write(self.terminal, line.encode() + b"\n")

    def review(self):
        """Until the frames are listed and fetched, and the user may say what to do."""
        self.expect(r"ticket> ")
        return self

    def ask_to_send(self):
        self.type("send")
        self.expect(r'Type "yes" to send')
        return self

    def consent(self):
        self.ask_to_send()
        self.type("yes")
        return self

    def end(self, deadline=DEADLINE):
        """Waits for the program's end. Returns (exit code, ticket number or None)."""
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"cloister ticket hangs; the screen:\n{self.text}") from None
        self.reader.join(2)
        told = TOLD.search(self.text)
        return self.process.returncode, told and told[1]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(2)
        if self.terminal >= 0:  # closed twice, the number would be somebody else's
            os.close(self.terminal)
        self.terminal = -1
