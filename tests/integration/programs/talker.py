#!/usr/bin/python3
"""A handler's program that answers a peck by pecking back in the same thread: two of them talk for
ever, if nobody stops them. Arguments: the program ducknode, the node's configuration, a file."""

import json
import os
import subprocess
import sys

peck = json.load(sys.stdin)
with open(sys.argv[3], "a") as file:
    file.write(f"{peck['to']} {peck['payload']['round']}\n")
if peck["payload"]["round"] < peck["payload"].get("enough", 1 << 30):
    back = {**peck["payload"], "round": peck["payload"]["round"] + 1}
    subprocess.run([sys.argv[1], "peck", peck["from"], json.dumps(back), "--from", peck["to"],
                    "--action", peck["action"], "--thread", peck["thread"], "--wait", "0",
                    "--config", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
print("null")
