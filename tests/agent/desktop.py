"""A desktop to test on: Xvfb with a window manager and real programs, driven by xdotool."""
import os
import random
import shutil
import signal
import subprocess
import tempfile

from agent import Failure, make_user, wait_for

USER = "cloister-demo"  # the ordinary user whose desktop it is


class Desktop:
    """`server`: "Xvfb" or "Xtigervnc"."""

    def __init__(self, size="1920x1080", server="Xvfb", user=USER):
        self.account = make_user(user)
        self.user = user
        self.folder = tempfile.mkdtemp(prefix="cloister-desktop-", dir="/var/tmp")
        os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        os.chmod(self.folder, 0o700)
        self.xauthority = os.path.join(self.folder, "xauthority")
        self.size, self.server = size, server
        self.processes = []
        self.display = None
        self.display_number = None

    def start(self):
        # Servers that look for a free number by themselves at the same time take each other's sockets.
        self.display_number = random.SystemRandom().randrange(1000, 60000)
        self.display = f":{self.display_number}"
        self.write_cookie()
        read_end, write_end = os.pipe()
        geometry = ["-screen", "0", f"{self.size}x24"] if self.server == "Xvfb" else \
            ["-geometry", self.size, "-depth", "24", "-SecurityTypes", "None", "-rfbport", "-1"]
        # Without -noreset the first client's end would throw out the second that is just coming.
        self.spawn([self.server, self.display, "-displayfd", str(write_end), "-auth", self.xauthority,
                    "-nolisten", "tcp", "-noreset", *geometry], pass_fds=(write_end,))
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            if not answer.readline():
                raise Failure(f"{self.server} did not start")
        self.spawn(["openbox"])
        wait_for("the window manager",
                 lambda: "window id" in self.run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").stdout)
        return self

    def write_cookie(self):
        """A new cookie for the display, in the user's Xauthority file."""
        self._xauth(self.xauthority, self.display, os.urandom(16).hex())

    def _xauth(self, path, display, cookie):
        subprocess.run(["xauth", "-q", "-f", path, "add", display, ".", cookie], check=True,
                       stderr=subprocess.DEVNULL)
        os.chown(path, self.account.pw_uid, self.account.pw_gid)
        os.chmod(path, 0o600)

    def environment(self):
        return {"HOME": self.folder, "PATH": "/usr/local/bin:/usr/bin:/bin", "DISPLAY": self.display or "",
                "XAUTHORITY": self.xauthority, "LANG": "C.UTF-8", "TERM": "xterm"}

    def as_user(self, command):
        return ["setpriv", f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}",
                "--init-groups", "--", *command]

    def spawn(self, command, **options):
        """Starts a program as the user and leaves it running."""
        process = subprocess.Popen(self.as_user(command), env=self.environment(), cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def run(self, *command, timeout=60, **options):
        return subprocess.run(self.as_user(command), env=self.environment(), cwd=self.folder,
                              capture_output=True, text=True, timeout=timeout, check=False, **options)

    def xdotool(self, *args):
        result = self.run("xdotool", *map(str, args))
        if result.returncode != 0:
            raise Failure(f"xdotool {' '.join(map(str, args))}: {result.stderr.strip()}")
        return result.stdout

    def window(self, title):
        """The X id of the window with that title, once it is there."""
        return wait_for(f"the window {title!r}",
                        lambda: self.run("xdotool", "search", "--onlyvisible", "--name", title).stdout
                        .split()[:1])[0]

    def click(self, x, y, button=1):
        self.xdotool("mousemove", x, y, "click", button)

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def session(self):
        """The [session] section that makes an agent capture this desktop."""
        return {"source": "config", "display": self.display, "user": self.user,
                "xauthority": self.xauthority}
