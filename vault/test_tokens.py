"""The verifier and tokens that jose and openssl signed, or that somebody forged.

usage: test_tokens.py CHECK_TOKENS, the program of check_tokens.c
"""
import hashlib
import hmac
import json
import os
import sys
import tempfile
import unittest

from token_peers import (COUNTERSIGNS, N, REVOKES, Key, b64, command, command_hash, raw, revocation,
                         run, script_command, table, unb64, verify)

PROGRAM = sys.argv.pop(1)
NOT_AUTHENTIC = {"malformed", "header", "signature"}
SCRIPT = b"#!/bin/sh\necho hello\n"


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        make = lambda *a, **k: Key(cls.folder.name, *a, **k)
        cls.ops, cls.root = make("ops-1", "diagnostic"), make("ops-2", "admin", REVOKES)
        cls.customer = make("customer.9_x", "none", COUNTERSIGNS)
        cls.stranger = make("ops-1", "diagnostic")  # another key that says it were ops-1
        cls.es384 = make("ops-1", alg="ES384")
        cls.tables = {}
        cls.token = cls.ops.openssl(command())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def verify(self, tokens, revoked=0, keys=None):
        keys = (self.ops, self.root, self.customer) if keys is None else keys
        file = os.path.join(self.folder.name, "table")
        with open(file, "wb") as out:
            out.write(table(*keys))
        return verify(PROGRAM, file, tokens, revoked)

    def expect(self, decision, tokens, **options):
        """Each token, named for the message, has this decision."""
        lines = self.verify(list(tokens.values()), **options)
        self.assertEqual({name: decision for name in tokens},
                         {name: line["decision"] for name, line in zip(tokens, lines)})
        return lines

    def payloads(self, decision, payloads, key=None):
        return self.expect(decision, {name: (key or self.ops).openssl(payload)
                                      for name, payload in payloads.items()})


class Accepted(Tokens):
    def test_of_jose_and_of_openssl(self):
        tokens = {"jose": self.ops.jose(command()), "openssl": self.token}
        for line, token in zip(self.expect("accepted", tokens), tokens.values()):
            self.assertEqual(line["id"], hashlib.sha256(token).hexdigest()[:32])
            self.assertEqual((line["kid"], line["jti"], line["seq"], line["profile"]),
                             ("ops-1", "00112233445566778899aabbccddeeff", 7, "diagnostic"))
            self.assertEqual((line["nbf"], line["exp"], line["aud"]),
                             (1790000000, 1790003600, ["group:desks"]))
            self.assertEqual((line["argv"], line["env"], line["stdin"], line["script"]),
                             (["/usr/bin/id", "-u"], [], "", ""))
            self.assertEqual((line["time_ms"], line["output_bytes"]), (60000, 1048576))
            self.assertEqual(line["digest"], hashlib.sha256(b"/usr/bin/id\0-u\0").hexdigest())
            self.assertGreater(line["order"], 0)

    def test_everything_that_a_command_can_say(self):
        machine = "5" * 64
        argv = ["/bin/échö", "", "a b", "ß\n\u0001\"'\\", "🙂"]
        line, = self.expect("accepted", {"all": self.root.jose(command(
            aud=[machine, "group:a", "group:Büro 2"], seq=2**53 - 1, profile="user", argv=argv,
            stdin=b64(bytes(range(256))), env={"A": "", "_b9": "x=y\n"}, time_ms=3600000,
            output_bytes=1073741824))})
        self.assertEqual((line["argv"], line["aud"]), (argv, [machine, "group:a", "group:Büro 2"]))
        self.assertEqual(line["env"], ["A=", "_b9=x=y\n"])
        self.assertEqual(line["stdin"], bytes(range(256)).hex())
        self.assertEqual((line["seq"], line["time_ms"], line["output_bytes"]),
                         (2**53 - 1, 3600000, 1073741824))
        self.assertEqual(line["digest"], command_hash(b"".join(a.encode() + b"\0" for a in argv), (),
                                                      line["env"], bytes(range(256))))
        self.assertTrue(line["summary"].startswith("'/bin/\\xc3\\xa9ch\\xc3\\xb6' '' 'a b' '\\xc3\\x9f"))
        self.assertTrue(line["summary"].endswith(" +env +stdin"), line["summary"])
        self.assertLessEqual(len(line["summary"]), 95)

    def test_scripts(self):
        tokens = {"plain": self.ops.jose(script_command(SCRIPT)),
                  "with arguments": self.ops.jose(script_command(SCRIPT, args=["-x", "y"])),
                  "blanks": self.ops.openssl(script_command(b"#! \t/bin/sh")),
                  "any bytes": self.ops.openssl(script_command(b"#!/bin/sh\n" + bytes(range(256))))}
        lines = self.expect("accepted", tokens)
        self.assertEqual(lines[0]["script"], SCRIPT.hex())
        self.assertEqual(lines[0]["digest"], hashlib.sha256(SCRIPT).hexdigest())
        self.assertEqual(lines[1]["argv"], ["-x", "y"])
        self.assertEqual(lines[1]["digest"], command_hash(SCRIPT, ["-x", "y"]))
        self.assertEqual(lines[1]["summary"],
                         f"script {hashlib.sha256(SCRIPT).hexdigest()[:12]} -x y")

    def test_bounds(self):
        self.payloads("accepted", {
            "256 texts": command(argv=["/x"] * 256), "64 audiences": command(aud=["group:a"] * 64),
            "64 variables": command(env={f"V{i}": "1" for i in range(64)}), "seq": command(seq=1),
            "least time": command(time_ms=100), "no output": command(output_bytes=0),
            "window is not read here": command(nbf=0, exp=2**53 - 1),
            "other order": json.dumps(dict(reversed(json.loads(command()).items()))).encode(),
            "whitespace": b" \r\n" + json.dumps(json.loads(command()), indent=9).encode() + b"\t",
            "escapes": command().replace(b"id", b"\\u0069\\u0064"),
            "minus zero": command(nbf=1).replace(b'"nbf": 1', b'"nbf": -0')})

    def test_malleated_signature_is_the_same_command(self):
        head, signature = self.token.rsplit(b".", 1)
        rs = unb64(signature.decode())
        other = rs[:32] + (N - int.from_bytes(rs[32:], "big")).to_bytes(32, "big")
        tokens = {"signed": self.token, "malleated": head + b"." + b64(other).encode()}
        first, second = self.expect("accepted", tokens)
        self.assertNotEqual(first.pop("id"), second.pop("id"))
        self.assertEqual(first, second)


