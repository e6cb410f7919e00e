"""Every process killed with SIGKILL at every stage of a ticket."""
import json
import os
import re
import random
import subprocess
import threading
import time
import unittest

from world import CLEAR, CODES, Failure, FaultsCase, wait_for

CHUNK = 262144


def each(*programs):
    """A test method for each program, out of a method that takes one."""
    def expand(method):
        method.programs = programs
        return method
    return expand


def expanded(case):
    for name, method in list(vars(case).items()):
        for program in getattr(method, "programs", ()):
            def test(self, method=method, program=program):
                method(self, program)
            short = program.removeprefix("cloister-")
            setattr(case, f"test_{short}_{name}", test)
    return case


WORKERS = ("cloister-vault", "cloister-capture", "cloister-uplink")
AGENT = ("cloisterd", "cloister-broker")
CONSOLE = "cloister-console"
TICKET = "cloister-ticket"


@expanded
class Gathered(FaultsCase):
    """Screenshots are in memory; no ticket is open."""

    @each(*AGENT, *WORKERS, CONSOLE)
    def killed(self, program):
        self.world.gather()
        before = self.world.frames()
        self.world.kill(program)
        self.world.recover()
        lost = program in (*AGENT, "cloister-capture")
        self.assertEqual(self.world.frames(), 0 if lost else before)
        self.world.gather()
        number = self.check_told(self.typist().review().consent())
        self.assertGreaterEqual(len(self.check_at_console(number, self.said)), 3)

    def test_ticket_killed_as_it_starts(self):
        self.world.gather()
        for _ in range(5):
            typist = self.typist()
            typist.close()
        self.check_told(self.typist().review().consent())


@expanded
class Review(FaultsCase):
    """A ticket is open and reviewed; nothing has been consented to."""

    def setUp(self):
        super().setUp()
        self.world.gather()
        self.before = len(self.world.console.tickets())

    def nothing_left_the_machine(self):
        self.assertEqual(self.world.unfinished(), [])
        self.assertEqual(len(self.world.console.tickets()), self.before)

    @each(*AGENT)
    def killed_ends_the_ticket(self, program):
        typist = self.typist().review()
        self.world.kill(program)
        self.check_clear_error(typist)
        self.nothing_left_the_machine()
        self.world.recover()
        self.world.gather()
        self.check_told(self.typist().review().consent())

    @each(*WORKERS, CONSOLE)
    def killed_does_not_end_the_ticket(self, program):
        # Asked to send, it has fetched every frame: what capture knows it needs no more.
        typist = self.typist().review().ask_to_send()
        self.world.kill(program)
        self.nothing_left_the_machine()
        self.world.recover()
        typist.type("yes")
        number = self.check_told(typist)
        self.assertGreaterEqual(len(self.check_at_console(number, self.said)), 3)

    @each(*WORKERS)
    def killed_as_the_ticket_opens(self, program):
        typist = self.typist()
        self.world.kill(program)
        self.world.recover()
        number = self.check_told(typist.review().consent())
        if program != "cloister-capture":  # else whatever had been fetched
            self.assertGreaterEqual(len(self.check_at_console(number, self.said)), 3)

    @each(*WORKERS)
    def killed_as_consent_is_given(self, program):
        typist = self.typist().review().ask_to_send()
        self.world.kill(program)
        typist.type("yes")
        self.check_told(typist)

    def test_ticket_killed(self):
        typist = self.typist().review()
        typist.close()
        self.nothing_left_the_machine()
        self.check_told(self.typist().review().consent())


@expanded
class Upload(FaultsCase):
    """Consent is given, a part of the bundle is at the console, and the link stands still."""

    def upload(self):
        # 3.2 MB in 13 chunks: of what comes after the third the link's buffers and the window of 8
        # take a part only, so that the end is never on its way.
        self.world.gather(6)
        # Where the agent died the console keeps the part for days: the ticket might come back.
        before, left = self.ids(), self.world.stored()
        typist = self.typist().review().ask_to_send()
        self.world.link.hold_up(3 * CHUNK)
        typist.type("yes")
        wait_for("the link to be full", self.world.link.held)
        wait_for("a part at the console", lambda: self.world.stored() - left >= 2 * CHUNK)
        self.id, = self.ids() - before
        self.size = next(t["size"] for t in self.world.unfinished() if t["ticket"] == self.id)
        self.assertLess(self.world.stored() - left, self.size)
        return typist

    def ids(self):
        return {t["ticket"] for t in self.world.unfinished()}

    def not_shown(self):
        self.assertNotIn(self.id, [t["ticket"] for t in self.world.console.tickets()])

    def shown_once(self):
        self.assertEqual([t["ticket"] for t in self.world.console.tickets()].count(self.id), 1)
        self.assertNotIn(self.id, self.ids())

    @each(*AGENT)
    def killed_abandons_the_upload(self, program):
        typist = self.upload()
        self.world.kill(program)
        self.check_clear_error(typist)
        self.not_shown()
        self.world.recover()
        self.not_shown()
        self.world.gather()
        self.check_told(self.typist().review().consent())
        self.not_shown()

    @each("cloister-vault", "cloister-capture")
    def killed_changes_nothing(self, program):
        typist = self.upload()
        connections = self.world.link.connections()
        self.world.kill(program)
        self.not_shown()
        self.world.recover()
        self.check_told(typist)
        self.shown_once()
        self.assertEqual(self.world.link.connections(), connections)

    @each("cloister-uplink", CONSOLE)
    def killed_resumes_the_upload(self, program):
        typist = self.upload()
        connections = self.world.link.connections()
        self.world.kill(program)
        self.world.link.thaw()
        self.world.restart()
        self.not_shown()
        self.check_told(typist)
        self.shown_once()
        again = sum(self.world.link.sent_up(i)
                    for i in range(connections, self.world.link.connections()))
        self.assertLess(again, self.size - CHUNK, "what the console had was sent again")

    def test_ticket_killed_calls_the_upload_off(self):
        typist = self.upload()
        typist.close()
        self.not_shown()
        self.world.recover()
        wait_for("the console to forget the part", lambda: self.id not in self.ids())
        self.check_told(self.typist().review().consent())
        self.not_shown()


