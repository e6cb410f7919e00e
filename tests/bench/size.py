"""How much runs with privilege, or decides: machine code that is mapped, and lines that are ours."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

from agent import BIN, Failure

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.dirname(BIN)
LIBC = re.compile(r"/(libc\.so\.6|ld-linux[^/]*)$")


def text_of(path):
    """Bytes of .text, as size(1) from binutils reads them."""
    listing = subprocess.run(["size", "-A", path], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^\.text\s+(\d+)", listing, re.M).group(1))


def libraries(program, search=None):
    """The shared libraries that the loader maps for a program, libc and the loader apart."""
    environment = dict(os.environ, LC_ALL="C")
    if search:
        environment["LD_LIBRARY_PATH"] = search
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False,
                             env=environment).stdout
    if "not found" in listing:
        return None
    paths = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listing, re.M)
    return [os.path.realpath(p) for p in paths if not LIBC.search(p)]


def mapped_text(program, search=None):
    found = libraries(program, search)
    return None if found is None else sum(map(text_of, [program, *found]))


def sshd_text():
    """Debian's sshd with its libraries; unpacked, never installed. None where it cannot be had."""
    if os.path.exists("/usr/sbin/sshd"):
        return mapped_text("/usr/sbin/sshd")
    folder = tempfile.mkdtemp(prefix="cloister-sshd-")
    try:
        packages = ["openssh-server", "libwrap0", "libnsl2", "libtirpc3", "libkrb5-3", "libgssapi-krb5-2",
                    "libkrb5support0", "libk5crypto3", "libkeyutils1", "libcom-err2"]
        subprocess.run(["apt-get", "download", "-q", *packages], cwd=folder, capture_output=True,
                       timeout=120, check=True)
        for package in glob.glob(os.path.join(folder, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, os.path.join(folder, "root")], check=True)
        search = ":".join({os.path.dirname(p) for p in
                           glob.glob(os.path.join(folder, "root/**/*.so*"), recursive=True)})
        return mapped_text(os.path.join(folder, "root/usr/sbin/sshd"), search)
    except (subprocess.SubprocessError, OSError):
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def own_sources(program):
    """Our C files with code in a program, by its debug information; what was generated is not ours."""
    listing = subprocess.run(["readelf", "--debug-dump=info", "--dwarf-depth=1", program],
                             capture_output=True, text=True, check=True, env=dict(os.environ, LC_ALL="C")).stdout
    paths = {os.path.realpath(p) for p in re.findall(r"DW_AT_name\s*:.*?(/\S+\.c)\s*$", listing, re.M)}
    return {p for p in paths if p.startswith(SOURCE + "/") and not p.startswith(BUILD + "/")}


def reader_sources():
    """The monitor's files that run in its reader, after that has given root up (broker/reader.h)."""
    with open(os.path.join(SOURCE, "broker/monitor.cmake"), encoding="utf-8") as f:
        match = re.search(r"cloister_library\(monitor_reader\s+SOURCES ([^)]*?)\s+LIBS", f.read(), re.S)
    return {os.path.join(SOURCE, "broker", name) for name in match.group(1).split()}


def code_lines(path):
    """Lines that are neither blank nor comment alone, and all lines."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    token = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.S)
    bare = token.sub(lambda m: m.group(0) if m.group(0)[0] in "\"'" else "\n" * m.group(0).count("\n"), text)
    return sum(1 for line in bare.splitlines() if line.strip()), len(text.splitlines())


def measure(table):
    sshd = sshd_text()
    peer = ("sshd of Debian with its libraries", sshd / 1000) if sshd else (None, None)
    broker = mapped_text(os.path.join(BIN, "cloister-broker"))
    root = mapped_text(os.path.join(BIN, "cloisterd")) + mapped_text(os.path.join(BIN, "cloister-launch"))
    table.add(".text mapped except libc, broker", broker / 1000, "KB", *peer, target=250, digits=1)
    table.add(".text mapped except libc, monitor and launcher", root / 1000, "KB", *peer, target=60, digits=1)
    reader = reader_sources()
    monitor = own_sources(os.path.join(BIN, "cloisterd")) - reader
    launcher = own_sources(os.path.join(BIN, "cloister-launch"))
    if not monitor or not launcher:
        raise Failure("no debug information: build with -g")
    root = monitor | launcher
    table.add("own lines running as root, neither blank nor comment", lines(root), "lines", target=2250)
    table.add("the same files with blank lines and comments", sum(code_lines(p)[1] for p in root), "lines")
    table.add("the monitor's part of it", lines(monitor), "lines")
    table.add("the launcher's part of it", lines(launcher), "lines")
    table.add("beside them the monitor's reader, which has given root up", lines(reader), "lines")


def lines(paths):
    return sum(code_lines(p)[0] for p in paths)
