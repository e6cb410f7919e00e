"""Where pixels are, while a ticket is reviewed, sealed and sent: by reading every process's memory, and
every file that the agent could have written."""
import glob
import json
import os
import signal
import stat
import time
import unittest

from memory import scan, undumpable
from pattern import hold
from surroundings import Surroundings, sanitized, wait_for

HOLDERS = {"cloister-capture", "cloister-ticket"}  # who may have pixels
FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run")
# What only a bundle that lies open contains.
OPEN_BUNDLE = {"name in the archive": b"ticket.json", "folder in the archive": b"frames/0001",
               "archive": b"ustar", "image": b"WEBPVP8L", "text": b"cloister-ticket/1"}


def show(text):
    print(f"\n    {text}", flush=True)


@unittest.skipIf(sanitized(), "AddressSanitizer keeps copies of its own: memory is read in the plain build")
class Memory(unittest.TestCase):
    def scan_agent(self, needles, when):
        """{program: findings} of every process of the agent, all of whose memory could be read."""
        found, total, secret = {}, 0, 0
        for pid, name in self.s.agent.processes().items():
            report = scan(pid, needles)
            self.assertEqual(report.unreadable, [], name)
            self.assertGreater(report.bytes, 100000, f"hardly anything was read of {name}")
            self.assertTrue(name in ("cloisterd",) or undumpable(pid), f"{name} can be dumped")
            found.setdefault(name, []).extend(report.findings)
            total, secret = total + report.bytes, secret + report.secret_mappings
        show(f"{when}: {len(found)} programs, {total >> 20} MiB read, {secret} memfd_secret mappings closed "
             f"to root; pixels in: " + (", ".join(sorted(n for n in found if found[n])) or "none"))
        return found

    def check_places(self, found):
        for name, findings in found.items():
            if name not in HOLDERS:
                self.assertEqual([str(f) for f in findings], [], f"pixels in {name}")
            self.assertEqual([str(f) for f in findings if not f.kept], [],
                             f"pixels of {name} in memory that can be swapped out or dumped")

    def check_controls(self):
        """The scanner sees what it must see, and tells good memory from bad."""
        needles = self.s.pattern.needles()
        for how, kept in (("heap", False), ("locked", True)):
            holder = hold(self.s.pattern, how)
            try:
                findings = scan(holder.pid, needles).findings
                self.assertTrue(findings, f"the planted pattern was not found ({how})")
                self.assertTrue(all(f.kept == kept for f in findings), [str(f) for f in findings])
            finally:
                holder.kill()
                holder.wait()

    def first_ticket(self):
        """Sends a ticket, and returns the WebP of its first frame: encoding is deterministic, so the
        same frame has the same bytes in the next ticket."""
        sent = self.s.ticket("--keep", "all", "--yes", "--json", "--description", "first")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        folder = self.s.open_bundle(json.loads(sent.stdout)["number"])
        with open(os.path.join(folder, "frames/0001.webp"), "rb") as f:
            return f.read()

    def begin(self):
        self.s = Surroundings(self)
        self.s.show_pattern()

    def test_pixels_are_only_in_locked_memory_of_capture_and_ticket(self):
        self.begin()
        self.check_controls()
        needles = self.s.pattern.needles(self.first_ticket())
        review = self.s.review()
        self.s.prepared(review)
        found = self.scan_agent(needles, "in review")
        self.check_places(found)
        for name, form in (("cloister-capture", "BGR0"), ("cloister-ticket", "WebP")):
            self.assertTrue(any(form in f.form for f in found[name]), f"no {form} in {name}: {found}")
        review.say("view 1")
        review.expect("ticket> ")
        self.check_places(self.scan_agent(needles, "a frame viewed"))
        review.say("send")
        review.expect('Type "yes"')
        self.check_places(self.scan_agent(needles, "sealed, consent not given"))
        review.say("yes")
        review.expect("The help desk has your ticket")
        self.assertEqual(review.process.wait(30), 0)
        found = self.scan_agent(needles, "sent")
        self.check_places(found)
        self.assertNotIn("cloister-ticket", found)

    def test_pixels_are_in_locked_memory_while_they_are_encoded(self):
        """The ticket program is stopped and looked at every few milliseconds of its work."""
        self.begin()
        for _ in range(11):
            self.s.trigger()
        needles = self.s.pattern.needles()
        review = self.s.review()
        moments, findings, pid = 0, [], review.pid
        for _ in range(40):
            os.kill(pid, signal.SIGSTOP)
            report = scan(pid, needles)
            self.assertEqual(report.unreadable, [])
            moments += bool(report.findings)
            findings += report.findings
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.005)  # so much of its work between two looks
        show(f"pixels at {moments} of 40 moments of encoding: "
             + ", ".join(sorted({f.form.split(" of ")[0] for f in findings})))
        self.assertGreater(moments, 3, "the moments missed the encoding")
        self.check_places({"cloister-ticket": findings})

    def test_what_is_forgotten_is_nowhere(self):
        self.begin()
        needles = self.s.pattern.needles()
        pid = self.s.agent.worker("capture")["pid"]
        self.assertTrue(scan(pid, needles).findings, "nothing to forget")
        self.s.desktop.run("xset", "s", "activate")
        wait_for("the frames to be forgotten", lambda: self.s.frames() == 0)
        wait_for("the pixels to be gone", lambda: not scan(pid, needles).findings)
        self.assertEqual(self.s.agent.worker("capture")["pid"], pid, "it was to forget and live on")
        listed = self.s.ticket("--list", "--json")
        self.assertEqual(json.loads(listed.stdout)["frames"], [], listed.stderr)
        self.scan_agent(needles, "forgotten")

    def test_an_open_ticket_gets_nothing_more_once_all_is_forgotten(self):
        self.begin()
        needles = self.s.pattern.needles()
        self.s.desktop.run("xset", "s", "activate")
        wait_for("the frames to be forgotten", lambda: self.s.frames() == 0)
        review = self.s.review()
        found = self.scan_agent(needles, "a ticket opened afterwards")
        self.assertEqual([str(f) for name in HOLDERS for f in found[name]], [])
        review.say("list")
        review.expect("0 frames: 0 to send")
        self.assertNotEqual(review.cancel(), 0)


