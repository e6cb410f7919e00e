"""What the tests of signed commands share: an approved agent, and a command's steps."""

import os
import subprocess
import tempfile

from harness import PROGRAM, ConsoleTest
from peer import command_token, token_id


class CommandTest(ConsoleTest):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.agent = self.console.approved(features=["commands"])
        self.counter = int.from_bytes(os.urandom(5), "big")

    def token(self, **changes):
        self.counter += 1
        return command_token(self.counter, **changes)

    def file(self, data, name="token.jws"):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def push(self, *tokens, machine=None, console=None, options=()):
        files = [self.file(t, f"{i}.jws") for i, t in enumerate(tokens)]
        return (console or self.console).admin(
            "push", *files, "--machine", machine or self.agent.key.id, *options).split()

    def commands(self, agent=None):
        return self.console.admin_json("commands", "--machine", (agent or self.agent).key.id)

    def command(self, token):
        return [c for c in self.commands() if c["token"] == token_id(token)][-1]

    def outputs(self, token, *options, console=None, check=True):
        """(exit status, standard output, standard error)."""
        r = subprocess.run([PROGRAM, "outputs", token_id(token), "--machine", self.agent.key.id,
                            "--state", (console or self.console).state, *options],
                           capture_output=True, timeout=60)
        return r.returncode, r.stdout, r.stderr

    def again(self):
        self.agent, welcome = self.console.again(self.agent)
        self.assertEqual(welcome["state"], "approved")

    def run_to(self, token, **changes):
        """Takes the token, accepts it and answers it."""
        self.assertEqual(self.agent.receive_token(), token)
        self.agent.decide(token)
        self.agent.answer(token, **changes)

    def started(self):
        """A token that was pushed, sent and accepted."""
        token = self.token()
        self.push(token)
        self.assertEqual(self.agent.receive_token(), token)
        self.agent.decide(token)
        return token

    def query(self, token, stdout=0, stderr=0):
        self.assertEqual(self.agent.receive("command_query"),
                         {"type": "command_query", "token": token_id(token), "stdout": stdout,
                          "stderr": stderr})
