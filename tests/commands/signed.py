"""Keys, tokens and a whole agent with a console, for tests of signed commands.

Tokens are made with Debian's jose: an independent signer. Standard library only.
"""
import base64
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../agent"))
from agent import BIN, Agent, Failure, make_user, wait_for
from console import Console, enrol

SIGN = os.path.join(BIN, "cloister-sign")


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def token_id(token):
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def payload_of(jws):
    """What a compact JWS says; nothing is verified."""
    return json.loads(unb64url(jws.strip().split(".")[1]))


class Keys:
    """P-256 keys made by jose, and the set that a vault is stamped with."""

    def __init__(self, **keys):
        """`keys`: kid (with _ for -): members of the key set, e.g. ops={"profile": "user"}."""
        self.folder = tempfile.mkdtemp(prefix="cloister-keys-", dir="/var/tmp")
        self.set_path = os.path.join(self.folder, "keys.jwks")
        self.public = []
        self.sequence = int(time.time() * 1000)
        for kid, members in (keys or {"ops": {"profile": "diagnostic"}}).items():
            self.make(kid.replace("_", "-"))
            self.public.append({**self.jwk(kid.replace("_", "-")), **members})
        with open(self.set_path, "w", encoding="utf-8") as f:
            json.dump({"keys": self.public}, f)

    def path(self, kid):
        return os.path.join(self.folder, f"{kid}.jwk")

    def make(self, kid):
        subprocess.run(["jose", "jwk", "gen", "-i", '{"alg":"ES256"}', "-o", self.path(kid)], check=True)

    def jwk(self, kid):
        """The public half, as a member of a key set."""
        text = subprocess.run(["jose", "jwk", "pub", "-i", self.path(kid)], check=True,
                              capture_output=True, text=True).stdout
        key = json.loads(text)
        return {"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "kid": kid}

    def command(self, audience, argv=None, script=None, **members):
        """A payload that is valid for an hour; `members` override or, if None, remove."""
        now = int(time.time())
        self.sequence += 1
        payload = {"typ": "cloister-command", "ver": 1, "jti": secrets.token_hex(16), "aud": audience,
                   "seq": self.sequence, "nbf": now, "exp": now + 3600, "profile": "diagnostic"}
        if script is not None:
            data = script if isinstance(script, bytes) else script.encode()
            payload.update(script=b64url(data), script_sha256=hashlib.sha256(data).hexdigest())
        else:
            payload["argv"] = argv or ["/bin/true"]
        payload.update(members)
        return {name: value for name, value in payload.items() if value is not None}

    def sign(self, payload, kid="ops", key=None):
        """A token. `payload`: a dictionary, or the very text."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        header = json.dumps({"protected": {"alg": "ES256", "kid": kid}})
        return subprocess.run(["jose", "jws", "sig", "-I", "-", "-s", header, "-k", self.path(key or kid),
                               "-c", "-o", "-"], check=True, capture_output=True, text=True,
                              input=text).stdout.strip()

    def stamp(self, program=None):
        """A copy of the vault that these keys are stamped into; its path."""
        out = os.path.join(self.folder, "cloister-vault")
        subprocess.run([SIGN, "stamp", "--keys", self.set_path, "--out", out,
                        program or os.path.join(BIN, "cloister-vault")], check=True, capture_output=True)
        return out

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Desk:
    """An agent that is enrolled at a console, and keys that it takes commands from."""

    def __init__(self, keys=None, config=None, console_config=None, replace=None, enrolled=True):
        self.keys = keys or Keys()
        self.console = Console(config=console_config).start()
        self.agent = Agent({"console": self.console.section(), **(config or {})},
                           replace={"cloister-vault": self.keys.stamp(), **(replace or {})})
        try:
            self.agent.start()
            self.agent.wait_serving("vault", "uplink")
            self.machine = enrol(self.agent, self.console) if enrolled else None
        except Exception:
            self.remove()
            raise

    def token(self, argv=None, kid="ops", **members):
        return self.keys.sign(self.keys.command([self.machine], argv, **members), kid)

    def push(self, *tokens):
        """Queues tokens for the machine; returns their ids."""
        paths = []
        for token in tokens:
            path = os.path.join(self.keys.folder, f"{token_id(token)}.jws")
            with open(path, "w", encoding="utf-8") as f:
                f.write(token)
            paths.append(path)
        self.console.command("push", *paths, "--machine", self.machine)
        return [token_id(token) for token in tokens]

    def commands(self):
        """{token id: what the console knows of it}."""
        return {row["token"]: row for row in self.console.json("commands")}

    def wait_ended(self, *ids, deadline=60):
        """Waits until each has an outcome; returns the rows in that order."""
        ended = ("done", "refused")

        def all_ended():
            rows = self.commands()
            return all(i in rows and rows[i]["state"] in ended for i in ids) and rows
        try:
            rows = wait_for(f"{len(ids)} commands to end", all_ended, deadline, 0.05)
        except Failure as failure:
            raise Failure(f"{failure}\n{json.dumps(self.commands(), indent=1)}\n{self.agent.log()}\n"
                          f"---- console ----\n{self.console.log()}") from None
        return [rows[i] for i in ids]

    def run(self, argv=None, **members):
        """Runs a command to its end; returns (row, receipt's payload or None)."""
        [identity] = self.push(self.token(argv, **members))
        [row] = self.wait_ended(identity)
        return row, self.receipt(identity)

    def receipt(self, identity):
        """The payload of a stored receipt, whose signature the console has checked; or None."""
        text = self.console.command("receipts", identity, "--raw").strip()
        return payload_of(text) if text else None

    def output(self, identity, stream="stdout"):
        """The bytes of one stream, which comes out of the stream of that name."""
        result = subprocess.run([self.console.program, "outputs", identity, f"--{stream}", "--raw", "--state",
                                 self.console.state], capture_output=True, timeout=60, check=False)
        if result.returncode != 0:
            raise Failure(f"cloister-console outputs: {result.stderr.decode()}")
        return getattr(result, stream)

    def remove(self):
        if hasattr(self, "agent"):
            self.agent.remove()
        self.console.remove()
        self.keys.remove()

    def left_behind(self):
        """Processes of the account of diagnostic commands, but for those below another agent of this machine."""
        left = subprocess.run(["ps", "-o", "pid=,stat=,args=", "-u", "cloister-cmd"], capture_output=True, text=True,
                              check=False).stdout.splitlines()
        return [line for line in left if " Z" not in line and not self.is_below_another(int(line.split()[0]))]

    def is_below_another(self, pid):
        while pid > 1:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                    name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                return True  # it has ended
            if name == "cloisterd" and pid != self.agent.process.pid:
                return True
            pid = int(rest.split()[1])
        return False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if value is not None:
            print(f"---- agent ----\n{self.agent.log()}\n---- console ----\n{self.console.log()}")
        self.remove()


# The order of the group of P-256 (SEC 2, secp256r1): what r and s must be below.
P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


def parts(token):
    """(header, payload, signature), decoded."""
    return [unb64url(part) for part in token.split(".")]


def with_signature(token, r, s):
    head, body, _ = token.split(".")
    return f"{head}.{body}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def malleated(token):
    """The same payload under the other signature that ECDSA allows: (r, n - s)."""
    signature = parts(token)[2]
    return with_signature(token, int.from_bytes(signature[:32], "big"),
                          P256_ORDER - int.from_bytes(signature[32:], "big"))
