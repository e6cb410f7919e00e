"""Peers that hang (SIGSTOP) instead of dying."""
import os
import signal
import unittest

from world import FaultsCase, make_user, wait_for

CHUNK = 262144
HEARTBEAT = "[limits]\nheartbeat_s = 1\n"


class StoppedCase(FaultsCase):
    def freeze(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.go_on, pid)

    def go_on(self, pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def worker_pid(self, name):
        return self.world.agent.worker(name)["pid"]

    def phase(self):
        return self.world.state()["connection"]["phase"]


class Console(StoppedCase):
    options = {"console_config": HEARTBEAT}

    def test_the_silence_is_noticed_and_ends(self):
        self.world.gather()
        before = self.worker_pid("uplink")
        typist = self.typist().review().ask_to_send()
        console = self.world.console.process.pid
        self.freeze(console)
        self.world.agent.wait_log("nothing received for 20 s after a ping", deadline=40)
        wait_for("uplink's end", lambda: self.phase() != "approved")
        typist.type("yes")
        typist.expect("Not connected to the help desk: keep this open")
        self.go_on(console)
        self.check_told(typist, deadline=60)
        self.assertNotEqual(self.worker_pid("uplink"), before)

    def test_an_upload_survives_a_console_that_stands_still_for_a_while(self):
        self.world.gather()
        typist = self.typist().review().ask_to_send()
        self.world.link.hold_up(2 * CHUNK)
        typist.type("yes")
        wait_for("the link to be full", self.world.link.held)
        self.freeze(self.world.console.process.pid)
        self.world.link.thaw()
        wait_for("uplink to give it up", lambda: self.phase() != "approved", deadline=90)
        self.assertIsNone(typist.process.poll())
        self.go_on(self.world.console.process.pid)
        self.check_told(typist, deadline=60)


class Ticket(StoppedCase):
    def test_it_hurts_nobody_else(self):
        self.world.gather()
        typist = self.typist().review().ask_to_send()
        ticket = self.world.pid("cloister-ticket")
        self.world.link.hold_up(CHUNK)
        typist.type("yes")
        wait_for("the link to be full", self.world.link.held)
        self.freeze(ticket)
        self.world.link.thaw()
        make_user("clitest")
        for _ in range(5):
            other = self.world.agent.run("cloister", "ticket", "--list", user="clitest")
            self.assertEqual(other.returncode, 0, other.stderr)
            self.world.gather(self.world.frames() + 1)
        refused = self.world.script("--list")
        self.assertEqual(refused.returncode, 6, refused.stderr)
        self.assertIn(str(ticket), refused.stderr)
        self.assertTrue(self.world.state())
        self.go_on(ticket)
        self.check_told(typist)


class Capture(StoppedCase):
    def test_the_ticket_opens_without_frames_in_time(self):
        self.world.gather()
        pid = self.worker_pid("capture")
        self.freeze(pid)
        typist = self.typist()
        self.assertTrue(self.world.state())
        typist.expect("ticket> ", deadline=90)
        self.assertRegex(typist.text, "no answer in time")
        self.check_told(typist.consent())
        wait_for("another capture", lambda: self.worker_pid("capture") not in (0, pid))
        self.world.wait_standing()
        self.world.gather()
        self.check_told(self.typist().review().consent())


class Vault(StoppedCase):
    def test_a_consent_is_signed_by_the_next_vault(self):
        self.world.gather()
        typist = self.typist().review().ask_to_send()
        pid = self.worker_pid("vault")
        self.freeze(pid)
        typist.type("yes")
        self.assertTrue(self.world.state())
        self.check_told(typist, deadline=60)
        self.assertIn("Not sent yet: the vault ended before it signed", typist.text)
        self.assertNotIn(self.worker_pid("vault"), (0, pid))


if __name__ == "__main__":
    unittest.main(verbosity=2)
