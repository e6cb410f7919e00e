"""The built-in keys: their generator, their section in a built program, and what is refused.

usage: test_keys.py CHECK_TOKENS CLOISTER_VAULT
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from token_peers import COUNTERSIGNS, REVOKES, Key, command, run, table, verify

VAULT = sys.argv.pop(2)
PROGRAM = sys.argv.pop(1)
HERE = os.path.dirname(os.path.abspath(__file__))
SECTION = ".cloister_keys"


class Keys(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.keys = [Key(self.folder, "ops-1", "diagnostic"), Key(self.folder, "a" * 32, "admin", REVOKES),
                     Key(self.folder, "x.y_z-0", "none", COUNTERSIGNS), Key(self.folder, "both", "user", 3)]

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as out:
                out.write(content)
        return path

    def said(self):
        lines = [f"{k.kid} {k.fingerprint()} {k.profile}" + " countersigns" * (k.flags & 1)
                 + " revokes" * (k.flags >> 1) for k in self.keys]
        return "".join(line + "\n" for line in lines)


class Generator(Keys):
    def generate(self, content):
        out = self.path("table.c")
        result = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "generate_keys.py"), out,
                                 self.path("keys.jwks", content)], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode == 0, os.path.exists(out))
        return result

    def refuses(self, content, *words):
        result = self.generate(content if isinstance(content, bytes) else json.dumps(content).encode())
        self.assertEqual(result.returncode, 1, content)
        self.assertNotIn("Traceback", result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_compiled_table_is_the_stamped_one(self):
        document = {"keys": [key.public() for key in self.keys]}
        document["keys"][0] = json.loads(run("jose", "jwk", "pub", "-i", self.keys[0].file, "-o", "-"))
        document["keys"][0].update(kid="ops-1", profile="diagnostic")
        self.assertEqual(self.generate(json.dumps(document).encode()).stderr, "")
        built = self.path("table.o")
        run("cc", "-Wall", "-Wextra", "-Werror", "-fPIC", "-I", HERE, "-c", self.path("table.c"), "-o", built)
        run("objcopy", "--dump-section", f"{SECTION}={self.path('section')}", built)
        with open(self.path("section"), "rb") as file:
            self.assertEqual(file.read(), table(*self.keys))

    def test_the_page(self):
        """Its commands make a set that can be built in, and a token that is then accepted."""
        with open(os.path.join(HERE, "../docs/commands.md"), encoding="utf-8") as page:
            script = re.search(r"```sh\n(.*?)```", page.read(), re.S).group(1)
        subprocess.run(["sh", "-euc", script], cwd=self.folder, check=True, capture_output=True, timeout=60)
        with open(self.path("keys.jwks"), "rb") as file:
            self.assertEqual(self.generate(file.read()).stderr, "")
        run("cc", "-I", HERE, "-c", self.path("table.c"), "-o", self.path("table.o"))
        run("objcopy", "--dump-section", f"{SECTION}={self.path('table')}", self.path("table.o"))
        with open(self.path("uptime.jws"), "rb") as file:
            line, = verify(PROGRAM, self.path("table"), [file.read()])
        self.assertEqual((line["decision"], line["argv"]), ("accepted", ["/usr/bin/uptime"]))

    def test_bad_sets(self):
        good = self.keys[0].public()
        for member in ("kty", "crv", "kid", "x", "y"):
            self.refuses({"keys": [{k: v for k, v in good.items() if k != member}]}, "key 1", member)
        other = {"kty": "RSA", "crv": "P-384", "alg": "ES384", "use": "enc", "key_ops": ["sign"],
                 "kid": ["A", "", "a" * 33, "a b", 1, "a\n"], "profile": ["root", "", None, 1],
                 "countersigns": [1, "true", None], "revokes": ["false", 0],
                 "x": ["", good["y"], good["x"] + "=", good["x"][:42] + "B", good["x"] + "A", 1, "+" * 43]}
        for member, values in other.items():
            for value in values if isinstance(values, list) and member != "key_ops" else [values]:
                self.refuses({"keys": [{**good, member: value}]}, "key 1", member.split("_")[0])
        self.refuses({"keys": [{**good, "countersign": True}]}, "unknown", "countersign")
        self.refuses({"keys": [{**good, "d": self.keys[0].jwk["d"]}]}, "PRIVATE")
        self.refuses({"keys": [good, good]}, "twice")
        self.refuses({"keys": [good, {**good, "kid": "other"}]}, "two kids")
        self.refuses({"keys": [{**good, "kid": f"k{i}"} for i in range(9)]}, "more than 8")
        self.refuses({"keys": [1]}, "key 1")
        for document in ([], {}, {"keys": {}}, good, {"keys": [], "more": 1}, None):
            self.refuses(document, "JWK set" if document != {"keys": [], "more": 1} else "unknown")
        for text in (b"", b"\xff", b"{", b'{"keys":[],"keys":[]}', b"[" * 100000):
            self.refuses(text)
        self.refuses(json.dumps({"keys": [good]}).replace('"kid"', '"kid": "ops-2", "kid"', 1).encode(), "twice")

    def test_no_file(self):
        result = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "generate_keys.py"), self.path("t.c"),
                                 self.path("absent")], capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertFalse(os.path.exists(self.path("t.c")))


class Section(Keys):
    def setUp(self):
        super().setUp()
        self.vault = self.path("cloister-vault")
        shutil.copy(VAULT, self.vault)

    def place(self, program):
        """Offset, size and flags of the section."""
        for line in run("readelf", "-SW", program).decode().splitlines():
            words = line.replace("[ ", "[").split()
            if len(words) > 8 and words[1] == SECTION:
                return int(words[4], 16), int(words[5], 16), words[7]
        self.fail("no section")

    def stamp(self, content, program=None):
        with open(program or self.vault, "r+b") as file:
            file.seek(self.place(program or self.vault)[0])
            file.write(content)

    def version(self, program=None):
        return subprocess.run([program or self.vault, "--version"], capture_output=True, text=True, timeout=60,
                              check=False)

    def test_is_read_only_and_of_its_size(self):
        _, size, flags = self.place(VAULT)
        self.assertEqual((size, flags), (1024, "A"))  # neither W nor X

    def test_stamped_keys_are_printed(self):
        before = self.version().stdout
        self.stamp(table(*self.keys))
        result = self.version()
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        first, rest = result.stdout.split("\n", 1)
        self.assertEqual(first, before.split("\n")[0])
        self.assertRegex(first, r"^cloister-vault \d")
        self.assertEqual(rest, self.said())

    def test_stamped_and_stripped_either_way(self):
        stripped = self.path("stripped")
        run("strip", "-o", stripped, self.vault)
        self.stamp(table(*self.keys), stripped)
        self.stamp(table(*self.keys))
        run("strip", self.vault)
        self.assertEqual(self.version(stripped).stdout.split("\n", 1)[1], self.said())
        self.assertEqual(self.version().stdout.split("\n", 1)[1], self.said())

    def test_a_wrong_table_is_said(self):
        good = table(*self.keys)
        wrong = {"empty": bytes(1024), "magic": b"C" + good[1:], "count": good[:16] + b"\x09" + good[17:],
                 "end": good[:-1] + b"\1", "point": good[:70] + bytes([good[70] ^ 1]) + good[71:],
                 "kid": good[:24] + b"A" + good[25:]}
        for name, content in wrong.items():
            self.stamp(content)
            result = self.version()
            self.assertEqual((name, result.returncode, result.stdout), (name, 1, ""))
            self.assertIn("table of command keys is wrong", result.stderr)
            with self.assertRaisesRegex(AssertionError, "ended with 2"):
                verify(PROGRAM, self.path("table", content), [b"x"])
        self.assertEqual(verify(PROGRAM, self.path("table", good), [self.keys[0].jose(command())])[0]["kid"], "ops-1")


if __name__ == "__main__":
    unittest.main()
