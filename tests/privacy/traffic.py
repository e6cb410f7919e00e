"""What goes over the wire between an agent in a network namespace of its own and its console: packets,
put together to TLS records. Contents stay closed; counts, sizes and times are what an observer sees."""
import collections
import os
import struct
import subprocess
import threading
import time

Packet = collections.namedtuple("Packet", "time protocol source destination tcp")
Record = collections.namedtuple("Record", "time direction type length")


class Link:
    """A network namespace whose only way out is a pair of virtual interfaces to this one."""

    def __init__(self):
        number = os.getpid() % 64000
        self.name = f"cloister-{os.getpid()}"
        self.outside = f"cv{number}o"
        # From the range that RFC 2544 keeps for tests.
        self.here, self.there = (f"198.18.{number // 250}.{number % 250 + i}" for i in (1, 2))

    def start(self):
        inside = "console0"
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self.outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        for address, other, device, where in (
                (self.here, self.there, self.outside, ()), (self.there, self.here, inside, ("-n", self.name))):
            prefix = ("ip", "netns", "exec", self.name) if where else ()
            for setting in (f"net.ipv6.conf.{device}.disable_ipv6=1",):
                # A kernel without IPv6 needs none of it.
                subprocess.run([*prefix, "sysctl", "-q", setting], stderr=subprocess.DEVNULL, check=False)
            self._ip(*where, "addr", "add", address, "peer", other, "dev", device)
            self._ip(*where, "link", "set", device, "up")
        self._ip("-n", self.name, "link", "set", "lo", "up")
        # A question to any name server would go the same way, and be seen.
        self._ip("-n", self.name, "route", "add", "default", "via", self.here, "dev", inside)
        # So that neither side has to ask for the other's address in the midst of a measurement.
        for address, device, where, other in ((self.there, self.outside, (), ("-n", self.name, inside)),
                                              (self.here, inside, ("-n", self.name), (self.outside,))):
            shown = self._ip(*other[:-1], "-o", "link", "show", other[-1]).stdout
            mac = shown.split("link/ether ")[1].split()[0]
            self._ip(*where, "neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")
        return self

    @staticmethod
    def _ip(*args):
        return subprocess.run(["ip", *args], check=True, capture_output=True, text=True)

    def inside(self):
        """What a program is started with to be in that namespace (and in no other: "ip netns exec"
        would hide the control groups)."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.outside], capture_output=True, check=False)


class Sniffer:
    """tcpdump on every interface of the namespace, its own loopback included."""

    def __init__(self, link):
        self.there = link.there
        self.packets, self.records, self.failed = [], [], None
        self._streams = {}
        self.process = subprocess.Popen(
            link.inside() + ["tcpdump", "-i", "any", "-n", "-U", "--immediate-mode", "-B", "16384",
                             "-Z", "root", "-w", "-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            if b"listening on" in line:
                break
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def _run(self):
        try:
            head = self._exactly(24)
            order = "<" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
            kind = struct.unpack(order + "I", head[20:24])[0] & 0xffff
            while True:
                length = struct.unpack(order + "4I", self._exactly(16))[2]
                self._packet(time.monotonic(), kind, self._exactly(length))
        except EOFError:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error  # told to whoever asks for packets

    def _exactly(self, length):
        data = self.process.stdout.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def _packet(self, now, kind, data):
        # LINKTYPE_LINUX_SLL2 and LINKTYPE_LINUX_SLL
        protocol, body = (data[:2], data[20:]) if kind == 276 else (data[14:16], data[16:])
        protocol = int.from_bytes(protocol, "big")
        if protocol != 0x0800 or body[9] != 6:
            self.packets.append(Packet(now, f"{protocol:04x}/{body[9] if protocol == 0x0800 else ''}",
                                       None, None, False))
            return
        end = int.from_bytes(body[2:4], "big")
        tcp = body[(body[0] & 15) * 4:end]
        source = (".".join(map(str, body[12:16])), int.from_bytes(tcp[:2], "big"))
        destination = (".".join(map(str, body[16:20])), int.from_bytes(tcp[2:4], "big"))
        self.packets.append(Packet(now, "tcp", source, destination, True))
        payload = tcp[(tcp[12] >> 4) * 4:]
        if payload:
            self._bytes(now, (source, destination), int.from_bytes(tcp[4:8], "big"), payload)

    def _bytes(self, now, flow, sequence, payload):
        """Puts segments in order: tcpdump may see those of two processors in another."""
        stream = self._streams.setdefault(flow, {"next": sequence, "early": {}, "bytes": b""})
        stream["early"][sequence] = payload
        moved = True
        while moved:
            moved = False
            for start in list(stream["early"]):
                ahead = (start - stream["next"] + (1 << 31)) % (1 << 32) - (1 << 31)
                if ahead > 0:
                    continue
                fresh = stream["early"].pop(start)[-ahead:] if ahead else stream["early"].pop(start)
                stream["bytes"] += fresh
                stream["next"] = (stream["next"] + len(fresh)) % (1 << 32)
                moved = True
        self._cut(now, flow, stream)

    def _cut(self, now, flow, stream):
        data = stream["bytes"]
        while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
            length = int.from_bytes(data[3:5], "big")
            direction = "out" if flow[0][0] == self.there else "in"
            self.records.append(Record(now, direction, data[0], length))
            data = data[5 + length:]
        stream["bytes"] = data

    def span(self, start, end):
        """Packets and records of that time (monotonic seconds)."""
        if self.failed:
            raise self.failed
        if any(stream["early"] for stream in self._streams.values()):
            raise RuntimeError("tcpdump has missed packets: this measures nothing")
        return ([p for p in self.packets if start <= p.time < end],
                [r for r in self.records if start <= r.time < end])
