"""The agent's life: start, isolation as the kernel shows it, death of each process, shutdown."""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from agent import Agent, make_user, wait_for

WORKERS = ["vault"]  # those that need neither a screen nor a network


def proc_status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def namespaces(pid):
    return {n: os.readlink(f"/proc/{pid}/ns/{n}") for n in ("mnt", "net", "pid", "ipc", "uts", "cgroup")}


def gone(pids):
    return all(not os.path.exists(f"/proc/{p}") or proc_status_or_none(p) in (None, "Z") for p in pids)


def proc_status_or_none(pid):
    try:
        return proc_status(pid)["State"][0]
    except (OSError, KeyError):
        return None


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.agent = Agent()
        self.addCleanup(self.agent.remove)
        self.agent.start()
        self.agent.wait_serving(*WORKERS)

    def by_name(self):
        return {w["name"]: w for w in self.agent.status()["workers"]}

    def pids(self):
        return {name: pid for pid, name in self.agent.processes().items()}

    def test_isolation_as_the_kernel_shows_it(self):
        pids = self.pids()
        self.assertLessEqual({"cloisterd", "cloister-broker", "cloister-vault"}, set(pids))
        own = namespaces(pids["cloisterd"])
        uids = set()
        for name, pid in pids.items():
            if name == "cloisterd":
                continue
            status = proc_status(pid)
            with self.subTest(process=name):
                self.assertEqual(status["Seccomp"], "2")
                self.assertEqual(status["NoNewPrivs"], "1")
                for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    self.assertEqual(int(status[which], 16), 0, which)
                ids = set(status["Uid"].split() + status["Gid"].split())
                self.assertNotIn("0", ids)
                self.assertEqual(status["Groups"].strip(), "")
                self.assertNotIn(status["Uid"], uids)
                uids.add(status["Uid"])
                shared = {n for n, v in namespaces(pid).items() if v == own[n]}
                self.assertEqual(shared, {"pid"} if name == "cloister-broker" else set())
                self.check_threads(pid)
                self.check_memory(pid)

    def check_threads(self, pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            self.assertEqual(proc_status(f"{pid}/task/{task}")["Seccomp"], "2")

    def check_memory(self, pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            for line in f:
                self.assertNotRegex(line.split()[1], "wx", f"writable and executable: {line}")

    def test_a_killed_worker_comes_back_and_the_others_stay(self):
        before = self.by_name()
        for name in WORKERS:
            os.kill(before[name]["pid"], signal.SIGKILL)
            wait_for(f"another {name}",
                     lambda: (w := self.by_name()[name])["state"] == "serving" and
                     w["pid"] != before[name]["pid"])
            after = self.by_name()
            self.assertEqual(after[name]["restarts"], 1)
            for other in set(WORKERS) - {name}:
                self.assertEqual(after[other]["pid"], before[other]["pid"])

    def test_a_killed_broker_takes_its_workers_along_and_all_come_back(self):
        before = self.pids()
        os.kill(before["cloister-broker"], signal.SIGKILL)
        wait_for("the old workers' end",
                 lambda: gone([p for n, p in before.items() if n != "cloisterd"]))
        wait_for("another broker", lambda: self.pids().get("cloister-broker") not in
                 (None, before["cloister-broker"]))
        self.agent.wait_serving(*WORKERS)
        self.assertEqual(self.pids()["cloisterd"], before["cloisterd"])

    def test_without_the_monitor_nothing_lives_on(self):
        before = self.pids()
        self.agent.process.kill()
        self.agent.process.wait()
        wait_for("the end of all", lambda: gone(before.values()))

    def test_a_clean_stop_leaves_nothing(self):
        pids = list(self.pids().values())
        self.agent.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.process.wait(15), 0)
        self.assertTrue(gone(pids))
        self.assertFalse(os.path.exists(os.path.join(self.agent.runtime, "door")))
        self.assertFalse(os.path.exists(os.path.join(self.agent.runtime, "chan")))
        with open("/proc/self/mounts", encoding="utf-8") as f:
            self.assertNotIn(self.agent.runtime, f.read())

    def test_a_second_agent_on_the_same_folder_is_refused(self):
        second = subprocess.run([os.path.join(self.agent.bin, "cloisterd"), "--config",
                                 self.agent.config_path], capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 3, second.stderr)

    def test_an_ordinary_user_may_ask_but_not_command(self):
        make_user("clitest")
        status = self.agent.run("cloister", "status", "--json", user="clitest")
        self.assertIn('"vault"', status.stdout, status.stderr)
        refused = self.agent.run("cloister", "key", "reset", "--yes", user="clitest")
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(self.by_name()["vault"]["restarts"], 0)

    def test_the_agent_s_folders_are_shut(self):
        make_user("clitest")
        for path in (f"{self.agent.runtime}/chan", f"{self.agent.state}/vault"):
            with self.subTest(path=path):
                seen = subprocess.run(["setpriv", "--reuid=clitest", "--regid=clitest", "--init-groups",
                                       "ls", path], capture_output=True, text=True, check=False)
                self.assertNotEqual(seen.returncode, 0)


class Refusals(unittest.TestCase):
    def test_a_wrong_configuration_starts_nothing(self):
        agent = Agent({"capture": {"max_age": "a while"}, "agnt": {"x": "y"}})
        self.addCleanup(agent.remove)
        agent.start(wait=False)
        self.assertEqual(agent.process.wait(10), 2)
        self.assertRegex(agent.log(), r"cloister\.conf:\d+: ")

    def test_a_program_that_others_can_write_is_not_started(self):
        agent = Agent()
        self.addCleanup(agent.remove)
        os.chmod(os.path.join(agent.bin, "cloister-vault"), 0o777)
        agent.start(wait=False)
        wait_for("a refusal", lambda: "cloister-vault" in agent.log() or agent.process.poll() is not None)
        self.assertNotIn("cloister-vault", agent.processes().values())


if __name__ == "__main__":
    unittest.main(verbosity=2)
