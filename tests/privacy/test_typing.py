"""What is typed makes no frame and leaves nothing in any process of the agent."""
import json
import random
import re
import struct
import unittest

from memory import Report, parts, scan
from surroundings import Surroundings, sanitized

# What libxcb leaves of an XInput2 raw key event after it has taken its first 32 bytes and moved the rest
# to the front of its buffer: from offset 8 on event type (13, 14: key press, release), device, time,
# keycode, source device, count of valuator words.
RAW_KEY = re.compile(rb"[\x0d\x0e]\x00[\x02-\x20]\x00.{4}(?P<code>[\x08-\xff])\x00\x00\x00[\x02-\x20]\x00"
                     rb"[\x00-\x10]\x00", re.DOTALL)


class Typing(unittest.TestCase):
    def setUp(self):
        self.s = Surroundings(self)
        self.s.desktop.spawn(["xterm", "-T", "Typed into", "-e", "cat"])
        window = self.s.desktop.window("Typed into")
        self.s.desktop.xdotool("windowfocus", "--sync", window)

    def keycodes(self):
        """{keysym's name: keycode}"""
        codes = {}
        for line in self.s.desktop.run("xmodmap", "-pke").stdout.splitlines():
            match = re.match(r"keycode +(\d+) = (\S+)", line)
            if match:
                codes.setdefault(match.group(2), int(match.group(1)))
        return codes

    def type(self, text):
        """Fast, so that many events are read at once, and then slowly."""
        self.s.desktop.xdotool("type", "--delay", "0", text)
        self.s.desktop.xdotool("type", "--delay", "5", text)

    def needles(self, token, codes):
        keys = [codes[c] for c in token]
        found = {f"the text ({name})": token.encode(name)
                 for name in ("ascii", "utf-16-le", "utf-32-le")}
        for size, letter in ((1, "B"), (2, "H"), (4, "I")):
            found[f"its keycodes ({size} bytes each)"] = struct.pack(f"<{len(keys)}{letter}", *keys)
        # Any third of the text would be a leak too.
        for i in range(0, len(token), 8):
            found[f"the text from letter {i}"] = token[i:i + 8].encode()
            found[f"its keycodes from letter {i}"] = bytes(keys[i:i + 8])
        return found

    def test_typing_makes_no_frame(self):
        before = self.s.frames()
        merged = self.s.agent.status()["capture"]["merged"]
        self.s.desktop.xdotool("type", "--delay", "2", "The quick brown fox 0123456789 p4ssW0rd!$%&/()=?")
        self.s.desktop.xdotool("key", "space", "Tab", "BackSpace", "Escape", "Delete", "Left", "Up",
                               "Home", "Prior", "shift+a", "ctrl+c", "alt+x", "KP_5", "Caps_Lock",
                               "Caps_Lock", "Shift_L", "Control_L", "Super_L", "Print", "Insert")
        # The next trigger comes after all of these on the same connection: with its frame they have
        # been read.
        self.s.desktop.xdotool("key", "F3")
        listed = None
        while not listed or len(listed["frames"]) <= before:
            listed = json.loads(self.s.ticket("--list", "--json").stdout)
        self.assertEqual(len(listed["frames"]), before + 1)
        self.assertEqual(listed["frames"][-1]["trigger"], "f3")
        self.assertEqual(self.s.agent.status()["capture"]["merged"], merged)

    @unittest.skipIf(sanitized(), "AddressSanitizer keeps what was freed: memory is read in the plain build")
    def test_what_is_typed_is_in_no_memory(self):
        token = "".join(random.SystemRandom().choice("abcdefghijklmnopqrstuvwxyz0123456789")
                        for _ in range(24))
        codes = self.keycodes()
        needles = self.needles(token, codes)
        self.s.trigger()
        self.type(token)
        xterm = next(p for p in self.s.desktop.processes if "xterm" in p.args)
        cat = int(self.s.desktop.run("pgrep", "-P", str(xterm.pid)).stdout.split()[0])
        # The control: where it was typed, it is.
        self.assertTrue(scan(cat, needles).findings or scan(xterm.pid, needles).findings,
                        "the search does not find the text in the terminal either")
        for pid, name in self.s.agent.processes().items():
            report = scan(pid, needles)
            self.assertEqual([str(f) for f in report.findings], [], name)

    @unittest.skipIf(sanitized(), "AddressSanitizer keeps what was freed: memory is read in the plain build")
    def test_no_event_of_a_typed_key_stays_in_capture(self):
        """Not even the last one, which libxcb leaves in its buffer and on the stack."""
        token = "thequickbrownfoxjumpsover"
        typed = {code: name for name, code in self.keycodes().items() if name in token}
        listener = self.s.client("listener")
        capture = self.s.agent.worker("capture")["pid"]
        for trigger in (False, True):
            self.type(token)
            if trigger:
                self.s.trigger()
            control, left = self.codes_left(listener.pid), self.codes_left(capture)
            print(f"\n    keycodes left in a careless client: {sorted(control)}, in capture: {sorted(left)}",
                  flush=True)
            self.assertTrue(control & (set(typed) | {self.keycodes()["F3"]}), "the search finds nothing")
            self.assertEqual({typed[c] for c in left & set(typed)}, set())

    @staticmethod
    def codes_left(pid):
        left = set()
        for mapping, _, data in parts(pid, Report()):
            if not mapping.name.startswith("/"):
                left |= {match.group("code")[0] for match in RAW_KEY.finditer(data)}
        return left


if __name__ == "__main__":
    unittest.main(verbosity=2)
