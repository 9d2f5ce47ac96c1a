"""Two nodes for a test in another language: alice and bob, bonded with nobody.

Prints one line of JSON when they are up: for each name its URL and node id. Then answers a line
"code NAME EMAIL" by the code that was mailed; ends, and ends the nodes, with its standard input."""

import json
import sys

from pond import Pond

with Pond("alice", "bob") as pond:
    print(json.dumps({node.name: {"url": node.url, "node_id": node.id} for node in pond.nodes}),
          flush=True)
    for line in sys.stdin:
        _, name, email = line.split()
        print(getattr(pond, name).mail_code(email), flush=True)
