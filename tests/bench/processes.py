"""What /proc says that processes have used."""
import os
import re


def cpu_ns(pid):
    """Processor time of all threads, to the nanosecond (the scheduler's account, not the clock tick's)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def wakeups(pid):
    """How often its threads have waited for something and were woken."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as f:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))
    return total


def mappings(pid):
    """One dictionary for each mapping: name, size_kb, pss_kb, locked."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                found.append({"name": (line.split(maxsplit=5) + [""])[5].strip(), "locked": False})
            elif match := re.match(r"(Size|Pss|Locked):\s+(\d+) kB", line):
                key = {"Size": "size_kb", "Pss": "pss_kb", "Locked": "locked_kb"}[match.group(1)]
                found[-1][key] = int(match.group(2))
            elif line.startswith("VmFlags:"):
                found[-1]["locked"] = "lo" in line.split()
    return found


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