class Forged(Tokens):
    def test_one_bit_flipped_at_every_position(self):
        inner = self.root.jose(command(profile="admin"))
        for token in (self.ops.jose(command()), self.customer.jose(inner)):
            flipped = [token[:i] + bytes([token[i] ^ 1 << bit]) + token[i + 1:]
                       for i in range(len(token)) for bit in range(8)]
            lines = self.verify(flipped + [token])
            self.assertEqual(lines.pop()["decision"], "accepted")
            for line in lines:
                self.assertIn(line["decision"], NOT_AUTHENTIC)
                self.assertEqual(line["known"], 0)

    def test_by_another_key(self):
        self.expect("signature", {"jose": self.stranger.jose(command()),
                                  "openssl": self.stranger.openssl(command())})
        self.expect("header", {"not built in": self.root.jose(command())}, keys=[self.ops])
        self.expect("signature", {"of another of ours": self.root.openssl(
            command(), self.ops.header())})
        self.expect("no_keys", {"no key at all": self.token, "and rubbish": b"x"}, keys=[])

    def test_by_a_revoked_key(self):
        line, = self.expect("revoked", {"revoked": self.token}, revoked=1)
        self.assertEqual((line["known"], line["kid"]), (1, "ops-1"))
        self.expect("signature", {"and forged": self.stranger.jose(command())}, revoked=1)
        self.expect("accepted", {"others": self.token}, revoked=6)
        self.expect("revoked", {"no payload is read": self.ops.openssl(b"rubbish"),
                                "no revocation": self.ops.openssl(revocation("ops-1"))}, revoked=1)

    def test_alg_none(self):
        payload = b64(command())
        headers = [b'{"alg":"none"}', b'{"alg":"none","kid":"ops-1"}', b'{"alg":"None","kid":"ops-1"}',
                   b'{"alg":"nonE","kid":"ops-1"}']
        for header in headers + [self.ops.header()]:
            self.expect("malformed", {"empty": f"{b64(header)}.{payload}.".encode()})
        for header in headers:
            self.expect("header", {"some": f"{b64(header)}.{payload}.AAAA".encode(),
                                   "signed": self.ops.openssl(command(), header)})

    def test_hmac_with_the_public_key(self):
        spki, point = self.ops.spki, self.ops.point
        pem = run("openssl", "pkey", "-pubin", "-inform", "DER", given=spki)
        secrets = {"PEM": pem, "PEM, stripped": pem.strip(), "DER": spki, "point": b"\x04" + point,
                   "x and y": point, "x": point[:32], "compressed": bytes([2 + (point[63] & 1)]) + point[:32],
                   "JWK": json.dumps({k: self.ops.jwk[k] for k in ("crv", "kty", "x", "y")},
                                     separators=(",", ":"), sort_keys=True).encode()}
        for name, secret in secrets.items():
            for alg, digest in (("HS256", "sha256"), ("HS512", "sha512")):
                header = b'{"alg":"%s","kid":"ops-1"}' % alg.encode()
                forge = lambda h: (s := f"{b64(h)}.{b64(command())}".encode()) + b"." + b64(
                    hmac.digest(secret, s, digest)).encode()
                self.expect("header", {name: forge(header)})
                self.expect("signature", {name: forge(self.ops.header())})
        file = os.path.join(self.folder.name, "oct.jwk")
        with open(file, "w", encoding="ascii") as out:
            json.dump({"kty": "oct", "k": b64(pem)}, out)
        self.expect("header", {"jose": run(
            "jose", "jws", "sig", "-I", "-", "-k", file, "-s",
            '{"protected":{"alg":"HS256","kid":"ops-1"}}', "-c", given=command()).strip()})

    def test_es384(self):
        token = self.es384.jose(command())
        self.expect("header", {"ES384": token})
        own = b64(self.ops.header()).encode()
        self.expect("signature", {"its signature": own + b"." + token.split(b".", 1)[1]})

    def test_der_instead_of_raw(self):
        signing = self.token.rsplit(b".", 1)[0]
        der = self.ops.der(signing)
        self.expect("accepted", {"raw": signing + b"." + b64(raw(der)).encode()})
        self.expect("signature", {"DER": signing + b"." + b64(der).encode(),
                                  "64 bytes of it": signing + b"." + b64(der[-64:]).encode()})

    def test_signatures_out_of_range(self):
        signing, signature = self.token.rsplit(b".", 1)
        rs = unb64(signature.decode())
        r, s = int.from_bytes(rs[:32], "big"), int.from_bytes(rs[32:], "big")
        highest = 2**256 - 1
        pairs = {(a, b) for a in (0, N, N + 1, highest, 1, N - 1, r) for b in (0, N, N + 1, highest, 1, N - 1, s)}
        pairs |= {(s, r), (N - r, s)}
        pairs -= {(r, s)}
        tokens = {str(pair): signing + b"." + b64(b"".join(n.to_bytes(32, "big") for n in pair)).encode()
                  for pair in pairs}
        tokens.update({f"{size} bytes": signing + b"." + b64((rs * 3)[:size]).encode()
                       for size in (1, 32, 63, 65, 96, 128)})
        tokens["a zero in front"] = signing + b"." + b64(b"\0" + rs).encode()
        tokens["a zero each"] = signing + b"." + b64(b"\0" + rs[:32] + b"\0" + rs[32:]).encode()
        self.expect("signature", tokens)

    def test_other_headers(self):
        jwk = json.dumps({k: self.ops.jwk[k] for k in ("kty", "crv", "x", "y")})
        headers = [
            '{"kid":"ops-1","alg":"ES256"}', '{"alg":"ES256", "kid":"ops-1"}', ' {"alg":"ES256","kid":"ops-1"}',
            '{"alg":"ES256","kid":"ops-1"}\n', '{"alg":"ES256","kid":"ops-1"}\0', '{"alg":"ES256"}', "{}", "x",
            '{"alg":"ES256","kid":"ops-1","typ":"JWT"}', '{"typ":"JWT","alg":"ES256","kid":"ops-1"}',
            '{"alg":"ES256","kid":"ops-1","kid":"ops-1"}', '{"alg":"ES256","alg":"ES256","kid":"ops-1"}',
            '{"alg":"es256","kid":"ops-1"}', '{"alg":"ES256","kid":"OPS-1"}', '{"alg":"ES256","kid":"ops-"}',
            '{"alg":"ES256","kid":"ops-11"}', '{"alg":"ES256","kid":""}', '{"alg":"ES256","kid":"ops-1\0"}',
            '{"alg":"ES256","kid":"\\u006fps-1"}', '{"alg":"ES256","kid":["ops-1"]}',
            '{"alg":"ES256","kid":"ops-1","b64":false,"crit":["b64"]}', '{"alg":"ES256","kid":"ops-1","crit":["x"],"x":1}',
            '{"alg":"ES256","kid":"ops-1","jwk":' + jwk + "}", '{"alg":"ES256","jwk":' + jwk + "}",
            '{"alg":"ES256","kid":"ops-1","jku":"https://example.org/"}', '\ufeff{"alg":"ES256","kid":"ops-1"}',
            '{"alg":"ES256","kid":"../../etc/passwd"}', '{"alg":"ES256","kid":"' + "a" * 100000 + '"}']
        self.expect("header", {h[:80]: self.ops.openssl(command(), h.encode()) for h in headers})
        self.expect("header", {"jose": self.ops.jose(command(), {"alg": "ES256", "kid": "ops-1", "typ": "JWT"})})

    def test_another_form(self):
        parts = self.token.split(b".")
        dots = {"none": b"".join(parts), "one": parts[0] + b"." + parts[1] + parts[2],
                "four parts": self.token + b"." + parts[2], "one in front": b"." + self.token,
                "one at the end": self.token + b".", "doubled": b"..".join(parts), "alone": b"..", "nothing": b"",
                "empty header": b"." + b".".join(parts[1:]), "empty signature": b".".join(parts[:2]) + b".",
                "empty payload": parts[0] + b".." + parts[2], "JSON": json.dumps({
                    "protected": parts[0].decode(), "payload": parts[1].decode(),
                    "signature": parts[2].decode()}).encode()}
        added = [b"\n", b"\r\n", b"\0", b" ", b"=", b"==", b"A", b"\t", b"%", b"\xff", b"\xab", b"+", b"/", b"AAAAA"]
        tokens = dict(dots)
        for i in range(3):
            for junk in added:
                for name, part in ((f"{junk} after {i}", parts[i] + junk), (f"{junk} before {i}", junk + parts[i])):
                    if all(c in b"A" for c in junk):
                        continue
                    tokens[name] = b".".join(parts[:i] + [part] + parts[i + 1:])
        self.expect("malformed", tokens)
        for junk in (b"A", b"AA", b"AAA", b"AAAA", self.token):
            line, = self.verify([self.token + junk])
            self.assertIn(line["decision"], {"malformed", "signature"})

    def test_base64url_that_is_not_canonical(self):
        """Payloads of each length, and their last character with each unused bit set; it is signed so."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for length in range(3):
            payload = command() + b" " * length
            text = b64(payload)
            header = b64(self.ops.header())
            unused = {0: 0, 2: 4, 3: 2}[len(text) % 4]
            for bits in range(1, 1 << unused):
                other = text[:-1] + alphabet[alphabet.index(text[-1]) | bits]
                signing = f"{header}.{other}".encode()
                self.expect("malformed", {other[-4:]: signing + b"." + b64(raw(self.ops.der(signing))).encode()})
        for last in "BCDEFGHIJKLMNOP":  # 64 bytes are 86 characters, of the last of which 4 bits are unused
            signing, signature = self.token.rsplit(b".", 1)
            bits = alphabet.index(chr(signature[-1])) | alphabet.index(last)
            self.expect("malformed", {last: signing + b"." + signature[:-1] + alphabet[bits].encode()})

    def test_too_long(self):
        long = self.ops.openssl(command(stdin=b64(bytes(1 << 20))))
        self.expect("too_long", {"signed": long, "1 MiB": b"A" * (1 << 20), "dots": b"." * 262145,
                                 "one byte": b"A" * 262145})
        self.expect("malformed", {"not one byte": b"A" * 262144, "dots": b"." * 262144})


class Payloads(Tokens):
    def test_members_twice(self):
        document = json.loads(command(stdin="", env={"A": "1"}, time_ms=100, output_bytes=1))
        text = json.dumps(document)
        twice = {name: (text[:-1] + f', "{name}": {json.dumps(value)}}}').encode()
                 for name, value in document.items()}
        twice["spelled differently"] = (text[:-1] + ', "\\u0073eq": 7}').encode()
        twice["within env"] = text.replace('{"A": "1"}', '{"A": "1", "A": "1"}').encode()
        self.payloads("payload", twice)

    def test_members_missing_or_unknown(self):
        names = json.loads(command()).keys()
        self.payloads("payload", {
            **{f"no {name}": command(**{name: None}) for name in names},
            **{f"{name} is null": command(**{name: 0}).replace(
                b'"%s": 0' % name.encode(), b'"%s": null' % name.encode()) for name in names},
            **{name: command(**{name: 1}) for name in ("x", "", "iat", "Typ", "argv ", "sub")},
            "script too": command(script=b64(SCRIPT), script_sha256=hashlib.sha256(SCRIPT).hexdigest()),
            "args too": command(args=[]), "script_sha256 too": command(script_sha256="0" * 64),
            "revoked too": command(revoked=["ops-1"])})

    def test_wrong_values(self):
        wrong = {
            "typ": ["", "cloister-Command", "cloister-receipt", 1, ["cloister-command"]],
            "ver": [0, 2, "1", True, 1.0, -1],
            "jti": ["", "0" * 31, "0" * 33, "0" * 30 + "0G", "ABCDEF" + "0" * 26, 0, "0" * 64],
            "aud": [[], ["group:a"] * 65, "group:a", ["a"], [""], ["group:"], ["group:" + "a" * 48], ["5" * 63],
                    ["5" * 65], ["A" * 64], [5], [["group:a"]], ["group:a", None], {"group:a": 1}, ["Group:a"]],
            "seq": [0, -1, 2**53, 2**63, 2**64 + 1, 1.0, 1e3, "1", True, [1], 10**400],
            "nbf": [-1, 2**53, 1.5, "1790000000", False], "exp": [-1, 2**53, 1.5, "1790000000", False],
            "profile": ["", "none", "root", "Admin", "admin ", 1, ["user"]],
            "argv": [[], ["/x"] * 257, "/bin/true", ["true"], [""], [1], ["/x", 1], ["/x", None], ["/x", ["y"]], {}],
            "stdin": ["A", "AB", "AA==", "A+", " ", 1, ["AA"], "AA\n"],
            "env": [[], "A=1", {"": "1"}, {"1A": "1"}, {"A=B": "1"}, {"Ä": "1"}, {"A": 1}, {"A": None}, {"A": ["1"]},
                    {"A B": ""}, {f"V{i}": "" for i in range(65)}],
            "time_ms": [0, 99, 3600001, -100, 100.0, "100", True, 2**64],
            "output_bytes": [-1, 1073741825, 1.0, "1", True],
        }
        self.payloads("payload", {f"{name} {str(value)[:60]}": command(**{name: value})
                                  for name, values in wrong.items() for value in values})

    def test_wrong_scripts(self):
        self.payloads("payload", {
            "wrong hash": script_command(SCRIPT, script_sha256="0" * 64),
            "no hash": script_command(SCRIPT, script_sha256=None),
            "capitals": script_command(SCRIPT, script_sha256=hashlib.sha256(SCRIPT).hexdigest().upper()),
            "half a hash": script_command(SCRIPT, script_sha256=hashlib.sha256(SCRIPT).hexdigest()[:32]),
            "no script": command(argv=None), "empty": script_command(b""), "#": script_command(b"#"),
            "#!": script_command(b"#!"), "blank": script_command(b"#!  "), "ELF": script_command(b"\x7fELF" + bytes(60)),
            "relative": script_command(b"#!sh\n"), "newline": script_command(b"#!\n/bin/sh\n"),
            "before": script_command(b" #!/bin/sh\n"), "padded": script_command(SCRIPT, script=b64(SCRIPT) + "="),
            "257 arguments": script_command(SCRIPT, args=[""] * 257), "a number": script_command(SCRIPT, args=[1])})

    def test_not_one_object_of_texts(self):
        text = command()
        self.payloads("payload", {
            "list": b"[" + text + b"]", "text": b'"x"', "number": b"1", "null": b"null", "not JSON": b"x",
            "blank": b" ", "NUL": b"\0", "cut": text[:-1], "trailing object": text + text, "trailing dot": text + b".",
            "trailing NUL": text + b"\0", "byte order mark": b"\xef\xbb\xbf" + text, "comment": text + b"/**/",
            "comma": text[:-1] + b",}", "single quotes": text.replace(b'"', b"'"), "deep": b"[" * 100000,
            "deep object": b'{"a":' * 30000, "deep and right": text[:-1] + b',"x":' + b"[" * 3 + b"]" * 3 + b"}",
            "a text with NUL": command(argv=["/x", "a\0b"]), "a raw NUL": text.replace(b"-u", b"-\0"),
            "UTF-8": text.replace(b"-u", b"-\xff"), "overlong": text.replace(b"-u", b"\xc0\xaf"),
            "surrogate": text.replace(b"-u", b"\xed\xa0\x80"), "half a pair": text.replace(b"-u", b"\\ud83d"),
            "control": text.replace(b"-u", b"-\n"), "UTF-16": text.decode().encode("utf-16"),
            "a name with NUL": text[:-1] + b',"a\\u0000b":1}', "many": b"[" + b"0," * 90000 + b"0]",
            "a token": self.token, "brackets": b"]" + text, "quote": text[:-1] + b',"'})
        self.payloads("payload", {"utf-8 in the middle of an escape": text.replace(b"-u", b"\\\xc3\xa4")})

    def test_profiles(self):
        self.payloads("profile", {"user": command(profile="user")})
        self.payloads("accepted", {p: command(profile=p) for p in ("diagnostic", "user")}, self.root)
        both = dict(keys=[self.ops, self.root])
        self.expect("accepted", {"admin": self.root.jose(command(profile="admin"))}, **both)
        self.expect("profile", {"admin": self.ops.jose(command(profile="admin"))}, **both)

    def test_countersigning(self):
        inner = self.root.jose(command(profile="admin"))
        line, = self.expect("accepted", {"twice": self.customer.jose(inner)})
        self.assertEqual((line["kid"], line["profile"]), ("ops-2", "admin"))
        self.expect("accepted", {"needless": self.customer.jose(self.ops.jose(command()))})
        self.expect("countersignature", {
            "missing": inner, "countersigner alone": self.customer.jose(command()),
            "and for admin": self.customer.jose(command(profile="admin")),
            "twice by the same": self.customer.jose(self.customer.jose(command(profile="admin"))),
            "thrice": self.customer.jose(self.customer.jose(inner))})
        self.expect("payload", {
            "swapped": self.root.jose(self.customer.jose(command(profile="admin"))),
            "by a key that does not": self.root.jose(inner), "by another": self.ops.jose(inner),
            "of rubbish": self.customer.jose(self.root.jose(b"rubbish")),
            "of a revocation": self.customer.jose(self.root.jose(revocation("ops-1")))})
        stranger = Key(self.folder.name, self.customer.kid)
        self.expect("signature", {
            "forged": stranger.jose(inner), "of another": self.customer.jose(self.stranger.jose(command())),
            "of a changed one": self.customer.jose(inner[:-9] + (b"A" if inner[-9:-8] != b"A" else b"B") + inner[-8:])})
        self.expect("malformed", {"of half": self.customer.jose(inner.rsplit(b".", 1)[0]),
                                  "of more": self.customer.jose(inner + b"\n"),
                                  "rubbish": self.customer.jose(b"rubbish")})
        self.expect("header", {"of one that is not ours": self.customer.jose(
            self.root.openssl(command(), b'{"alg":"none"}'))})
        self.expect("revoked", {"countersigner": self.customer.jose(inner)}, revoked=4)
        self.expect("revoked", {"signer": self.customer.jose(inner)}, revoked=2)
        self.expect("countersignature", {"its loss opens nothing": inner}, revoked=4)

    def test_revocations(self):
        line, = self.expect("revocation", {"of itself": self.ops.jose(revocation("ops-1"))})
        self.assertEqual((line["revoked"], line["mask"], line["kid"]), (["ops-1"], 1, "ops-1"))
        line, = self.expect("revocation", {"of others": self.root.jose(
            revocation("customer.9_x", "of-another-build", "ops-1", "ops-2"))})
        self.assertEqual((len(line["revoked"]), line["mask"]), (4, 7))
        self.expect("revocation", {"by the countersigner": self.customer.jose(revocation("customer.9_x"))})
        self.expect("profile", {"of another": self.ops.jose(revocation("ops-2")),
                                "itself too": self.ops.jose(revocation("ops-1", "ops-2")),
                                "of none that is known": self.ops.jose(revocation("x"))})
        self.payloads("payload", {
            "none": revocation(), "nine": revocation(*"abcdefghi"), "twice": revocation("ops-1", "ops-1"),
            "unknown member": revocation("ops-1", seq=1), "no list": revocation("ops-1", revoked="ops-1"),
            "no id": revocation(""), "capitals": revocation("OPS-1"), "33": revocation("a" * 33),
            "number": revocation(1), "version": revocation("ops-1", ver=2)}, self.root)


if __name__ == "__main__":
    unittest.main()
