"""What /proc says of the agent's processes, for the demo's summary and the tests."""
import os

NAMESPACES = ("mnt", "net", "pid", "ipc", "uts", "cgroup")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def own_namespaces(pid, reference):
    return [n for n in NAMESPACES
            if os.readlink(f"/proc/{pid}/ns/{n}") != os.readlink(f"/proc/{reference}/ns/{n}")]


def worker_rows(agent):
    """One row for each process of the agent. Everything but the two numbers that the kernel does not
    show (how many calls the filter allows, the Landlock ABI) is read from /proc."""
    status = agent.status()
    reports = {w["name"]: w.get("lock") or {} for w in [status["broker"], *status["workers"]]}
    pids = {name: pid for pid, name in agent.processes().items()}
    rows = []
    for comm, pid in sorted(pids.items(), key=lambda item: item[1]):
        name = comm.removeprefix("cloister-")
        status = status_of(pid)
        lock = reports.get(name, {})
        rows.append({
            "name": name, "pid": pid, "uid": int(status["Uid"].split()[0]),
            "cap_eff": status["CapEff"], "seccomp_mode": int(status["Seccomp"]),
            "seccomp_syscalls": lock.get("seccomp_syscalls"),
            "no_new_privs": int(status["NoNewPrivs"]), "landlock_abi": lock.get("landlock_abi"),
            "namespaces": own_namespaces(pid, pids["cloisterd"]),
        })
    return rows
