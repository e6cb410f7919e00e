"""RandR and several monitors, with a real server that changes its size (Xtigervnc)."""
import json
import os
import re
import subprocess
import unittest

from world import FaultsCase, wait_for

COLOURS = {"800x600": (200, 40, 40), "1024x768": (40, 200, 40), "1280x1024": (40, 40, 200)}


def pixel(path, x, y):
    """A pixel of a WebP image, and its size, by the stock dwebp."""
    ppm = subprocess.run(["dwebp", "-quiet", "-ppm", path, "-o", "-"], check=True,
                         capture_output=True).stdout
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", ppm)
    width, height = int(head[1]), int(head[2])
    at = head.end() + 3 * (y * width + x)
    return tuple(ppm[at:at + 3]), (width, height)


class Monitors(FaultsCase):
    options = {"server": "Xtigervnc", "size": "1024x768", "noise": False}

    def xrandr(self, *args):
        result = self.world.desktop.run("xrandr", *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def resize(self, size):
        self.xrandr("--output", "VNC-0", "--mode", size)
        wait_for(size, lambda: f"current {size.replace('x', ' x ')}" in self.xrandr())
        red, green, blue = COLOURS[size]
        self.world.desktop.run("xsetroot", "-solid", f"#{red:02x}{green:02x}{blue:02x}")

    def frame(self):
        """One more frame of what the screen shows now."""
        self.world.gather(self.world.frames() + 1)

    def send(self):
        """The ticket's frames as ticket.json has them, oldest first, with their images' paths."""
        number = self.check_told(self.typist().review().consent())
        _, _, folder = self.world.open_ticket(number)
        with open(os.path.join(folder, "ticket.json"), encoding="utf-8") as f:
            frames = json.load(f)["frames"]
        for frame in frames:
            frame["path"] = os.path.join(folder, frame["file"])
        return frames

    def check_frame(self, frame, size):
        width, height = map(int, size.split("x"))
        self.assertEqual((frame["width"], frame["height"]), (width, height))
        colour, decoded = pixel(frame["path"], width - 1, height - 1)
        self.assertEqual(decoded, (width, height))
        self.assertEqual(colour, COLOURS[size])

    def test_frames_have_the_size_that_the_screen_had(self):
        sizes = ["1024x768", "800x600", "1280x1024", "1024x768"]
        for size in sizes:
            self.resize(size)
            self.frame()
        frames = self.send()[-len(sizes):]
        for frame, size in zip(frames, sizes, strict=True):
            with self.subTest(size=size):
                self.check_frame(frame, size)

    def test_resized_while_triggers_come(self):
        for round_ in range(6):
            size = list(COLOURS)[round_ % 3]
            keys = self.world.desktop.spawn(["xdotool", "key", "--delay", "20", "--repeat", "5", "F3"])
            self.resize(size)
            keys.wait(20)
        self.resize("1024x768")
        self.frame()
        frames = self.send()
        for frame in frames:
            _, decoded = pixel(frame["path"], 0, 0)
            self.assertEqual(decoded, (frame["width"], frame["height"]))
        self.check_frame(frames[-1], "1024x768")
        self.assertEqual(self.world.agent.worker("capture")["restarts"], 0)

    def test_two_monitors(self):
        self.resize("1024x768")
        self.xrandr("--setmonitor", "left", "400/135x768/203+0+0", "VNC-0")
        self.xrandr("--setmonitor", "right", "624/135x768/203+400+0", "none")
        self.addCleanup(self.xrandr, "--delmonitor", "left")
        self.addCleanup(self.xrandr, "--delmonitor", "right")
        self.frame()
        self.xrandr("--delmonitor", "right")
        self.frame()
        self.xrandr("--setmonitor", "right", "624/135x768/203+400+0", "none")
        two, one = self.send()[-2:]
        self.check_frame(two, "1024x768")
        self.assertEqual(sorted((m["x"], m["width"]) for m in two["monitors"]), [(0, 400), (400, 624)])
        self.assertEqual([m["width"] for m in one["monitors"]], [400])


if __name__ == "__main__":
    unittest.main(verbosity=2)
