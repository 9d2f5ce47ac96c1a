#!/usr/bin/env bash
# proto <- lib/core <- lib/client <- {node, gateway}; node and gateway never include each other; wire types stay
# inside .c files. Usage: check_includes.sh SOURCE_FOLDER
set -euo pipefail
cd "$1"
bad=0
complain() { echo "$1"; bad=1; }
# A header of one side, named by a file of the other.
sides() { # FOLDER OTHER
  local header
  for header in "$2"/*.h; do
    header=$(basename "$header")
    [ -e "$1/$header" ] && continue
    [ -e "lib/core/$header" ] && continue
    ! grep -ln "#include \"$header\"" "$1"/*.[ch] || complain "$1 includes $header of $2"
  done
}
sides node gateway
sides gateway node
! grep -n '#include "client/' lib/core/*.[ch] || complain "lib/core includes lib/client"
! grep -n 'wire/' lib/core/*.h lib/client/duck_client.h node/store.h node/transport.h || complain "wire types leave .c files"
! grep -nE '#include <(nng|sqlite3|microhttpd|jansson|curl|time|sys/)' lib/core/*.[ch] || complain "lib/core includes what can wait"
exit $bad
