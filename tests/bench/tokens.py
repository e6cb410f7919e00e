"""Verifying a signed command: what it costs beside the signature itself, with the vault's IPC and without."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../commands"))
from agent import Agent, wait_for
from signed import Keys

PEER = "libcrypto's ECDSA P-256 verification of a digest"
SAID = "offers: "


def measure(table, bench):
    found = run(bench, "token_bench")
    for which in ("token", "large"):
        table.add(f"a token of {found[which + '_bytes']:,} bytes verified and read, in the vault",
                  found[which + "_ns"] / 1000, "us", PEER, found["ecdsa_ns"] / 1000, digits=1)
    measure_channel(table, run(bench, "offer_bench"))
    found = through_broker(bench)
    table.add("a token offered and answered, through the broker", found["offered_ns"] / 1000, "us", PEER,
              found["ecdsa_ns"] / 1000, digits=1)


def run(bench, program):
    result = subprocess.run([os.path.join(bench, program)], capture_output=True, text=True, timeout=120,
                            check=True)
    return json.loads(result.stdout)


def measure_channel(table, found):
    us = {name.removesuffix("_ns"): ns / 1000 for name, ns in found.items()}
    table.add("a token offered and answered, on the vault's channel", us["verified"], "us", PEER, us["ecdsa"],
              target=5, of="ratio", digits=1)
    table.add("the same, refused with a signed receipt", us["refused"], "us", PEER, us["ecdsa"], digits=1)
    table.add("the same, accepted: the replay store's two fdatasync included", us["accepted"], "us",
              "a write of 512 bytes with its fdatasync", us["fdatasync"], digits=1)


def through_broker(bench):
    keys = Keys(ops={"profile": "diagnostic", "revokes": True})
    path = os.path.join(keys.folder, "token")
    with open(path, "w", encoding="utf-8") as f:
        f.write(keys.sign({"typ": "cloister-revocation", "ver": 1, "revoked": ["gone-1"]}))
    agent = Agent({"console": {"host": "127.0.0.1", "port": "9", "ca": path}},
                  replace={"cloister-vault": keys.stamp(), "cloister-uplink": os.path.join(bench, "offer_uplink")})
    try:
        os.chmod(keys.folder, 0o755)
        agent.start()
        line = wait_for("the offers", lambda: agent.alive() and [
            line for line in agent.log().splitlines() if SAID in line])[0]
        return json.loads(line.split(SAID)[1])
    finally:
        agent.remove()
        keys.remove()
