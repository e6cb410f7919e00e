"""Runs uplink_driver and judges what it did."""

import os
import re
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

DRIVER = os.environ.get("UPLINK_DRIVER", "uplink_driver")
SANITIZED = os.environ.get("CLOISTER_SANITIZE") == "1"

# Processor time that a connection may cost however long it lasts. It spins if it takes more: the
# shortest wait in these tests is 20 s, a spin costs as much. A TLS handshake takes 5 ms.
CPU_MS = 3000 if SANITIZED else 1000


class Run:
    def __init__(self, *arguments, timeout=90):
        self.process = subprocess.run([DRIVER, *map(str, arguments)], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, timeout=timeout)
        self.text = self.process.stdout
        found = re.search(r"^end (\S+) cpu_ms=(\d+) elapsed_ms=(\d+) (.*)$", self.text, re.M)
        self.reason, cpu, elapsed, self.detail = found.groups() if found else ("", 0, 0, "")
        self.cpu_ms, self.elapsed_ms = int(cpu), int(elapsed)

    def __str__(self):
        return "exit %d\n%s\n%s" % (self.process.returncode, self.text, self.process.stderr)


class TrustTest(unittest.TestCase):
    def refused(self, run, reason, detail="", seconds=10, welcome=False):
        """No session, this reason, these words, in bounded time, without a crash or a spin."""
        self.assertEqual(run.process.returncode, 1, run)
        self.assertEqual(run.process.stderr, "", run)
        self.assertEqual(run.reason, reason, run)
        self.assertIn(detail, run.detail, run)
        self.assertEqual("\nwelcome " in run.text, welcome, run)
        self.assertLess(run.elapsed_ms, seconds * 1000, run)
        self.assertLess(run.cpu_ms, CPU_MS, run)

    def accepted(self, run, seconds=15):
        """A session that ended in order, and did not wait for a heartbeat (45 s) to go on."""
        self.assertEqual(run.process.returncode, 0, run)
        self.assertLess(run.elapsed_ms, seconds * 1000, run)
        self.assertEqual(run.process.stderr, "", run)
        self.assertIn("\nwelcome ", run.text, run)

    def each(self, cases, check):
        """Runs check(*case) for all cases at once: most of them wait."""
        with ThreadPoolExecutor(max_workers=len(cases)) as pool:
            waiting = [(case[0], pool.submit(check, *case)) for case in cases]
            for name, future in waiting:
                with self.subTest(name):
                    future.result()
