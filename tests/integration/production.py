"""Ducklings of production fleets: of tier 2 on all nodes of a pond."""

import os

from pond import until


def tier(node, duckling):
    entries = node.json("directory", duckling.id)["entries"]
    return entries[0]["tier"] if entries else None


def becomes(nodes, duckling, wanted, seconds=20):
    for node in nodes:
        until(f"{duckling.id} to be T{wanted} at {node.name}",
              lambda: tier(node, duckling) == wanted, seconds)


def vouch(pond, ducks, nodes):
    """One operator, whom these nodes trust, answers for them: its id. Its key is in `operator` of the pond's folder."""
    folder = os.path.join(pond.folder, "operator")
    first = nodes[0]
    operator = first.json("operator", "init", "--dir", folder, "--name", "fleet")["operator_id"]
    for duck in ducks:
        path = os.path.join(pond.folder, "voucher.json")
        if os.path.exists(path):
            os.unlink(path)
        first.command("operator", "sign", duck.id, "--dir", folder, "--out", path)
        duck.node.command("operator", "publish", path)
    for node in nodes:
        node.command("operator", "trust", operator)
    return operator


def take_back(pond, duck, node):
    """That operator takes back what it said of one of them."""
    node.command("operator", "revoke", duck.id, "--dir", os.path.join(pond.folder, "operator"))


def production(pond, *pairs):
    """Each a duckling of its node, each pair bonded, all vouched for by one operator whom all nodes trust."""
    ducks = {node: node.hatch(f"{node.name}@example.org", node.name) for node in pond.nodes}
    for node in pond.nodes:
        for duck in ducks.values():
            until("all in the directory", lambda: tier(node, duck) is not None)
    for one, other in pairs:
        ducks[one].bond_with(ducks[other])
    vouch(pond, ducks.values(), pond.nodes)
    for duck in {ducks[each] for pair in pairs for each in pair}:
        becomes(pond.nodes, duck, 2)
    return ducks
