"""Commands that do not want to end, or want too much: each ends at its limit, and nothing of it is left."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed import Desk, wait_for

FORK_BOMB = "#!/usr/bin/python3\nimport os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
HOG = "#!/usr/bin/python3\nkept = []\nwhile True:\n    kept.append(bytearray(8 << 20))\n"
DEAF = "#!/usr/bin/python3\nimport signal, time\nfor s in (1, 2, 3, 13, 15):\n    signal.signal(s, signal.SIG_IGN)\n" \
       "print('deaf', flush=True)\ntime.sleep(600)\n"
DAEMON = "#!/bin/sh\n(setsid setsid sh -c 'trap \"\" TERM HUP; exec >/dev/null 2>&1 </dev/null; sleep 600' &)\n" \
         "echo parent\nexit 3\n"
HOLDER = "#!/bin/sh\n(setsid sleep 600 &)\necho held\nexit 4\n"
STOPPED = "#!/bin/sh\nkill -STOP $$\n"
FLOOD = "#!/bin/sh\nexec yes\n"
TWO_FLOODS = "#!/bin/sh\nyes >&2 &\nexec yes\n"


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.desk = Desk()

    @classmethod
    def tearDownClass(cls):
        cls.desk.remove()

    def tearDown(self):
        """Nothing is left: no process of the command's account, no runner, no control group of either."""
        desk = self.desk
        wait_for("the runner to end", lambda: not any(
            n.startswith(("cloister-runner", "cloister-command")) for n in desk.agent.processes().values()))
        self.assertEqual(desk.left_behind(), [])
        wait_for("its control groups to go", lambda: not self.groups())

    def groups(self):
        monitor = self.desk.agent.process.pid
        found = []
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            if f"cloister-{monitor}-" in folder:
                found += [os.path.join(folder, n) for n in names if n.startswith(("runner-", "cmd-"))]
                names.clear()
        return found

    def limit(self, *files):
        """What the first of these files of the command's control groups says, v2 or v1; None without."""
        for group in self.groups():
            for path in (os.path.join(group, name) for name in files):
                if os.path.basename(group).startswith("cmd-") and os.path.exists(path):
                    with open(path, encoding="ascii") as f:
                        return int(f.read())
        return None

    def start_script(self, script, **members):
        desk = self.desk
        [identity] = desk.push(desk.keys.sign(desk.keys.command([desk.machine], script=script, **members)))
        return identity

    def run_script(self, script, **members):
        return self.end(self.start_script(script, **members))

    def end(self, identity):
        desk = self.desk
        desk.wait_ended(identity, deadline=90)
        receipt = desk.receipt(identity)
        self.assertEqual(receipt["decision"], "run", receipt)
        return identity, receipt

    def seconds(self, receipt):
        return (receipt["ended_ms"] - receipt["started_ms"]) / 1000

    def test_time(self):
        _, receipt = self.run_script("#!/bin/sh\nsleep 600\n", time_ms=500)
        self.assertEqual(receipt["limit"], "time")
        self.assertGreaterEqual(self.seconds(receipt), 0.5)

    def test_term_ignored(self):
        identity, receipt = self.run_script(DEAF, time_ms=1000)
        self.assertEqual((receipt["limit"], receipt.get("signal")), ("time", 9))
        self.assertEqual(self.desk.output(identity), b"deaf\n")

    def test_stopped_child(self):
        _, receipt = self.run_script(STOPPED, time_ms=700)
        self.assertEqual(receipt["limit"], "time")

    def test_fork_bomb(self):
        identity = self.start_script(FORK_BOMB, time_ms=3000)
        most = wait_for("its control group", lambda: self.limit("pids.max"))
        wait_for("it to be full", lambda: self.limit("pids.current") == most)
        self.assertEqual((most, self.limit("memory.max", "memory.limit_in_bytes")), (64, 512 << 20))
        _, receipt = self.end(identity)
        self.assertEqual(receipt["limit"], "time")

    def test_memory_hog(self):
        _, receipt = self.run_script(HOG, time_ms=30000)
        self.assertEqual((receipt.get("signal") or receipt.get("exit")) in (1, 9, 137), True, receipt)
        self.assertEqual(receipt["limit"], "")

    def test_output_flood(self):
        identity, receipt = self.run_script(FLOOD, output_bytes=100000)
        self.assertEqual((receipt["limit"], receipt["stdout_bytes"]), ("output", 100000))
        self.assertGreater(receipt["stdout_dropped"], 0)
        self.assertEqual(len(self.desk.output(identity)), 100000)

    def test_two_floods(self):
        _, receipt = self.run_script(TWO_FLOODS, output_bytes=100000)
        self.assertEqual((receipt["limit"], receipt["stdout_bytes"] + receipt["stderr_bytes"]), ("output", 100000))

    def test_no_output_allowed(self):
        _, receipt = self.run_script("#!/bin/sh\necho x\nsleep 600\n", output_bytes=0)
        self.assertEqual((receipt["limit"], receipt["stdout_bytes"], receipt["stdout_dropped"] >= 1), ("output", 0, True))

    def test_double_fork(self):
        identity, receipt = self.run_script(DAEMON)
        self.assertEqual((receipt["exit"], receipt["limit"]), (3, ""))
        self.assertEqual(self.desk.output(identity), b"parent\n")
        self.assertLess(self.seconds(receipt), 10)

    def test_grandchild_that_holds_the_pipe(self):
        identity, receipt = self.run_script(HOLDER)
        self.assertEqual((receipt["exit"], receipt["limit"]), (4, ""))
        self.assertEqual(self.desk.output(identity), b"held\n")
        self.assertLess(self.seconds(receipt), 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
