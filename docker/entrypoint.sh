#!/bin/sh
# The first start makes the node's identity; every start runs it. Flags go to `ducknode run`.
set -eu
if [ ! -e /var/lib/ducknode/node.key ]; then
  ducknode init --name "${DUCKNODE_NAME:-$(hostname)}"
fi
exec ducknode run --name "${DUCKNODE_NAME:-$(hostname)}" "$@"
