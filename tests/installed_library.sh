#!/usr/bin/env bash
# What is installed is enough for an agent in C: the example links with what pkg-config says, and runs.
# Usage: installed_library.sh SOURCE BUILD
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$2" --prefix "$folder" > /dev/null
found=$(find "$folder" -name duckclient.pc)
flags=$(PKG_CONFIG_PATH=${found%/*} pkg-config --cflags --libs duckclient)
read -ra flags <<< "$flags"
cc "$1/lib/client/example_agent.c" "${flags[@]}" -o "$folder/agent"
said=$(DUCKNODE_SOCKET=$folder/none "$folder/agent" 2>&1) && exit 1
grep -q "is ducknode running" <<< "$said"
# The headers are C++ too, where there is a compiler for it.
if command -v c++ > /dev/null; then
  printf '#include <duck_client.h>\n#include <duck_grant.h>\n#include <duck_key.h>\nint main() { duck_close(nullptr); }\n' > "$folder/agent.cc"
  c++ "$folder/agent.cc" "${flags[@]}" -o "$folder/agent_cc" && "$folder/agent_cc"
fi
cc "$1/lib/client/example_grant.c" "${flags[@]}" -o "$folder/grant"
said=$("$folder/grant" "$folder/none" text dkl_x ask 2>&1) && exit 1
grep -q "key's file cannot be opened" <<< "$said"
cc "$1/lib/client/example_own_key.c" "${flags[@]}" -o "$folder/own"
said=$("$folder/own" "$folder/none" 2>&1) && exit 1
grep -q "key's file cannot be opened" <<< "$said"