class Files(unittest.TestCase):
    def written_since(self, start):
        """Regular files below the folders that the agent could write to, the private roots of its
        workers included, which were changed since `start`."""
        roots = [self.s.agent.folder, self.s.agent.runtime, self.s.console.folder, *FOLDERS]
        roots += [f"/proc/{pid}/root/" for pid in self.s.agent.processes()
                  if not os.path.samefile(f"/proc/{pid}/root", "/")]
        seen = set()
        for root in roots:
            for folder, folders, names in os.walk(root):
                folders[:] = [f for f in folders if os.path.join(folder, f) != self.s.agent.bin and
                              f not in ("proc", "sys")]
                for name in names:
                    self.note(os.path.join(folder, name), start, seen)
        for pid in self.s.agent.processes():
            for path in glob.glob(f"/proc/{pid}/fd/*"):
                # Memory by another name: read with the rest of memory.
                if not os.readlink(path).startswith(("/memfd:", "/secretmem")):
                    self.note(path, start, seen)
        return {path for path, _ in seen}

    @staticmethod
    def note(path, start, seen):
        try:
            status = os.stat(path)
        except OSError:
            return
        if stat.S_ISREG(status.st_mode) and status.st_mtime >= start and not \
                any(key == (status.st_dev, status.st_ino) for _, key in seen):
            seen.add((path, (status.st_dev, status.st_ino)))

    @staticmethod
    def search(path, needles):
        try:
            with open(path, "rb") as f:
                data = f.read()
        except OSError:  # gone in the meantime, or memfd_secret
            return []
        return [form for form, needle in needles.items() if needle in data]

    def test_no_file_holds_pixels_or_an_open_bundle(self):
        start = time.time() - 2
        self.s = Surroundings(self)
        self.s.show_pattern()
        sent = self.s.ticket("--keep", "all", "--yes", "--json", "--description", "an unlikely description")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        number = json.loads(sent.stdout)["number"]
        # Before the help desk's technician opens the bundle.
        paths = self.written_since(start)
        folder = self.s.open_bundle(number)
        with open(os.path.join(folder, "frames/0001.webp"), "rb") as f:
            needles = self.s.pattern.needles(f.read())
        needles["the description"] = b"an unlikely description"
        control = os.path.join(folder, "frames/0001.webp")
        self.assertTrue(self.search(control, needles), "the search finds nothing where it must")
        pixels = {}
        for path in paths:
            ours = path.startswith((self.s.agent.folder, self.s.agent.runtime, self.s.console.folder,
                                    "/proc/"))
            found = self.search(path, {**needles, **(OPEN_BUNDLE if ours else {})})
            if found:
                pixels[path] = found
        show(f"{len(paths)} files written since the agent was started")
        self.assertTrue(any(p.startswith(self.s.console.state) and os.path.getsize(p) > 100000
                            for p in paths), "the console's sealed bundle was not among them")
        self.assertEqual(pixels, {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
