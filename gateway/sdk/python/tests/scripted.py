"""A gateway that says, on a real socket, what a test tells it to say; and what it was asked."""

from __future__ import annotations


import json
import socket
import threading
from typing import Any, NamedTuple



class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def says(status: int, body: Any = None, **headers: str) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(text)}",
             "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + text


CUT = b""          # the connection ends without an answer
SILENCE = b"\0"    # and here nothing comes, until the client has gone


class Gateway:
    """with Gateway(says(200, {}), CUT, …) as gateway: each request gets the next of them."""

    def __init__(self, *script: bytes) -> None:
        self.script, self.asked, self.connections = list(script), list[Asked](), 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._open: socket.socket | None = None

    def __enter__(self) -> Gateway:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for each in (self._listener, self._open):
            try:
                if each:
                    each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections, self._open = self.connections + 1, connection
            with connection, connection.makefile("rb") as lines:
                while self.script and self._answer(connection, lines):
                    pass

    def _answer(self, connection: socket.socket, lines: Any) -> bool:
        first = lines.readline().decode().split()
        if not first:
            return False
        headers = {}
        while line := lines.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = lines.read(int(headers.get("content-length", 0)))
        self.asked.append(Asked(first[0], first[1], headers, body))
        answer = self.script.pop(0)
        if answer == SILENCE:
            lines.read(1)
        if answer in (CUT, SILENCE):
            return False
        connection.sendall(answer)
        return b"Connection: close" not in answer
