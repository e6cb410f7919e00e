"""A seeded picture that nothing else contains, and the forms in which it may lie about.

What is searched for, for each of a few rows spread over the picture (its first 16 pixels, 64 bytes as
the X server keeps them): B G R with a padding byte of 0 (the X server's and capture's form; the same
bytes within an LZ4 record, since random rows do not compress), with 255 (libwebp's), R G B with both,
the three-byte forms in both orders, and libwebp's "subtract green" form. Where a WebP of the frame is
known, five pieces of its bytes too; they stay as they are in a tar archive and in LZ4.
"""
import os
import random
import subprocess

TOOLS = os.environ.get("CLOISTER_TOOLS") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/test/tests/privacy")
PIXELS = 16  # of a row are searched for


class Pattern:
    def __init__(self, seed, width=512, height=384):
        self.width, self.height = width, height
        colours = random.Random(seed).randbytes(3 * width * height)
        pixels = bytearray(4 * width * height)
        for i in range(3):
            pixels[i::4] = colours[i::3]
        self.pixels = bytes(pixels)

    def row(self, y):
        """The first pixels of row `y`: (blue, green, red) each."""
        start = 4 * self.width * y
        row = self.pixels[start:start + 4 * PIXELS]
        return [(row[i], row[i + 1], row[i + 2]) for i in range(0, len(row), 4)]

    def needles(self, webp=None):
        found = {}
        for y in (0, self.height // 3, self.height - 1):
            row = self.row(y)
            forms = {
                "BGR0": bytes(x for b, g, r in row for x in (b, g, r, 0)),
                "BGRA": bytes(x for b, g, r in row for x in (b, g, r, 255)),
                "RGB0": bytes(x for b, g, r in row for x in (r, g, b, 0)),
                "RGBA": bytes(x for b, g, r in row for x in (r, g, b, 255)),
                "BGR": bytes(x for b, g, r in row for x in (b, g, r)),
                "RGB": bytes(x for b, g, r in row for x in (r, g, b)),
                "green subtracted": bytes(x for b, g, r in row
                                          for x in (b - g & 255, g, r - g & 255, 255)),
            }
            found.update({f"{name} of row {y}": bytes(form) for name, form in forms.items()})
        if webp:
            # Not from its head, which is the same for many pictures.
            step = len(webp) // 6
            found.update({f"WebP from byte {i * step}": webp[i * step:i * step + 64]
                          for i in range(1, 6)})
        return found

    def show(self, desktop):
        """Shows it in a window at 0,0; it reaches that program through a pipe."""
        process = subprocess.Popen(
            desktop.as_user([os.path.join(TOOLS, "pattern_window"), str(self.width), str(self.height)]),
            env=desktop.environment(), cwd=desktop.folder, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        desktop.processes.append(process)
        process.stdin.write(self.pixels)
        process.stdin.close()
        with process.stdout as said:
            if said.readline() != b"ready\n":
                raise RuntimeError("the pattern's window did not appear")
        return process


def tool(name):
    return os.path.join(TOOLS, name)


def hold(pattern, how):
    """A process that holds a row of the pattern in memory; "heap" or "locked"."""
    process = subprocess.Popen([tool("holder"), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(pattern.pixels[:4 * pattern.width])
    process.stdin.close()
    with process.stdout as said:
        if said.readline() != b"ready\n":
            raise RuntimeError("the holder did not start")
    return process
