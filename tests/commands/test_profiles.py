"""What the profiles of signed commands are, and what the local policy makes of them, in the real agent."""
import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed import BIN, Agent, Desk, Keys, make_user, unb64url, wait_for

USER = "cloister-demo"
ADMIN = os.path.join(BIN, "../admin/cloister-command-admin")
FACTS = """#!/usr/bin/python3
import json, os
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({"uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "cwd": os.getcwd(),
                  "env": dict(os.environ), "pid": os.getpid(), "nnp": status["NoNewPrivs"],
                  "seccomp": status["Seccomp"], "caps": status["CapEff"], "home": os.path.isdir("/home"),
                  "pids": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
                  "fds": sorted(int(n) for n in os.listdir("/proc/self/fd"))}))
"""


def desk(profile=None, replace=None, **commands):
    policy = dict(commands)
    if profile:
        policy["profile"] = profile
    return Desk(Keys(ops={"profile": "admin"}), replace=replace,
                config={"commands": policy, "session": {"source": "config", "user": USER, "display": ":77"}})


def run_script(at, script, **members):
    [identity] = at.push(at.keys.sign(at.keys.command([at.machine], script=script, **members)))
    [row] = at.wait_ended(identity)
    return row, at.receipt(identity)


class Profiles(unittest.TestCase):
    def setUp(self):
        self.user = make_user(USER)

    def facts(self, at, profile):
        row, receipt = run_script(at, FACTS, profile=profile)
        self.assertEqual((receipt["decision"], receipt.get("exit"), receipt["profile"]), ("run", 0, profile),
                         (row, at.agent.log()[-3000:]))
        return json.loads(at.output(row["token"]))

    def not_run(self, at, reason, **members):
        _, receipt = run_script(at, "#!/bin/sh\n", **members)
        self.assertEqual((receipt["decision"], receipt["reason"]), ("not_run", reason))

    def test_diagnostic(self):
        with desk() as at:
            facts = self.facts(at, "diagnostic")
            self.assertNotIn(0, facts["uid"])
            self.assertEqual(len(set(facts["uid"])), 1)
            self.assertEqual(int(facts["caps"], 16), 0)
            self.assertEqual((facts["nnp"], facts["seccomp"], facts["home"]), ("1", "2", False))
            self.assertLessEqual(len(facts["pids"]), 2)  # its own namespace
            self.assertEqual(facts["env"]["HOME"], "/")
            self.not_run(at, "policy_profile", profile="user")
            self.not_run(at, "policy_profile", profile="admin")

    def test_user(self):
        with desk("user") as at:
            facts = self.facts(at, "user")
            self.assertEqual(facts["uid"], [self.user.pw_uid] * 3)
            self.assertEqual(facts["gid"], [self.user.pw_gid] * 3)
            self.assertEqual(set(facts["groups"]) - {self.user.pw_gid}, set())
            self.assertEqual(int(facts["caps"], 16), 0)
            self.assertEqual((facts["nnp"], facts["seccomp"]), ("1", "2"))
            self.assertEqual((facts["cwd"], facts["env"]["USER"]), (self.user.pw_dir, USER))
            self.assertLessEqual(len(facts["pids"]), 2)
            row, _ = run_script(at, "#!/bin/sh\nsu -c id 2>&1; cat /etc/shadow 2>&1\n", profile="user")
            said = at.output(row["token"]).decode()
            self.assertNotIn("uid=0", said)
            self.assertIn("Permission denied", said)
            self.not_run(at, "policy_profile", profile="admin")

    def test_admin_is_a_program_of_its_own(self):
        with desk("admin") as at:
            self.assertFalse(os.path.exists(os.path.join(at.agent.bin, "cloister-command-admin")))
            self.not_run(at, "no_program", profile="admin")

    def test_admin(self):
        with desk("admin") as at:
            shutil.copy(ADMIN, at.agent.bin)
            told = self.follow(at)
            facts = self.facts(at, "admin")
            self.assertEqual((facts["uid"], facts["nnp"], facts["seccomp"]), ([0, 0, 0], "1", "2"))
            self.assertTrue(any("admin" in line and line.startswith("<1>") for line in at.agent.log().splitlines()),
                            "an alert")
            wait_for("the user to be told", lambda: "admin" in told())
            listed = json.loads(at.agent.run("cloister", "commands", "--json", user=USER).stdout)
            self.assertIn("admin", json.dumps(listed))

    def follow(self, at):
        """What the session's autostart runs, with a stand-in for notify-send; returns what it was told."""
        folder = os.path.join(at.keys.folder, "session")
        os.makedirs(folder)
        os.chmod(at.keys.folder, 0o755)
        shutil.chown(folder, USER)
        script, said = os.path.join(folder, "notify-send"), os.path.join(folder, "said")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\necho "$@" >> {said}\n')
        os.chmod(script, 0o755)
        process = subprocess.Popen(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "env", f"PATH={folder}:/usr/bin:/bin",
             os.path.join(at.agent.bin, "cloister"), "commands", "--follow", "--notify", "--runtime",
             at.agent.runtime], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def end():
            process.terminate()
            process.communicate(timeout=10)
        self.addCleanup(end)

        def text():
            if not os.path.exists(said):
                return ""
            with open(said, encoding="utf-8") as f:
                return f.read()
        return text

    def test_off(self):
        with desk("off") as at:
            self.not_run(at, "commands_off")

    def test_allow_list(self):
        script = "#!/bin/sh\necho listed\n"
        listed = hashlib.sha256(script.encode()).hexdigest()
        argv = hashlib.sha256(b"/bin/echo\0listed too\0").hexdigest()
        with desk(allow=f"{listed}, {argv}") as at:
            row, receipt = run_script(at, script)
            self.assertEqual((receipt["decision"], at.output(row["token"])), ("run", b"listed\n"))
            row, receipt = at.run(["/bin/echo", "listed too"])
            self.assertEqual((receipt["decision"], at.output(row["token"])), ("run", b"listed too\n"))
            self.not_run(at, "policy_digest")
            row, receipt = at.run(["/bin/echo", "not listed"])
            self.assertEqual((receipt["decision"], receipt["reason"]), ("not_run", "policy_digest"))
            _, receipt = run_script(at, script, env={"BASH_ENV": "/tmp/x"})
            self.assertEqual((receipt["decision"], receipt["reason"]), ("not_run", "policy_digest"))

    def test_without_control_groups(self):
        """Where nothing could be limited nothing is started, and it is said."""
        agent = Agent({}, wrapper=["unshare", "--mount", "sh", "-c", 'umount -R /sys/fs/cgroup; exec "$@"', "sh"])
        self.addCleanup(agent.remove)
        agent.start(wait=False)
        agent.wait_log("broker: its control group: there is none to limit it with")
        self.assertEqual(set(agent.processes().values()), {"cloisterd"})

    def test_no_session(self):
        with Desk(Keys(ops={"profile": "user"}), config={"commands": {"profile": "user"}}) as at:
            self.not_run(at, "no_session", profile="user")

    def test_a_program_that_others_can_change(self):
        with desk() as at:
            path = os.path.join(at.agent.bin, "cloister-command")
            os.chmod(path, os.stat(path).st_mode | stat.S_IWOTH)
            self.not_run(at, "no_program")
            os.chmod(path, 0o755)
            _, receipt = run_script(at, "#!/bin/sh\n")
            self.assertEqual(receipt["decision"], "run")

    def test_status_shows_the_keys(self):
        with desk() as at:
            status = at.agent.run("cloister", "status").stdout
            version = subprocess.run([os.path.join(at.agent.bin, "cloister"), "--version"], capture_output=True,
                                     text=True, check=True).stdout
            key = at.keys.jwk("ops")
            self.assertIn("ops", status)
            pem = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], capture_output=True, check=True,
                                 input=pem_of(key)).stdout
            fingerprint = "SHA256:" + subprocess.run(
                ["openssl", "base64", "-A"], input=hashlib.sha256(pem).digest(), capture_output=True,
                check=True).stdout.decode().rstrip("=\n")
            self.assertIn(fingerprint, status)
            self.assertIn(fingerprint, version)


def pem_of(key):
    """A JWK's key as SubjectPublicKeyInfo in PEM: the fixed head of a P-256 key (RFC 5480), and the point."""
    head = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    der = head + b"\x04" + unb64url(key["x"]) + unb64url(key["y"])
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"


if __name__ == "__main__":
    unittest.main(verbosity=2)
