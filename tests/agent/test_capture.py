"""Capture in the whole agent: what makes a frame, who may see and pause, and what forgets."""
import json
import os
import pwd
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from agent import Agent, make_user, wait_for
from desktop import Desktop

STRANGER = "cloister-other"

SQUATTER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
server.listen(5)
print("listening", flush=True)
while True:
    client = server.accept()[0]
    print("got", client.recv(200), flush=True)
    client.close()
"""


class Capture(unittest.TestCase):
    def begin(self, capture=None):
        self.desktop = Desktop(size="1024x768")
        self.addCleanup(self.desktop.remove)
        self.desktop.start()
        self.agent = Agent({"session": self.desktop.session(),
                            "capture": {"screenshots": "on", "cpu_percent": "100", **(capture or {})}})
        self.addCleanup(self.agent.remove)
        self.agent.start()
        self.agent.wait_serving("capture")
        self.wait_phase("capturing")

    def capture(self):
        return self.agent.status()["capture"]

    def wait_phase(self, phase):
        return wait_for(f"capture to be {phase}", lambda: (c := self.capture())["phase"] == phase and c)

    def wait_frames(self, count):
        wait_for(f"{count} frames", lambda: self.capture()["frames"] == count)

    def worker(self):
        return self.agent.worker("capture")

    def ticket(self, *args):
        return self.agent.run("cloister-ticket", *args, user=self.desktop.user)

    def test_triggers_make_frames_and_typing_does_not(self):
        self.begin()
        self.desktop.spawn(["xterm", "-T", "Invoice 17", "-e", "cat"])
        self.desktop.window("Invoice 17")
        self.desktop.xdotool("type", "--delay", "2", "the quick brown fox")
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)
        self.desktop.click(200, 200)
        self.wait_frames(2)
        self.desktop.xdotool("key", "Return")
        self.wait_frames(3)
        listed = self.ticket("--list", "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        frames = json.loads(listed.stdout)["frames"]
        self.assertEqual(len(frames), 3, listed.stdout)
        self.assertIn("Invoice 17", listed.stdout)

    def test_a_denied_title_never_leaves_capture(self):
        self.begin({"deny": "Vault*"})
        self.desktop.spawn(["xterm", "-class", "VaultTerm", "-T", "open sesame"])
        self.desktop.window("open sesame")
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)
        listed = self.ticket("--list", "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertNotIn("sesame", listed.stdout)

    def test_a_stranger_at_the_display_gets_no_cookie(self):
        """Any user can be the first to bind a display's socket."""
        make_user(STRANGER)
        self.desktop = Desktop(size="1024x768")  # its cookie file alone: no server of its own
        self.addCleanup(self.desktop.remove)
        number = random.SystemRandom().randrange(1000, 60000)
        self.desktop.display = f":{number}"
        self.desktop.write_cookie()
        path = f"/tmp/.X11-unix/X{number}"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        squatter = subprocess.Popen(
            ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--init-groups",
             sys.executable, "-c", SQUATTER, path], stdout=subprocess.PIPE, text=True)
        self.addCleanup(squatter.stdout.close)
        self.addCleanup(squatter.wait)
        self.addCleanup(squatter.kill)
        self.assertEqual(squatter.stdout.readline(), "listening\n")
        self.agent = Agent({"session": self.desktop.session(), "capture": {"screenshots": "on"}})
        self.addCleanup(self.agent.remove)
        self.agent.start()
        self.assertEqual(squatter.stdout.readline(), "got b''\n", self.agent.log())
        uid = pwd.getpwnam(STRANGER).pw_uid
        self.agent.wait_log(f"the X server's socket belongs to uid {uid}, not to root")
        self.assertNotEqual(self.agent.worker("capture")["state"], "serving")

    def test_owner_and_root_pause_others_may_not(self):
        self.begin()
        make_user(STRANGER)
        refused = self.agent.run("cloister", "pause", "5m", user=STRANGER)
        self.assertEqual(refused.returncode, 8, refused.stderr)
        self.assertIn("only the session's owner", refused.stderr)
        self.assertEqual(self.capture()["phase"], "capturing")
        for user in (self.desktop.user, None):
            self.assertEqual(self.agent.run("cloister", "pause", "5m", user=user).returncode, 0)
            paused = self.wait_phase("paused")
            self.assertAlmostEqual(paused["paused_until_ms"] / 1000, time.time() + 300, delta=30)
            self.desktop.xdotool("key", "F3")
            self.assertEqual(self.agent.run("cloister", "resume", user=user).returncode, 0)
            self.wait_phase("capturing")
        self.assertEqual(self.capture()["frames"], 0)
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)

    def test_frames_are_gone_with_the_x_server_and_it_may_come_back(self):
        self.begin()
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)
        self.desktop.processes[0].send_signal(signal.SIGKILL)
        self.desktop.processes[0].wait()
        waiting = wait_for("capture to wait",
                           lambda: (c := self.capture())["phase"] != "capturing" and c)
        self.assertEqual(waiting["frames"], 0)
        number = self.desktop.display_number
        self.desktop.spawn(["Xvfb", f":{number}", "-auth", self.desktop.xauthority, "-nolisten", "tcp",
                            "-screen", "0", "800x600x24"])
        self.wait_phase("capturing")
        self.assertEqual(self.capture()["frames"], 0)
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)

    def test_a_killed_capture_comes_back_without_frames(self):
        self.begin()
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)
        before = self.worker()["pid"]
        os.kill(before, signal.SIGKILL)
        wait_for("another capture", lambda: (w := self.worker())["state"] == "serving" and
                 w["pid"] != before)
        self.wait_phase("capturing")
        self.wait_frames(0)
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)

    def test_a_screen_saver_forgets(self):
        self.begin()
        self.desktop.xdotool("key", "F3")
        self.wait_frames(1)
        self.desktop.run("xset", "s", "activate")
        self.wait_frames(0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
