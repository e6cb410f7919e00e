"""Before consent nothing leaves, not even a sign that there is a ticket; and nobody but the user's own,
untouched cloister-ticket can give consent.

Bundles with a byte more, less or different, and forged or repeated messages, are tried over real channels
by tests/refusal/misuse_test.c; here a hostile program in cloister-ticket's place tries it on the real agent.
"""
import glob
import json
import os
import shutil
import subprocess
import time
import unittest

from surroundings import Surroundings, wait_for
from agent import make_user
from console import Console
from pattern import tool
from traffic import Link, Sniffer

STRANGER = "cloister-other"
HEARTBEAT_S = 2  # docs/wire.md: the console names it in `welcome`; 1 s to 600 s
PERIODS = 4
SPAN_S = (PERIODS + 0.5) * HEARTBEAT_S  # begins with a pong, so it holds PERIODS pings
APPLICATION_DATA = 23
LIVENESS_MOST = 64  # a ping or pong, encrypted, is a few dozen bytes
REFUSED, ALREADY_OPEN = 5, 6  # docs/exit-codes.md


class Silence(unittest.TestCase):
    def setUp(self):
        self.link = Link()
        self.addCleanup(self.link.remove)
        self.link.start()
        console = Console(name=self.link.here, address=self.link.here,
                          config=f"[limits]\nheartbeat_s = {HEARTBEAT_S}\n")
        self.sniffer = Sniffer(self.link)
        self.addCleanup(self.sniffer.stop)
        self.s = Surroundings(self, console=console, wrapper=self.link.inside())
        self.s.show_pattern()
        self.s.trigger()

    def wait_pong(self):
        """Waits for the end of the next ping's exchange."""
        seen = len(self.sniffer.records)
        wait_for("a pong", lambda: any(r.direction == "in" for r in self.sniffer.records[seen:]),
                 deadline=5 * HEARTBEAT_S)

    def wait_quiet(self):
        """Waits until there is nothing but liveness on the wire."""
        def quiet():
            _, records = self.sniffer.span(time.monotonic() - 2.2 * HEARTBEAT_S, time.monotonic())
            return 2 <= len(records) <= 6 and all(r.length < LIVENESS_MOST for r in records)
        wait_for("a quiet wire", quiet, deadline=20 * HEARTBEAT_S)

    def measure(self, act=None):
        """The traffic of one span, in which `act` is done. The span is what is measured: nothing else
        could end it."""
        self.wait_pong()
        start = time.monotonic()
        if act:
            act()
            self.assertLess(time.monotonic(), start + SPAN_S, "this took longer than the span")
        time.sleep(start + SPAN_S - time.monotonic())
        packets, records = self.sniffer.span(start, start + SPAN_S)
        sizes = [(r.direction, r.type, r.length) for r in records]
        print(f"\n    {len(packets)} packets; records: {sizes}", flush=True)
        return packets, sizes

    def check_packets(self, packets):
        """Nothing but the one connection: no DNS, no ARP, no second connection."""
        ends = {(self.link.here, self.s.console.port)}
        others = [p for p in packets if not p.tcp or not ends & {p.source, p.destination}]
        self.assertEqual(others, [])
        self.assertEqual(len({p.source for p in packets}), 2, "more than one connection")

    def review_and_cancel(self):
        review = self.s.review()
        self.s.prepared(review)
        for line in ("view 1", "redact 1 10,10,100,100", "drop 2", "list"):
            review.say(line)
            review.expect("ticket> ")
        review.say("describe")
        review.say("nobody must learn of this")
        review.say(".")
        review.expect("ticket> ")
        review.say("send")
        review.expect('Type "yes"')
        review.say("no")
        review.expect("Not sent")
        review.cancel()

    def consent(self):
        sent = self.s.ticket("--yes", "--json", "--drop", "all", "--description", "short")
        self.assertEqual(sent.returncode, 0, sent.stderr)

    def test_a_ticket_without_consent_cannot_be_told_from_idleness(self):
        self.wait_quiet()
        idle_packets, idle = self.measure()
        review_packets, review = self.measure(self.review_and_cancel)
        self.check_packets(idle_packets)
        self.check_packets(review_packets)
        self.assertEqual(idle, review)
        # And it was liveness alone.
        self.assertEqual([d for d, _, _ in idle], ["out", "in"] * PERIODS)
        self.assertTrue(all(kind == APPLICATION_DATA and length < LIVENESS_MOST
                            for _, kind, length in idle))
        # The control: what is consented to, however small, is seen.
        _, consented = self.measure(self.consent)
        self.assertGreater(len(consented), len(idle) + 3)
        self.assertTrue(any(length > 500 for _, _, length in consented))


