#!/usr/bin/env bash
# The main job on real input, told as a story: three nodes with gateways on loopback, two ducklings, one question.
# Usage: demo.sh BIN [--keep]
set -euo pipefail

bin=$1
keep=${2:-}
pond=$(mktemp -d "${TMPDIR:-/tmp}/duckpond-XXXXXX")
nodes=()
began=$(date +%s%N)

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }

end_all() {
  local status=$?
  for pid in "${nodes[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${nodes[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ "$status" -ne 0 ]; then
    for log in "$pond"/*.log; do printf -- '---- %s\n' "$log"; tail -n 20 "$log"; done >&2
  fi
  rm -rf "$pond"
  exit "$status"
}
trap end_all EXIT
trap 'exit 130' INT TERM

# Waits until a command succeeds; what it prints is the answer.
until_so() {
  local what=$1 end=$((SECONDS + 20)) answer
  shift
  until answer=$("$@" 2>/dev/null) && [ -n "$answer" ]; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited in vain for $what" >&2; return 1; }
    read -r -t 0.05 <> <(:) || true
  done
  printf '%s\n' "$answer"
}

# curl that shows itself, and prints its answer both to the reader and to whoever asks.
call() { # METHOD URL [KEY] [JSON]
  local method=$1 url=$2 key=${3:-} json=${4:-} shown="curl -X $1 $2"
  local arguments=(-sS -X "$method" "$url" -H 'Content-Type: application/json')
  [ -n "$key" ] && { arguments+=(-H "Authorization: Bearer $key"); shown+=" -H 'Authorization: Bearer ${key:0:10}…'"; }
  [ -n "$json" ] && { arguments+=(-d "$json"); shown+=" -d '$json'"; }
  show "$shown" >&2
  curl --fail-with-body "${arguments[@]}" | tee "$pond/answer" | jq -c 'if type == "object" then
    del(.receipts, .certificate, .chain) | with_entries(if .key == "beak_key" then .value |= .[0:10] + "…" else . end)
    else . end' | sed -E 's/^(.{400}).+/\1…/; s/^/  /' >&2
  cat "$pond/answer"
}

node_start() { # NAME [JOIN]
  local name=$1 join=${2:-}
  cat > "$pond/$name.ini" <<INI
[node]
name = $name
network = demo
state_dir = $pond/$name
listen = 127.0.0.1:0
${join:+join = $join}
[gateway]
listen = 127.0.0.1:0
limits = all=600
INI
  "$bin/ducknode" init --config "$pond/$name.ini" > "$pond/$name.init"
  "$bin/ducknode" run --config "$pond/$name.ini" 2> "$pond/$name.log" &
  nodes+=($!)
  until_so "$name" grep -o 'ready: listening on [^;]*' "$pond/$name.log" > "$pond/$name.ready"
  until_so "$name's gateway" cat "$pond/$name/gateway/url" | tr -d '\n' > "$pond/$name.url"
  until_so "$name's gateway" curl -fsS "$(cat "$pond/$name.url")/readyz" > /dev/null
  printf '  %-6s %s  %s  %s\n' "$name" "$(jq -r .node_id <("$bin/ducknode" id --json --config "$pond/$name.ini"))" \
    "$(cut -d' ' -f4 "$pond/$name.ready")" "$(cat "$pond/$name.url")"
}

url() { cat "$pond/$1.url"; }
code_for() { # NODE EMAIL
  grep -l "$2" "$pond/$1"/gateway/mail/* | tail -n 1 | xargs sed -n 's/^.*Your code: \([0-9]*\).*$/\1/p'
}
hatch() { # NODE EMAIL NAME -> answer of verify
  call POST "$(url "$1")/beak/hatch" '' \
    "{\"email\": \"$2\", \"password\": \"securepassword123\", \"display_name\": \"$3\"}" > /dev/null
  local code
  code=$(until_so "the letter to $2" code_for "$1" "$2")
  printf '  the letter in %s says: Your code: %s\n' "$1/gateway/mail/" "$code" >&2
  call POST "$(url "$1")/beak/verify" '' "{\"email\": \"$2\", \"code\": \"$code\"}"
}
found() { curl -fsS "$(url "$1")/beak/directory?capability=$2" | jq -e -r '.ducklings[0].duckling_id // empty'; }
status_is() { # NODE KEY PECK STATUS
  curl -fsS -H "Authorization: Bearer $2" "$(url "$1")/beak/pecks/$3" | jq -e -r "select(.status == \"$4\") | .status"
}

say "Three nodes start, each with its own key and gateway; bob and carol know only alice's address."
node_start alice
join=$(sed 's/.* on //' "$pond/alice.ready")
node_start bob "$join"
node_start carol "$join"

say "On alice, somebody hatches a duckling that asks."
asker=$(hatch alice ann@example.com "Ann's Agent")
asker_id=$(jq -r .duckling_id <<< "$asker") asker_key=$(jq -r .beak_key <<< "$asker")

say "On bob, somebody hatches one that knows the weather, and says so in the directory."
oracle=$(hatch bob ben@example.com "Weather Duck")
oracle_id=$(jq -r .duckling_id <<< "$oracle") oracle_key=$(jq -r .beak_key <<< "$oracle")
call POST "$(url bob)/beak/profile" "$oracle_key" \
  '{"capabilities": ["weather.forecast"], "bio": "Knows the sky over any city."}' > /dev/null

say "On carol, a third node, anybody can look for the capability. The record came by gossip, signed by its owner."
until_so "the record on carol" found carol weather.forecast > /dev/null
call GET "$(url carol)/beak/directory?capability=weather.forecast" > /dev/null
[ "$(found carol weather.forecast)" = "$oracle_id" ]
until_so "the record on alice" found alice weather.forecast > /dev/null

say "Ann's agent asks the Weather Duck for a bond; without one, every action would wait for its owner."
bond=$(call POST "$(url alice)/beak/peck" "$asker_key" \
  "{\"target_duckling_id\": \"$oracle_id\", \"peck_type\": \"query\", \"message\": \"May I ask you about the weather?\"}" |
  jq -r .peck_id)
until_so "the request on bob" status_is bob "$oracle_key" "$bond" pending > /dev/null

say "Its owner approves."
call POST "$(url bob)/beak/approve" "$oracle_key" "{\"peck_id\": \"$bond\"}" > /dev/null
until_so "the approval on alice" status_is alice "$asker_key" "$bond" approved > /dev/null

say "Now the question goes from alice straight to bob."
question=$(call POST "$(url alice)/beak/peck" "$asker_key" \
  "{\"target\": \"$oracle_id\", \"action\": \"query\", \"payload\": {\"city\": \"Lisbon\"}}" | jq -r .peck_id)

say "The Weather Duck takes it from its inbox, and answers."
call GET "$(url bob)/beak/inbox?wait=10" "$oracle_key" | jq -e --arg id "$question" '.pecks[0].peck_id == $id' > /dev/null
call POST "$(url bob)/beak/answer" "$oracle_key" \
  "{\"peck_id\": \"$question\", \"result\": {\"sky\": \"clear\", \"celsius\": 21}}" > /dev/null

say "The answer is at alice, with two receipts: bob's node says it took the peck, the duckling says what came of it."
until_so "the answer on alice" status_is alice "$asker_key" "$question" answered > /dev/null
call GET "$(url alice)/beak/pecks/$question" "$asker_key" > "$pond/peck.json"
jq -e '.result == {"sky": "clear", "celsius": 21}' "$pond/peck.json" > /dev/null

say "Anybody can verify them, without a node and without a key."
for i in 0 1; do
  jq ".receipts[$i]" "$pond/peck.json" > "$pond/receipt-$i.json"
  show "ducknode receipt verify receipt-$i.json"
  "$bin/ducknode" receipt verify "$pond/receipt-$i.json" | sed 's/^/  /'
done
jq '.receipts[1] | .envelope |= (.[0:120] + (if .[120:121] == "A" then "B" else "A" end) + .[121:])' \
  "$pond/peck.json" > "$pond/forged.json"
show "ducknode receipt verify forged.json   # one character changed"
if "$bin/ducknode" receipt verify "$pond/forged.json" > "$pond/verdict" 2>&1; then
  echo "a forged receipt was believed" >&2
  exit 1
fi
sed 's/^/  /' "$pond/verdict"

say "The counters of all nodes, read at carol."
counted() { curl -fsS "$(url carol)/beak/metrics" | jq -e 'select(.ducklings == 2 and .connections == 1 and .pecks >= 2)'; }
until_so "the counters on carol" counted > /dev/null
call GET "$(url carol)/beak/metrics" > /dev/null

say "Done in $((($(date +%s%N) - began) / 1000000)) ms: $asker_id asked, $oracle_id answered, and both can prove it."
if [ "$keep" = --keep ]; then
  trap 'exit 0' INT TERM # the way it ends, and no failure
  printf '\nThe nodes stay up until you press Ctrl-C:\n'
  for name in alice bob carol; do printf '  %-6s %s/beak/   (ducknode … --config %s)\n' "$name" "$(url "$name")" "$pond/$name.ini"; done
  wait "${nodes[@]}"
fi
