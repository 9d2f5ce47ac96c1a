"""A node that is none: it speaks the framing of the local API (proto/local.proto) and answers each
order as it was told to, so that a gateway meets what a good node never says."""

import os
import socket
import struct
import threading

STATUS, COUNT, NEWS = 10, 30, 48  # orders that a gateway gives by itself
DIRECTORY = 24              # and one that it gives now and then
DONE, GOSSIP, AUDIT = 12, 22, 45  # kinds of answers


def varint(number):
    out = b""
    while True:
        out += bytes([number & 0x7f | (0x80 if number > 0x7f else 0)])
        number >>= 7
        if not number:
            return out


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def problem(code, message="as it was told", field=""):
    return data(2, data(1, code) + data(2, message) + data(3, field))


WRONG = data(GOSSIP, b"")  # what no route asks for
SILENCE = None


def read_varint(text, at):
    value = shift = 0
    while True:
        byte = text[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def read_request(text):
    """The id, and the number of the order."""
    id_ = order = at = 0
    while at < len(text):
        tag, at = read_varint(text, at)
        if tag & 7 == 0:
            value, at = read_varint(text, at)
            id_ = value if tag >> 3 == 1 else id_
        else:
            size, at = read_varint(text, at)
            at += size
            order = tag >> 3
    return id_, order


class FakeNode:
    """with FakeNode(folder) as node: node.says = problem("busy")"""

    def __init__(self, folder):
        self.path = os.path.join(folder, "fake.sock")
        self.says = SILENCE
        self.asked = threading.Event()  # set by each order that is not the gateway's own

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.lines = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for line in self.lines:
            line.close()
        self.thread.join()

    def serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.lines.append(line)
            threading.Thread(target=self.talk, args=(line,), daemon=True).start()

    def talk(self, line):
        file = line.makefile("rb")
        try:
            while True:
                head = file.read(4)
                if len(head) < 4:
                    return
                id_, order = read_request(file.read(struct.unpack(">I", head)[0]))
                answer = self.answer(order)
                if answer is not None:
                    frame = number(1, id_) + answer
                    line.sendall(struct.pack(">I", len(frame)) + frame)
        except (OSError, ValueError):
            pass

    def answer(self, order):
        if order == STATUS:
            return data(STATUS, data(1, "nod_" + "b" * 32) + data(2, "0.1.0") + data(3, "fake"))
        if order == COUNT:
            return data(DONE, b"")
        if order == NEWS:
            return data(AUDIT, b"")
        if order != DIRECTORY:
            self.asked.set()
        return self.says