class Refused(unittest.TestCase):
    def setUp(self):
        self.s = Surroundings(self)

    def assert_turned_away(self, result):
        self.assertEqual(result.returncode, REFUSED, result.stdout + result.stderr)
        self.assertIn("only cloister-ticket, installed setgid, may open tickets", result.stderr)
        self.s.agent.wait_log("was turned away at the ticket door")
        self.assertEqual(self.s.console.tickets(), [])

    def roomy(self, command):
        """As the user, with the capability to lock memory that the installed program has from its file:
        without it a program would give up before it came to the door."""
        who = self.s.desktop.account
        return subprocess.run(["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups",
                               "--inh-caps=+ipc_lock", "--ambient-caps=+ipc_lock", "--", *command],
                              env=self.s.desktop.environment(), cwd=self.s.desktop.folder,
                              capture_output=True, text=True, timeout=60, check=False)

    def program(self, *args):
        return [os.path.join(self.s.agent.bin, "cloister-ticket"), "--runtime", self.s.agent.runtime, *args]

    def test_a_look_alike_of_the_same_user(self):
        os.chmod(self.s.folder, 0o711)
        copy = os.path.join(self.s.folder, "cloister-ticket")
        shutil.copy(self.program()[0], copy)
        os.chmod(copy, 0o755)  # the same program, but not setgid
        self.assert_turned_away(self.roomy([copy, *self.program("--list")[1:]]))

    def test_a_traced_program(self):
        plain = self.roomy(["strace", "-f", "-o", "/dev/null", "true"])
        self.assertEqual(plain.returncode, 0, f"strace does not work here: {plain.stderr}")
        self.assert_turned_away(self.roomy(["strace", "-f", "-o", "/dev/null", *self.program("--list")]))

    def test_an_open_ticket_cannot_be_traced_or_read_by_its_user(self):
        self.s.trigger()
        review = self.s.review()
        for command in (["strace", "-p", str(review.pid)],
                        ["dd", f"if=/proc/{review.pid}/mem", "of=/dev/null", "count=1"],
                        ["cat", f"/proc/{review.pid}/environ"], ["ls", f"/proc/{review.pid}/fd/"]):
            refused = self.s.desktop.run(*command)
            self.assertNotEqual(refused.returncode, 0, command)
            self.assertRegex(refused.stderr, "(?i)not permitted|permission denied")
        review.say("list")
        review.expect("ticket> ")

    def test_a_preloaded_program(self):
        os.chmod(self.s.folder, 0o711)
        library = os.path.join(self.s.folder, "preload.so")
        shutil.copy(tool("preload.so"), library)
        os.chmod(library, 0o755)
        with_it = ["env", f"LD_PRELOAD={library}"]
        plain = self.s.desktop.run(*with_it, "true")
        self.assertIn("PRELOADED-MARKER", plain.stderr, "the library does not work at all")
        self.s.trigger()
        listed = self.s.desktop.run(*with_it, *self.program("--list", "--json"))
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual(len(json.loads(listed.stdout)["frames"]), 1)
        self.assertNotIn("PRELOADED-MARKER", listed.stderr)

    def test_another_user_gets_no_frame(self):
        make_user(STRANGER)
        self.s.desktop.spawn(["xterm", "-T", "Payroll of the board"])
        self.s.desktop.window("Payroll of the board")
        self.s.trigger()
        own = self.s.ticket("--list", "--json")
        self.assertIn("Payroll", own.stdout, own.stderr)
        other = self.s.ticket("--list", "--json", user=STRANGER)
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertEqual(json.loads(other.stdout)["frames"], [])
        self.assertNotIn("Payroll", other.stdout + other.stderr)

    def test_a_second_ticket_of_the_session(self):
        review = self.s.review()
        second = self.s.ticket("--list")
        self.assertEqual(second.returncode, ALREADY_OPEN, second.stderr)
        self.assertIn(f"already open in process {review.pid}", second.stderr)
        review.cancel()
        self.assertEqual(self.s.ticket("--list").returncode, 0)


class Forged(unittest.TestCase):
    """A hostile program in cloister-ticket's place, setgid as that."""

    def setUp(self):
        self.s = Surroundings(self, replace={"cloister-ticket": tool("forger")})

    def test_other_bytes_than_were_consented_to(self):
        honest = self.s.ticket("honest")
        self.assertEqual(honest.returncode, 0, honest.stderr)
        self.assertEqual([t["number"] for t in self.s.console.tickets()], [honest.stdout.strip()])
        changed = self.s.ticket("changed")
        self.assertEqual(changed.returncode, 1, changed.stdout)
        self.s.agent.wait_log("a chunk of other bytes than were consented to")
        self.assertEqual(len(self.s.console.tickets()), 1, "half a ticket is shown as a whole one")

    def test_a_bundle_without_consent(self):
        before = self.s.agent.status()["refusals"]
        self.assertEqual(self.s.ticket("unconsented").returncode, 1)
        wait_for("the refusal to be counted", lambda: self.s.agent.status()["refusals"] > before)
        self.s.agent.wait_log("BundleChunk")
        self.assertEqual(self.s.console.tickets(), [])
        bundles = glob.glob(os.path.join(self.s.console.state, "**/*.part"), recursive=True)
        self.assertEqual(bundles, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
