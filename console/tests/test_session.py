"""Connecting, authenticating, enrolling, approving, revoking (docs/wire.md, "Session")."""

import os
import select
import socket
import time
import unittest

from websockets.exceptions import InvalidStatus, InvalidHandshake

from harness import ConsoleTest, wait_for
from peer import Closed, Key, b64


class Authentication(ConsoleTest):
    def test_a_new_machine_is_unenrolled(self):
        a = self.console.agent()
        welcome = a.authenticate()
        self.assertEqual(welcome["state"], "unenrolled")
        self.assertEqual(welcome["chunk_window"], 8)
        self.assertLess(abs(welcome["time_ms"] / 1000 - time.time()), 60)

    def test_challenges_differ(self):
        self.assertNotEqual(self.console.agent().challenge(), self.console.agent().challenge())

    def test_a_relayed_answer_is_refused(self):
        """The machine is tricked into answering on another channel: only the exporter differs."""
        machine, relay = self.console.agent(), self.console.agent()
        relay.key = machine.key
        challenge = relay.challenge()
        relay.send(relay.authentication(
            challenge, signature=b64(machine.proof(challenge, exporter=machine.exporter))))
        self.assert_closed(relay, 4001, "auth_failed")

    def test_a_replayed_answer_is_refused(self):
        a = self.console.agent()
        first = a.challenge()
        b = self.console.agent(key=a.key)
        b.challenge()
        b.send(b.authentication(first))
        self.assert_closed(b, 4001, "auth_failed")

    def test_a_wrong_host_is_refused(self):
        a = self.console.agent()
        challenge = a.challenge()
        a.send(a.authentication(challenge, host="evil.example.org", signature=b64(
            a.proof(challenge, host="evil.example.org"))))
        self.assert_closed(a, 4002, "host_refused")

    def test_another_of_its_names_is_taken_only_if_signed(self):
        a = self.console.agent()
        challenge = a.challenge()
        a.send(a.authentication(challenge, host="localhost"))
        self.assert_closed(a, 4001, "auth_failed")
        a = self.console.agent(host="localhost")
        self.assertEqual(a.authenticate()["state"], "unenrolled")

    def test_another_key_is_refused(self):
        a = self.console.agent()
        challenge = a.challenge()
        a.send(a.authentication(challenge, signature=b64(a.proof(challenge, key=Key()))))
        self.assert_closed(a, 4001, "auth_failed")

    def test_a_machine_id_of_another_key_is_refused(self):
        a = self.console.agent()
        a.send(a.authentication(a.challenge(), machine_id=Key().id))
        self.assert_closed(a, 4001, "auth_failed")

    def test_the_all_zero_key_is_refused(self):
        """A key of small order verifies anything in careless implementations."""
        a = self.console.agent()
        a.key.public = bytes(32)
        a.key.id = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        a.send(a.authentication(a.challenge(), signature=b64(bytes(64))))
        self.assert_closed(a, 4001, "auth_failed")

    def test_another_protocol_version_is_refused(self):
        a = self.console.agent()
        a.send(a.authentication(a.challenge(), protocol=2))
        self.assert_closed(a, 4007, "version")

    def test_authenticating_twice_is_out_of_order(self):
        a = self.console.agent()
        challenge = a.challenge()
        a.ask(a.authentication(challenge), "welcome")
        a.send(a.authentication(challenge))
        self.assert_closed(a, 1008, "order")

    def test_the_newer_connection_replaces_the_older(self):
        a = self.console.agent()
        a.authenticate()
        b, _ = self.console.again(a)
        self.assert_closed(a, 4005, "replaced")
        self.assertEqual(b.enroll("x" * 16)["code"], "token_refused")


