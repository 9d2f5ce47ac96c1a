#!/usr/bin/env bash
# proto <- lib/core <- lib/client <- {node, gateway}; node and gateway never include each other; wire
# types are included by .c files only. Planted includes prove first that the check can fail.
# Usage: check_layers.sh SOURCE-FOLDER
set -euo pipefail

headers_of() { # FOLDER -> alternatives for a regular expression
  find "$1" -name '*.h' -printf '%f\n' | sort -u | paste -sd '|' | sed 's/\./\\./g'
}

includes() { # FOLDER FILE-PATTERN EXPRESSION -> offending lines
  local headers=$3
  [ -n "$headers" ] || return 0
  grep -rnE --include="$2" "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<](\.\./)*${headers}[\">]" "$1" || true
}

offences() { # SOURCE-FOLDER
  cd "$1"
  local node gateway client
  node=$(headers_of node) gateway=$(headers_of gateway) client=$(headers_of lib/client)
  includes gateway '*.[ch]' "((node/)?($node))"
  includes node '*.[ch]' "((gateway/)?($gateway))"
  includes lib '*.[ch]' "(((node|gateway)/)?($node|$gateway))"
  includes lib/core '*.[ch]' "(((lib/)?client/)?($client)|nng/.*|sqlite3\.h|curl/.*|microhttpd\.h|jansson\.h)"
  includes gateway '*.[ch]' '(nng/.*)'
  includes node '*.[ch]' '(microhttpd\.h|curl/.*)'
  includes lib '*.h' '(wire/.*)'
  includes node '*.h' '(wire/.*)'
  includes gateway '*.h' '(wire/.*)'
}

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mkdir -p "$planted"/{node,gateway,lib/core,lib/client}
touch "$planted"/node/store.h "$planted"/gateway/accounts.h "$planted"/lib/client/duck_client.h
echo '#include "../node/store.h"' > "$planted/gateway/a.c"
echo '#include "accounts.h"' > "$planted/node/b.c"
echo '#include "store.h"' > "$planted/lib/core/c.c"
echo '#include <client/duck_client.h>' > "$planted/lib/core/d.h"
echo '#include "wire/peck.pb-c.h"' > "$planted/lib/core/e.h"
echo '#include "wire/peck.pb-c.h"' > "$planted/lib/core/fine.c"
seen=$(offences "$planted")
for file in gateway/a.c node/b.c lib/core/c.c lib/core/d.h lib/core/e.h; do
  grep -q "^$file:" <<< "$seen" || { echo "the check does not see the planted $file"; exit 1; }
done
if grep -q fine <<< "$seen"; then echo "the check refuses what is fine"; exit 1; fi

found=$(offences "$1")
if [ -n "$found" ]; then
  echo "includes against the order of the house (see ARCHITECTURE.md):"
  printf '%s\n' "$found"
  exit 1
fi
echo "node and gateway do not know each other, and the core knows nobody"
