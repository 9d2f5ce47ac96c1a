"""A listener of GET /beak/events, for the tests."""

import json
import socket
import time


class Stream:
    """One listener: fetch with an Authorization header, as a browser's page does it."""

    def __init__(self, node, token, query="", last_id=None):
        self.line = socket.create_connection(("127.0.0.1", node.gateway_port), timeout=30)
        self.line.sendall((f"GET /beak/events{query} HTTP/1.1\r\nHost: localhost\r\n"
                           f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n"
                           + (f"Last-Event-ID: {last_id}\r\n" if last_id else "") + "\r\n").encode())
        self.file = self.line.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (header := self.file.readline().strip()):
            name, _, value = header.decode().partition(": ")
            self.headers[name.lower()] = value
        self.text = b""

    def _chunk(self):
        size = int(self.file.readline() or b"0", 16)
        data = self.file.read(size)
        self.file.readline()
        if size == 0:
            raise EOFError
        self.text += data

    def block(self):
        """The next block: what stands between two empty lines."""
        while b"\n\n" not in self.text:
            self._chunk()
        block, _, self.text = self.text.partition(b"\n\n")
        return block.decode()

    def event(self, seconds=60):
        """(id, name, data) of the next event; comments and `retry` are passed over."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            fields = dict(line.split(": ", 1) for line in self.block().splitlines() if ": " in line)
            if "event" in fields:
                return fields.get("id"), fields["event"], json.loads(fields["data"])
        raise AssertionError(f"no event in {seconds} s, though the stream is alive")

    def ends(self, seconds=45):
        """What comes until the server ends it is not looked at."""
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                self.block()
        except (EOFError, ConnectionError):
            return
        raise AssertionError(f"the stream goes on after {seconds} s")

    def close(self):
        self.file.close()
        self.line.close()