class Upgrade(ConsoleTest):
    def assert_status(self, status, **options):
        with self.assertRaises(InvalidStatus) as caught:
            self.console.agent(**options)
        self.assertEqual(caught.exception.response.status_code, status)

    def test_another_path(self):
        self.assert_status(404, path="/agent2")
        self.assert_status(404, path="/")

    def test_a_browser(self):
        self.assert_status(403, headers=[("Origin", "https://evil.example.org")])

    def test_without_subprotocol(self):
        self.assert_status(400, subprotocols=())

    def test_another_subprotocol(self):
        with self.assertRaises((InvalidHandshake, Closed)):
            self.console.agent(subprotocols=("cloister.v2",))

    def test_the_subprotocol_among_others(self):
        a = self.console.agent(subprotocols=("chat", "cloister.v1"))
        self.assertEqual(a.authenticate()["state"], "unenrolled")

    def test_plain_http(self):
        a = self.console.agent(connect=False)
        a.send_raw(b"GET /agent HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"404", a._retry(a.tls.recv, 65536))


class Enrolment(ConsoleTest):
    def setUp(self):
        self.agent = self.console.agent()
        self.assertEqual(self.agent.authenticate()["state"], "unenrolled")

    def enroll(self, token=None):
        answer = self.agent.enroll(token or self.console.token())
        self.assertEqual(answer, {"type": "enrolled", "state": "pending",
                                  "machine_id": self.agent.key.id})

    def test_a_token_works_once(self):
        token = self.console.token()
        self.enroll(token)
        b = self.console.agent()
        b.authenticate()
        self.assertEqual(b.enroll(token)["code"], "token_refused")
        self.assertIsNone(self.console.machine(b.key))

    def test_two_at_once_cannot_share_a_token(self):
        token, agents = self.console.token(), [self.console.agent() for _ in range(8)]
        for a in agents:
            a.authenticate()
        for a in agents:
            a.send({"type": "enroll", "token": token, "name": "twin"})
        self.assertEqual(sum(a.receive()["type"] == "enrolled" for a in agents), 1)

    def test_an_expired_token_is_refused(self):
        token = self.console.token("--expires", "1s")
        end = time.monotonic() + 1.1
        wait_for(lambda: time.monotonic() > end)
        self.assertEqual(self.agent.enroll(token)["code"], "token_refused")

    def test_the_token_is_not_stored_or_logged(self):
        token = self.console.token()
        self.enroll(token)
        secret = token.split(".")[2].encode()
        for name in os.listdir(self.console.state):
            path = self.console.state + "/" + name
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    self.assertNotIn(secret, f.read(), name)
        self.assertNotIn(secret.decode(), "".join(self.console.log))

    def test_three_wrong_tokens_end_the_connection(self):
        for _ in range(2):
            self.agent.enroll("ct1." + "A" * 12 + "." + "A" * 43)
        self.agent.send({"type": "enroll", "token": "x" * 20, "name": "n"})
        self.assertEqual(self.agent.receive()["code"], "token_refused")
        self.assert_closed(self.agent, 4006, "rate_limited")

    def test_enrolling_twice(self):
        self.enroll()
        self.assertEqual(self.agent.enroll(self.console.token())["code"], "already_enrolled")

    def test_pending_lasts_and_bundles_have_to_wait(self):
        self.enroll()
        b, welcome = self.console.again(self.agent)
        self.assertEqual(welcome["state"], "pending")
        answer = b.ask({"type": "bundle_abort", "ticket": "00" * 16})
        self.assertEqual(answer["code"], "not_approved")
        b.binary(bytes(22))
        self.assert_closed(b, 1008, "order")

    def test_approval_needs_the_fingerprint(self):
        self.enroll()
        key = self.agent.key
        self.console.admin("approve", key.id, "--fingerprint", Key().fingerprint(), status=4)
        self.console.admin("approve", key.id, "--fingerprint", key.fingerprint()[:-1], status=4)
        self.console.admin("approve", key.id, "--fingerprint", "", status=4)
        self.assertEqual(self.console.machine(key)["state"], "pending")
        shown = self.console.admin("machines") + self.console.admin("machines", "--json")
        self.assertNotIn(key.fingerprint(), shown + "".join(self.console.log))
        typed = key.fingerprint().lower().replace("-", " ")
        self.console.admin("approve", key.id[:8], "--fingerprint", typed)
        self.assertEqual(self.agent.receive("state")["state"], "approved")

    def test_revocation_while_connected(self):
        self.enroll()
        self.console.admin("revoke", self.agent.key.id)
        self.assert_closed(self.agent, 4003, "revoked")
        b = self.console.agent(key=self.agent.key)
        b.send(b.authentication(b.challenge()))
        self.assert_closed(b, 4003, "revoked")
        c = self.console.agent(key=self.agent.key)
        c.send(c.authentication(c.challenge(), previous_machine_id=self.agent.key.id,
                                rotation_reason="disk"))
        self.assert_closed(c, 4003, "revoked")

    def test_machines_shows_who_is_connected(self):
        self.enroll()
        self.assertTrue(self.console.machine(self.agent.key)["connected"])
        self.agent.close()
        wait_for(lambda: not self.console.machine(self.agent.key)["connected"])

    def test_hostile_names_do_not_reach_the_terminal(self):
        self.agent.enroll(self.console.token(), name="\x1b[2J\u202eevil\x7f\r\n")
        for text in (self.console.admin("machines"), self.console.admin("machines", "--json")):
            self.assertFalse(set(text) & set("\x1b\u202e\r"), text)


class Rotation(ConsoleTest):
    def claim(self, previous, reason="disk", key=None):
        a = self.console.agent(key=key)
        return a, a.authenticate(previous_machine_id=previous, rotation_reason=reason)

    def test_a_new_key_waits_for_approval_and_then_replaces(self):
        old = self.console.approved()
        new, welcome = self.claim(old.key.id, "disk+board")
        self.assertEqual(welcome["state"], "pending")
        record = self.console.machine(new.key)
        self.assertEqual(record["previous_machine_id"], old.key.id)
        self.assertEqual(record["rotation_reason"], "disk+board")
        self.assertEqual(record["name"], "desk-17")
        # A claim that nobody confirmed changes nothing for the machine that it names.
        self.assertEqual(self.console.machine(old.key)["state"], "approved")
        self.console.admin("approve", new.key.id, "--fingerprint", new.key.fingerprint())
        self.assertEqual(new.receive("state")["state"], "approved")
        self.assert_closed(old, 4003, "revoked")

    def test_claims_to_unknown_or_revoked_machines(self):
        self.assertEqual(self.claim(Key().id)[1]["state"], "unenrolled")
        old = self.console.approved()
        self.console.admin("revoke", old.key.id)
        self.assertEqual(self.claim(old.key.id)[1]["state"], "unenrolled")

    def test_claims_are_bounded(self):
        old = self.console.approved()
        states = [self.claim(old.key.id)[1]["state"] for _ in range(6)]
        self.assertEqual(states, ["pending"] * 4 + ["unenrolled"] * 2)

    def test_a_known_machine_is_not_affected(self):
        old, other = self.console.approved(), self.console.approved()
        _, welcome = self.claim(old.key.id, key=other.key)
        self.assertEqual(welcome["state"], "approved")


class RateLimit(ConsoleTest):
    def test_refused_tokens_are_limited_by_address(self):
        codes = []
        for _ in range(12):
            a = self.console.agent()
            a.authenticate()
            answer = a.enroll("wrong-token-wrong-token")
            codes.append(answer["code"])
            a.close()
        self.assertEqual(codes[:10], ["token_refused"] * 10)
        self.assertEqual(codes[-1], "rate_limited")
        self.assertGreater(answer["retry_after_ms"], 0)


class Strangers(ConsoleTest):
    def test_the_oldest_of_too_many_goes_and_known_machines_get_in(self):
        known, agents = self.console.approved(), []
        for i in range(32):
            a = self.console.agent()
            agents.append(a)
            if i % 2:  # a key of its own is no merit
                a.authenticate()
        known, welcome = self.console.again(known)
        self.assertEqual(welcome["state"], "approved")
        self.assert_closed(agents[0], 4006, "rate_limited")
        newest = [self.console.agent() for _ in range(3)]
        self.assertEqual(newest[-1].authenticate()["state"], "unenrolled")
        self.assert_closed(agents[2], 4006, "rate_limited")
        answer = known.ask({"type": "bundle_abort", "ticket": "0" * 32})
        self.assertEqual(answer["type"], "bundle_aborted")
        for a in agents:
            a.close()


class HalfOpen(ConsoleTest):
    limits = "connections = 200\n"

    def test_those_who_only_hold_on_shut_nobody_out(self):
        """Many more sockets than connections, none of which says a word."""
        held = [socket.create_connection(("127.0.0.1", self.console.port)) for _ in range(400)]
        self.addCleanup(lambda: [s.close() for s in held])
        a = self.console.agent(timeout=5)
        self.assertEqual(a.authenticate()["state"], "unenrolled")

        def alive():
            return len(held) - len(select.select(held, [], [], 0)[0])
        wait_for(lambda: alive() <= 32, 5)  # an address that holds many has a second for each
        held += [socket.create_connection(("127.0.0.1", self.console.port)) for _ in range(8)]
        time.sleep(1.5)  # 32 of them are no crowd: they keep their ten seconds
        self.assertGreater(alive(), 8)
        b = self.console.agent(timeout=5)
        self.assertEqual(b.authenticate()["state"], "unenrolled")


class Full(ConsoleTest):
    limits = "connections = 20\n"

    def test_when_all_connections_are_taken_it_waits_without_spinning(self):
        sockets = [socket.create_connection(("127.0.0.1", self.console.port)) for _ in range(80)]
        time.sleep(1)  # what is measured is the time spent during this second

        def seconds():
            with open(f"/proc/{self.console.process.pid}/stat") as f:
                return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / 100
        before = seconds()
        time.sleep(2)
        self.assertLess(seconds() - before, 0.5)
        for s in sockets:
            s.close()
        a = wait_for(lambda: self.try_agent(), 40)
        self.assertEqual(a.authenticate()["state"], "unenrolled")

    def try_agent(self):
        try:
            return self.console.agent(timeout=3)
        except Exception:
            return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
