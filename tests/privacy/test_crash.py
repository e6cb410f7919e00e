"""Every process of the agent is crashed with pixels in memory, and leaves no core.

Workers are the first process of their pid namespace, for which the kernel drops every signal from
outside that they do not handle, but SIGKILL and SIGSTOP: so they are crashed from within (crash.c), by a
fault of their own and by a system call that their filter kills for. The resolver lives for one answer
only and holds nothing of a ticket; it starts as all workers do.
"""
import os
import signal
import subprocess
import unittest

from cores import Cores, can_be_set
from memory import scan
from pattern import hold, tool
from surroundings import WORKERS, Failure, Surroundings, sanitized, wait_for

SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT)
AS_LARGE_AS_MAY_BE = ["bash", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "cores"]


def crash(pid, how):
    subprocess.run([tool("crash"), str(pid), how], check=True)


@unittest.skipIf(sanitized(), "AddressSanitizer handles faults itself: crashes are tried in the plain build")
@unittest.skipUnless(can_be_set(), "core_pattern cannot be set here")
class Crash(unittest.TestCase):
    def setUp(self):
        self.s = Surroundings(self, wrapper=AS_LARGE_AS_MAY_BE)
        self.s.show_pattern()
        self.needles = self.s.pattern.needles()
        self.cores = Cores(self)

    def check_control(self):
        """Ordinary processes leave cores with the pattern in them; memory marked as not dumped is not in
        them."""
        for how, ending in (("heap", "signal"), ("heap", "fault"), ("locked", "signal")):
            holder = hold(self.s.pattern, how)
            if ending == "signal":
                holder.send_signal(signal.SIGABRT)
            else:
                crash(holder.pid, "fault")
            self.assertLess(holder.wait(10), 0)
            core = self.cores.wait(holder.pid)
            self.assertEqual(any(n in core for n in self.needles.values()), how == "heap",
                             f"control: {how}, {ending}")

    def serving(self):
        """Waits until all is up; a broker that is being started answers nothing."""
        def answers():
            try:
                return self.s.agent.status()
            except Failure:
                return None
        wait_for("the broker to answer", answers)
        return self.s.agent.wait_serving(*WORKERS, deadline=90)

    def crash_worker(self, name, how):
        pid = self.serving()[name]["pid"]
        if name == "capture":
            wait_for("capture to look at the screen",
                     lambda: self.s.agent.status()["capture"]["phase"] == "capturing")
            self.s.trigger()
            self.assertTrue(scan(pid, self.needles).findings, "capture has no pixels to lose")
        for number in (signal.SIGABRT, signal.SIGQUIT):
            os.kill(pid, number)
        self.assertEqual(self.s.agent.worker(name)["pid"], pid, "a signal from outside reached it")
        crash(pid, how)
        wait_for(f"the end of {name}", lambda: not os.path.exists(f"/proc/{pid}"))
        number = signal.SIGSEGV if how == "fault" else signal.SIGSYS
        self.s.agent.wait_log(f"(pid {pid}) was ended by signal {int(number)}")
        return pid

    def crash_broker(self, number):
        self.serving()
        pid = next(p for p, n in self.s.agent.processes().items() if n == "cloister-broker")
        os.kill(pid, number)
        wait_for("the end of the broker", lambda: not os.path.exists(f"/proc/{pid}"))
        return pid

    def crash_ticket(self, ending):
        review = self.s.review()
        self.s.prepared(review)
        self.assertTrue(scan(review.pid, self.needles).findings, "the ticket has no pixels to lose")
        if isinstance(ending, signal.Signals):
            os.kill(review.pid, ending)
        else:
            crash(review.pid, ending)
        self.assertLess(review.process.wait(10), 0, "it was to die of a signal")
        review.close()
        return review.pid

    def test_no_process_leaves_a_core(self):
        self.check_control()
        expected = self.cores.begun()
        pids = []
        for ending in (*SIGNALS, "fault", "call"):
            pids.append(self.crash_ticket(ending))
        for name in WORKERS:
            for how in ("fault", "call"):
                pids.append(self.crash_worker(name, how))
        for number in SIGNALS:
            pids.append(self.crash_broker(number))
        self.serving()
        monitor = self.s.agent.process
        crash(monitor.pid, "fault")
        self.assertEqual(monitor.wait(10), -signal.SIGSEGV)
        pids.append(monitor.pid)
        self.assertEqual(len(set(pids)), len(pids))
        ours = {f"{kind}.{pid}" for kind in ("core", "part") for pid in (1, *pids)}
        self.assertEqual(set(self.cores.begun()) & ours - set(expected), set())
        self.check_control()  # cores are still kept, so those of all others would have been
        self.assertEqual(self.files_named_core(), [])
        print(f"\n    {len(pids)} crashes, cores " + ("handed to a program" if self.cores.piped else
              "written to a folder (weaker: a worker's own root does not contain it)"), flush=True)

    def files_named_core(self):
        """Where a core would be that the kernel wrote by itself."""
        return [os.path.join(folder, name) for root in (self.s.agent.folder, self.s.agent.runtime,
                                                        self.s.desktop.folder)
                for folder, _, names in os.walk(root) for name in names
                if name == "core" or name.startswith("core.")]


if __name__ == "__main__":
    unittest.main(verbosity=2)
