"""Reads another process's memory and says where given bytes lie, and how that memory is kept.

Root reads what nobody else can: an undumpable process's /proc/PID/mem. Two things stay closed even to
root: memfd_secret (the kernel takes it out of its own address space), which is counted and not read,
and the kernel's [vvar] and [vsyscall] pages, which hold nothing of a process.
"""
import os
import re

PAGE = os.sysconf("SC_PAGESIZE")
PART = 4 << 20
OVERLAP = 256  # longer than anything that is searched for
CLOSED = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


class Mapping:
    def __init__(self, line):
        fields = line.split(None, 5)
        self.start, self.end = (int(x, 16) for x in fields[0].split("-"))
        self.shared = fields[1][3] == "s"
        self.readable = fields[1][0] == "r"
        self.name = fields[5].rstrip("\n") if len(fields) > 5 else ""
        self.flags = set()

    @property
    def secret(self):
        return "secretmem" in self.name

    @property
    def locked(self):
        return "lo" in self.flags

    @property
    def not_dumped(self):
        return "dd" in self.flags

    def __str__(self):
        return f"{self.start:x}-{self.end:x} {self.name or 'anonymous'} [{' '.join(sorted(self.flags))}]"


class Finding:
    def __init__(self, pid, form, mapping, address):
        self.pid, self.form, self.mapping, self.address = pid, form, mapping, address

    @property
    def kept(self):
        """Whether it lies in memory that is neither swapped out nor dumped."""
        return self.mapping.locked and self.mapping.not_dumped

    def __str__(self):
        return f"{self.form} at {self.address:x} of process {self.pid}, in {self.mapping}"


class Report:
    def __init__(self):
        self.findings, self.unreadable = [], []
        self.bytes = self.secret_mappings = 0

    def forms(self):
        return sorted({f.form for f in self.findings})


def mappings(pid):
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                found.append(Mapping(line))
            elif line.startswith("VmFlags:"):
                found[-1].flags = set(line.split()[1:])
    return found


def _present(pagemap, mapping):
    """Ranges of pages that are in memory or swapped out: reading the others would bring them in."""
    count = (mapping.end - mapping.start) // PAGE
    entries = os.pread(pagemap, count * 8, mapping.start // PAGE * 8)
    for run in re.finditer(rb"[\x40-\xff]+", entries[7::8], re.DOTALL):
        yield mapping.start + run.start() * PAGE, mapping.start + run.end() * PAGE


def _parts(fd, start, end):
    """(address, bytes) of a range, in overlapping parts."""
    while start < end:
        data = os.pread(fd, min(PART + OVERLAP, end - start), start)
        if not data:
            raise OSError("a range ended early")
        yield start, data
        start += PART if len(data) == PART + OVERLAP else len(data)


def _file_parts(pid, mapping):
    """The same of a shared file without a name, with pages that this process has not touched."""
    fd = os.open(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}", os.O_RDONLY)
    try:
        size, at = os.fstat(fd).st_size, 0
        while at < size:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                return
            hole = os.lseek(fd, at, os.SEEK_HOLE)
            for offset, data in _parts(fd, at, hole):
                yield mapping.start + offset, data
            at = hole
    finally:
        os.close(fd)


def _read(pid, memory, pagemap, mapping):
    if mapping.shared and mapping.name.startswith("/memfd:"):
        yield from _file_parts(pid, mapping)
        return
    for start, end in _present(pagemap, mapping):
        yield from _parts(memory, start, end)


def parts(pid, report):
    """(mapping, address, bytes) of all that can be read of a process."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    try:
        for mapping in mappings(pid):
            if mapping.secret:
                report.secret_mappings += 1
                continue
            if not mapping.readable or mapping.name in CLOSED:
                continue
            try:
                for address, data in _read(pid, memory, pagemap, mapping):
                    report.bytes += len(data)
                    yield mapping, address, data
            except OSError as error:
                report.unreadable.append(f"{mapping}: {error}")
    finally:
        os.close(memory)
        os.close(pagemap)


def scan(pid, needles):
    """`needles`: {name: bytes}. At most one finding for each of them in each part."""
    report = Report()
    for mapping, address, data in parts(pid, report):
        for form, needle in needles.items():
            at = data.find(needle)
            if at >= 0:
                report.findings.append(Finding(pid, form, mapping, address + at))
    return report


def undumpable(pid):
    """The kernel gives the files of an undumpable process's /proc folder to root."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        uid = next(int(line.split()[2]) for line in f if line.startswith("Uid:"))
    return uid == 0 or os.stat(f"/proc/{pid}/environ").st_uid == 0
