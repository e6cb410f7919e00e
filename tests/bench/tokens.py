"""Verifying a signed command: what it costs beside the signature itself, without IPC and replay store."""
import json
import os
import subprocess

PEER = "libcrypto's ECDSA P-256 verification of a digest"


def measure(table, bench):
    result = subprocess.run([os.path.join(bench, "token_bench")], capture_output=True, text=True, timeout=120,
                            check=True)
    found = json.loads(result.stdout)
    for which in ("token", "large"):
        table.add(f"a token of {found[which + '_bytes']:,} bytes verified and read, in the vault",
                  found[which + "_ns"] / 1000, "us", PEER, found["ecdsa_ns"] / 1000, digits=1)
