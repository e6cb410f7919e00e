"""The network between agent and console: a TCP relay that a test can stop at a given byte."""
import contextlib
import socket
import threading

PIECE = 16384


class Link:
    """Relays to 127.0.0.1:`target`. "Up" is from the agent to the console."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.allowance = None  # bytes that may still go up; None: any number
        self.silence_after = None  # bytes that may still go up before nothing comes down any more
        self.ups = []  # bytes that went up on each connection
        self.sockets = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_up(self, after):
        """Lets `after` more bytes up, and then none, until thaw()."""
        with self.changed:
            self.allowance = after

    def hold_down(self, after):
        """Once `after` more bytes have gone up nothing comes down, until thaw()."""
        with self.changed:
            self.silence_after = after

    def thaw(self):
        with self.changed:
            self.allowance = self.silence_after = None
            self.changed.notify_all()

    def held(self):
        """Whether the point is reached at which one of the directions stands still."""
        with self.changed:
            return self.allowance == 0 or self.silence_after == 0

    def connections(self):
        with self.changed:
            return len(self.ups)

    def sent_up(self, connection):
        """Bytes that went up on connection number `connection`, counted from 0."""
        with self.changed:
            return self.ups[connection]

    def close(self):
        self.thaw()
        self.listener.close()
        for one in list(self.sockets):
            self._end(one)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                agent, _ = self.listener.accept()
                try:
                    console = socket.create_connection(("127.0.0.1", self.target), 5)
                except OSError:
                    agent.close()
                    continue
                console.settimeout(None)
                with self.changed:
                    self.ups.append(0)
                    number = len(self.ups) - 1
                self.sockets |= {agent, console}
                for run in ((self._up, agent, console, number), (self._down, console, agent)):
                    threading.Thread(target=run[0], args=run[1:], daemon=True).start()

    def _up(self, agent, console, number):
        with contextlib.suppress(OSError):
            while piece := agent.recv(PIECE):
                while piece:
                    count = self._may_go_up(len(piece))
                    console.sendall(piece[:count])
                    with self.changed:
                        self.ups[number] += count
                    piece = piece[count:]
        self._end(agent, console)

    def _may_go_up(self, length):
        with self.changed:
            self.changed.wait_for(lambda: self.allowance is None or self.allowance > 0)
            if self.allowance is not None:
                length = min(length, self.allowance)
                self.allowance -= length
            if self.silence_after is not None:
                self.silence_after = max(0, self.silence_after - length)
            return length

    def _down(self, console, agent):
        with contextlib.suppress(OSError):
            while piece := console.recv(PIECE):
                with self.changed:
                    self.changed.wait_for(lambda: self.silence_after != 0)
                agent.sendall(piece)
        self._end(agent, console)

    def _end(self, *sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            self.sockets.discard(one)
            one.close()