@expanded
class Receipt(FaultsCase):
    """The console has the whole bundle, and its word has not reached the agent."""

    def sent(self):
        self.world.gather()
        typist = self.typist().review().ask_to_send()
        # The digests and the first chunk have gone up: the rest follows without a word from there.
        self.world.link.hold_down(CHUNK)
        typist.type("yes")
        before = {t["number"] for t in self.world.console.tickets()}
        number, = wait_for("the ticket at the console",
                           lambda: {t["number"] for t in self.world.console.tickets()} - before)
        self.assertIsNone(typist.process.poll())
        return typist, number

    def once(self, number, said):
        self.check_at_console(number, said)
        self.assertEqual(self.check_console()[said], 1)
        self.assertEqual(self.world.unfinished(), [])

    @each(*AGENT)
    def killed(self, program):
        typist, number = self.sent()
        self.world.kill(program)
        self.check_clear_error(typist)
        self.assertIn("the help desk may have it", typist.text)
        self.world.recover()
        self.once(number, self.said)

    @each(*WORKERS, CONSOLE)
    def killed_gives_the_same_number(self, program):
        typist, number = self.sent()
        self.world.kill(program)
        self.world.recover()
        self.assertEqual(self.check_told(typist), number)
        self.once(number, self.said)

    def test_ticket_killed(self):
        typist, number = self.sent()
        said = self.said
        typist.close()
        self.world.recover()
        self.once(number, said)
        self.check_told(self.typist().review().consent())


class AtRandom(FaultsCase):
    """Tickets are filed one after another while processes die."""
    KILLS = 40
    SECONDS = 75  # then no more, however slow the machine

    def file_tickets(self):
        while not self.over.is_set():
            said = self.world.description()
            result = self.world.script("--keep", "all", "--yes", "--json", "--wait-for-connection",
                                       "--description", said)
            self.results.append((said, result))
            if result.returncode:
                self.over.wait(0.05)

    def test_nothing_is_lost_and_nothing_is_there_twice(self):
        seed = int(os.environ.get("CLOISTER_SEED") or time.time())
        print(f"CLOISTER_SEED={seed}")
        chance = random.Random(seed)
        self.over, self.results = threading.Event(), []
        self.world.gather(2)
        filing = threading.Thread(target=self.file_tickets)
        filing.start()
        try:
            kills = self.kill_at_random(chance)
        finally:
            self.over.set()
            filing.join(150)
        self.assertFalse(filing.is_alive(), "a ticket program hangs")
        self.world.recover(90)
        self.check_results(kills)
        self.world.gather()
        self.check_told(self.typist().review().consent())

    def kill_at_random(self, chance):
        end = time.monotonic() + self.SECONDS
        kills = 0
        while kills < self.KILLS and time.monotonic() < end:
            program = chance.choice([*AGENT, *WORKERS, CONSOLE, TICKET, TICKET, TICKET])
            pids = [p for p, n in self.world.agent.processes().items() if n == program]
            if program in (CONSOLE, "cloisterd") or pids:
                self.world.kill(program)
                kills += 1
            self.over.wait(chance.uniform(0, 0.8))  # the moment of the next
            self.world.restart()
            if chance.random() < 0.3 and self.world.standing():
                self.world.desktop.xdotool("key", "F3")
        return kills

    def check_results(self, kills):
        codes, told = {}, {}
        for said, result in self.results:
            codes[result.returncode] = codes.get(result.returncode, 0) + 1
            if result.returncode == 0:
                told[json.loads(result.stdout)["number"]] = said
            elif result.returncode != -9:
                self.assertIn(result.returncode, CODES | {6}, result.stderr)
                self.assertRegex(result.stderr, CLEAR.pattern + "|already open")
        print(f"{kills} kills, {len(self.results)} tickets begun, {len(told)} told; codes {codes}")
        self.assertGreaterEqual(kills, self.KILLS // 2)
        for number, said in told.items():
            self.check_at_console(number, said)
        self.check_console()


if __name__ == "__main__":
    unittest.main(verbosity=2)
