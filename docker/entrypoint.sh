#!/bin/sh
# The first start makes the node's identity; every start runs it. Flags go to `ducknode run`.
set -eu
config=/etc/ducknode/ducknode.conf
if [ ! -e /var/lib/ducknode/node.key ]; then
  ducknode init --config "$config" --name "${DUCKNODE_NAME:-$(hostname)}"
fi
exec ducknode run --config "$config" --name "${DUCKNODE_NAME:-$(hostname)}" "$@"
