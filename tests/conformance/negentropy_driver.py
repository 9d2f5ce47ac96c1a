"""Plays two processes of the line protocol of hoytech/negentropy's tests against each other, as
upstream's driver does: one line, one answer; after `done` what the initiator needs and has must
make both sets the same, with nothing missing and nothing invented. Every pair of split rules meets
in every mix.

    negentropy_driver.py NEGENTROPY_LINES [OTHER-COMMAND]

OTHER-COMMAND, if given, is one more speaker of the protocol, from anywhere."""

import os
import random
import shlex
import subprocess
import sys

LINES = sys.argv[1]
SPEAKERS = {"ours": [LINES], "reference": [LINES, "--reference"]}
if len(sys.argv) > 2:
    SPEAKERS["other"] = shlex.split(sys.argv[2])
ROUNDS_MAX = 5000


class Speaker:
    def __init__(self, command, items, limit):
        environment = dict(os.environ, FRAMESIZELIMIT=str(limit))
        self.limit = limit
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        lines = [f"item,{at_s},{hash_}\n" for at_s, hash_ in items]
        random.shuffle(lines)
        self.process.stdin.write("".join(lines) + "seal\n")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "it ended"
        fields = line.strip().split(",")
        if fields[0] == "msg":
            assert self.limit == 0 or len(fields[1]) // 2 <= self.limit, "above the limit"
        return fields

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()


def play(names, sets, limits):
    """Returns the transcript and what the initiator learned."""
    initiator, responder = (Speaker(SPEAKERS[name], items, limit)
                            for name, items, limit in zip(names, sets, limits))
    transcript, found = [], {"have": [], "need": []}
    initiator.ask("initiate")
    while (fields := initiator.answer())[0] != "done":
        if fields[0] in found:
            found[fields[0]].append(fields[1])
            continue
        assert fields[0] == "msg" and len(transcript) < 2 * ROUNDS_MAX
        responder.ask(",".join(fields))
        answer = responder.answer()
        assert answer[0] == "msg"
        transcript += [fields[1], answer[1]]
        initiator.ask(",".join(answer))
    initiator.end()
    responder.end()
    return transcript, found


def mixed(dice, count, weights, clustered=False):
    sets, at_s, fate = ([], []), 1700000000, 0
    for number in range(count):
        at_s += dice.choice((0, 0, 1, 30))
        if not clustered or number % 100 == 0:
            fate = dice.choices((1, 2, 3), weights)[0]
        item = at_s, dice.randbytes(32).hex()
        for index in range(2):
            if fate & (1 << index):
                sets[index].append(item)
    return sets


def check(names, sets, limits, what):
    transcript, found = play(names, sets, limits)
    hashes = [{hash_ for _, hash_ in items} for items in sets]
    assert set(found["have"]) == hashes[0] - hashes[1], f"{names} {what} {limits}: have"
    assert set(found["need"]) == hashes[1] - hashes[0], f"{names} {what} {limits}: need"
    if limits == (0, 0):
        for word in found:
            assert len(found[word]) == len(set(found[word])), f"{names} {what}: {word} twice"
    return transcript


MIXES = {"all client": (1, 0, 0), "all server": (0, 1, 0), "all common": (0, 0, 1),
         "2:2:7": (2, 2, 7), "1:1:98": (1, 1, 98)}


def run_mixes():
    sessions = 0
    for first in SPEAKERS:
        for second in SPEAKERS:
            for number, (what, weights) in enumerate(MIXES.items()):
                dice = random.Random(number)
                check((first, second), mixed(dice, 3000, weights), (0, 0), what)
                check((first, second), mixed(dice, 4000, weights), (6000, 50000), what)
                sessions += 2
            dice = random.Random(99)
            check((first, second), mixed(dice, 3000, (1, 1, 1), True), (0, 0), "clustered")
            check((first, second), mixed(dice, 4000, (1, 1, 1), True), (5000, 5000), "clustered")
            check((first, second), mixed(dice, 4000, (1, 1, 98), True), (5000, 5000), "clustered")
            check((first, second), ([], []), (0, 0), "empty")
            sessions += 4
    return sessions


def version_falls_back(name):
    speaker = Speaker(SPEAKERS[name], [(12345, "eb" * 32)], 0)
    speaker.ask("msg,62aabbccddeeff")
    assert speaker.answer() == ["msg", "61"], name
    speaker.ask("msg,6100000200")
    assert speaker.answer() == ["msg", "6100000201" + "eb" * 32], name
    speaker.end()


def traces_are_the_same():
    """Only with another implementation: byte for byte, frames cut or not."""
    for seed, limits in ((1, (0, 0)), (2, (6000, 50000)), (3, (5000, 20000))):
        sets = mixed(random.Random(seed), 10000, (1, 1, 5))
        plain = play(("reference", "reference"), sets, limits)[0]
        for names in (("other", "reference"), ("reference", "other"), ("other", "other")):
            assert play(names, sets, limits)[0] == plain, (names, limits)


def a_broken_line_ends_it():
    for line in ("", "item,1", "seal", "msg,6", "msg,zz", "msg,61000001", "hello", "msg,70"):
        speaker = Speaker(SPEAKERS["ours"], [], 0)
        speaker.ask(line)
        speaker.process.stdin.close()
        assert speaker.process.wait(timeout=30) != 0, line
        speaker.process.stdout.close()


count = run_mixes()
for speaker_name in SPEAKERS:
    version_falls_back(speaker_name)
if "other" in SPEAKERS:
    traces_are_the_same()
a_broken_line_ends_it()
print(f"{count} sessions, and every one found the difference")
