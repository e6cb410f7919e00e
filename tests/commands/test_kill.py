"""At most once: any process is killed at any moment while commands flow, and none runs twice.

usage: test_kill.py [--commands N] [--kills N] [--seed N]

The commands have the profile `user`, so that each can append its number to a file of that user's: a witness
that does not depend on anything that the agent says. In the end each command has a receipt: "run" only if
the file has it, "not_run" only if it has not, or "unknown". The console is killed as well.
"""
import argparse
import collections
import faulthandler
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from signed import Desk, Failure, Keys, make_user

USER = "cloister-demo"
STALLED = 6.0  # seconds without progress: back-off has grown; a fresh start of the agent ends it


class Loop:
    def __init__(self, commands, kills, seed):
        self.random = random.Random(seed)
        self.home = make_user(USER).pw_dir
        self.witness = os.path.join(self.home, "witness")
        if os.path.exists(self.witness):
            os.unlink(self.witness)
        self.desk = Desk(Keys(ops={"profile": "user"}),
                         config={"commands": {"profile": "user"},
                                 "session": {"source": "config", "user": USER, "display": ":77"}})
        self.count, self.kills_wanted = commands, kills
        self.ids = []
        self.killed = collections.Counter()

    def push(self, more):
        tokens = []
        for number in range(len(self.ids), len(self.ids) + more):
            rest = self.random.choice(("0", "0", "0.05", "0.2"))  # so that it is there to be killed
            script = f"#!/bin/sh\necho {number} >> {self.witness}\nsleep {rest}\necho ran {number}\n"
            tokens.append(self.desk.keys.sign(self.desk.keys.command([self.desk.machine], script=script,
                                                                     profile="user")))
        self.ids += self.desk.push(*tokens)

    def ended(self):
        try:
            rows = self.desk.commands()
        except (Failure, subprocess.SubprocessError):
            return None
        return sum(rows.get(i, {}).get("state") in ("done", "refused") for i in self.ids)

    def kill(self, pid, name):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed[name] += 1
        if pid == self.desk.agent.process.pid:  # otherwise a child of it that has not exec'd yet
            self.desk.agent.process.wait()
            self.desk.agent.start(wait=False)

    def kill_one(self):
        present = {}
        for pid, name in sorted(self.desk.agent.processes().items()):
            present.setdefault(name, []).append(pid)
        if self.random.random() < 0.05:
            self.desk.console.stop(signal.SIGKILL)
            self.killed["cloister-console"] += 1
            self.desk.console.start()
        elif present:
            name = self.random.choice(sorted(present))
            self.kill(self.random.choice(present[name]), name)

    def run(self):
        """Commands flow until as many were killed, and as many commands ended, as are wanted."""
        self.push(self.count)
        progress, since = 0, time.monotonic()
        while sum(self.killed.values()) < self.kills_wanted or progress < len(self.ids):
            if sum(self.killed.values()) < self.kills_wanted:
                self.kill_one()
            time.sleep(self.random.uniform(0, 0.2))  # the moments are what is random here
            done = self.ended()
            if done is not None and done != progress:
                progress, since = done, time.monotonic()
            if progress > len(self.ids) - 20 and sum(self.killed.values()) < self.kills_wanted:
                self.push(20)
            if time.monotonic() - since > STALLED and sum(self.killed.values()) < self.kills_wanted:
                self.kill(self.desk.agent.process.pid, "cloisterd")
                since = time.monotonic() - STALLED / 2
            if time.monotonic() - since > 180:
                raise Failure(f"no progress for 180 s at {progress} of {len(self.ids)}; "
                              f"killed {dict(self.killed)}")

    def check(self):
        with open(self.witness, encoding="utf-8") as f:
            ran = collections.Counter(int(line) for line in f.read().split())
        outcomes, wrong = collections.Counter(), []
        for number, identity in enumerate(self.ids):
            receipt = self.desk.receipt(identity)
            if receipt is None:
                wrong.append(f"{number}: no receipt")
                continue
            decision = receipt["decision"]
            outcomes[f"{decision} {receipt['reason']}".strip()] += 1
            if ran[number] > 1:
                wrong.append(f"{number}: ran {ran[number]} times")
            if decision == "run" and receipt.get("exit") == 0 and ran[number] != 1:
                wrong.append(f"{number}: its receipt says that it ran, and it did not")
            if decision in ("not_run", "refused") and ran[number] != 0:
                wrong.append(f"{number}: its receipt says {decision}, and it ran")
        print(f"{len(self.ids)} commands, {sum(self.killed.values())} kills {dict(sorted(self.killed.items()))}")
        print(f"receipts {dict(sorted(outcomes.items()))}; {sum(ran.values())} ran, none twice"
              if not wrong else "\n".join(wrong))
        return not wrong

    def remove(self):
        self.desk.remove()
        if os.path.exists(self.witness):
            os.unlink(self.witness)


def main():
    parser = argparse.ArgumentParser(description="Kill everything while commands flow.")
    parser.add_argument("--commands", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    faulthandler.dump_traceback_later(540)  # says where it hangs before CTest ends it
    loop = Loop(options.commands, options.kills, options.seed)
    try:
        loop.run()
        good = loop.check()
    except BaseException:
        print(f"---- agent ----\n{loop.desk.agent.log()[-20000:]}\n---- console ----\n"
              f"{loop.desk.console.log()[-5000:]}")
        raise
    finally:
        loop.remove()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
