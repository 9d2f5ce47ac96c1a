#!/usr/bin/python3
"""A handler's program that behaves as its first argument says; files are in the folder that its
second argument names. Nothing in it sleeps: who is to wait waits for a signal or for a fifo."""

import json
import os
import signal
import sys

LEFT_BEHIND = 20


def note(name, text):
    """Appends one line to a file, at once."""
    with open(os.path.join(FOLDER, name), "a") as file:
        file.write(f"{text}\n")


def answer(value):
    print(json.dumps(value), flush=True)


def hang(deaf=False):
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("pids", os.getpid())
    while True:
        signal.pause()


def leave_behind(count=LEFT_BEHIND):
    """Daemons as one makes them: fork, setsid, fork again, and the parents end."""
    for _ in range(count):
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                hang_with(told)
            os._exit(0)
        os.waitpid(child, 0)
        os.close(told)
        os.read(ready, 1)
        os.close(ready)


def hang_with(told):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("pids", os.getpid())
    os.write(told, b"x")
    while True:
        signal.pause()


BOMB_MOST = 40


def bomb():
    """Forks as often as it can, in groups and sessions of their own. The kernel bounds it: root gives
    its rights up to a user that has no other process."""
    import resource
    if os.geteuid() == 0:
        os.setgid(60123)
        os.setuid(60123)
        resource.setrlimit(resource.RLIMIT_NPROC, (BOMB_MOST, BOMB_MOST))
    for born in range(1000):
        try:
            if os.fork() == 0 and born % 2:
                os.setsid()
        except OSError:
            signal.pause()
    signal.pause()


def wait_for_fifo(name):
    note("pids", os.getpid())
    note("begun", os.environ["DUCK_ATTEMPT"])
    fifo = os.open(os.path.join(FOLDER, name), os.O_RDONLY)
    os.read(fifo, 1)
    os.close(fifo)


def limits():
    import resource
    names = {"core": resource.RLIMIT_CORE, "files": resource.RLIMIT_NOFILE,
             "memory": resource.RLIMIT_AS, "cpu": resource.RLIMIT_CPU}
    with open("/proc/self/status") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    answer({"limits": {name: resource.getrlimit(kind)[0] for name, kind in names.items()},
            "files": sorted(os.listdir("/proc/self/fd")), "folder": os.getcwd(),
            "umask": os.umask(0), "group": os.getpgrp() == os.getpid(),
            "no_new_privs": status["NoNewPrivs"], "blocked": status["SigBlk"],
            "environment": dict(os.environ)})


def main(kind):
    peck = json.load(sys.stdin) if kind not in ("deaf_to_input", "hang") else None
    if kind == "echo":
        answer({"peck": peck, "words": sys.argv[3:]})
    elif kind == "limits":
        limits()
    elif kind == "hang":
        hang()
    elif kind == "deaf":
        hang(deaf=True)
    elif kind == "deaf_to_input":
        answer("I read nothing")
    elif kind == "flood":
        while True:
            os.write(1, b'"' + b"x" * 65536)
    elif kind == "flood_words":
        while True:
            os.write(2, b"y" * 65536)
    elif kind == "cut":
        os.write(1, b'{"a": [1, 2')
    elif kind == "slow":
        signal.sigtimedwait([], 1)
        answer("slow but fine")
    elif kind == "bomb":
        bomb()
    elif kind == "complain":
        for _ in range(200):
            os.write(2, b"it is all wrong, all of it\n" * 1000)
        os.write(2, b"\xff\x00 no line end")
        answer("I said it")
    elif kind == "daemons":
        leave_behind()
        answer("they live")
    elif kind == "daemons_and_hang":
        leave_behind()
        hang()
    elif kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "fail":
        sys.exit(1)
    elif kind == "explain":
        print("there is no such city\n")
        sys.exit(3)
    elif kind == "garbage":
        os.write(1, b"\xff\xfe\x00\x01garbage")
    elif kind == "prose":
        print("The weather is fine.")
    elif kind == "two":
        print('{} {}')
    elif kind == "deep":
        print("[" * 1000 + "]" * 1000)
    elif kind == "nothing":
        pass
    elif kind == "large":
        print('"' + "x" * (256 * 1024 - 2) + '"', end="")
    elif kind == "memory":
        bytearray(1 << 30)
        answer("I have it")
    elif kind == "wait":
        wait_for_fifo("gate")
        answer("the gate opened")
    elif kind == "again":
        if os.environ["DUCK_ATTEMPT"] == "1":
            leave_behind(1)
            wait_for_fifo("never")
        answer({"attempt": peck["attempt"]})


FOLDER = sys.argv[2]
main(sys.argv[1])
