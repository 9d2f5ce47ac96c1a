#!/bin/sh
# Two linters look over gateway/openapi.yaml: lint.sh OPENAPI.YAML FOLDER. Their packages come by the
# lockfile into FOLDER, once. 77: npm cannot be reached, so nothing was looked at.
set -eu
reference=$1 folder=$2 here=$(dirname "$(readlink -f "$0")")

fetch() {
  cmp -s "$here/package-lock.json" "$folder/fetched" && return
  mkdir -p "$folder"
  cp "$here/package.json" "$here/package-lock.json" "$folder"
  if ! npm ci --prefix "$folder" --ignore-scripts --prefer-offline --no-audit --no-fund > "$folder/npm.log" 2>&1; then
    cat "$folder/npm.log"
    grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH' "$folder/npm.log" || exit 1
    echo 'SKIPPED: npm cannot be reached, so the reference was not linted'
    exit 77
  fi
  cp "$here/package-lock.json" "$folder/fetched"
}

spectral() {
  node "$folder/node_modules/@stoplight/spectral-cli/dist/index.js" lint --fail-severity hint \
    --ruleset "$here/spectral.yaml" "$1"
}

redocly() {
  node "$folder/node_modules/@redocly/cli/bin/cli.js" lint --config "$here/redocly.yaml" "$1"
}

finds() { # LINTER SED-COMMAND: what is planted is found
  sed "$2" "$reference" > "$folder/openapi.yaml"
  ! cmp -s "$reference" "$folder/openapi.yaml" || { echo "nothing was planted by $2"; exit 1; }
  if "$1" "$folder/openapi.yaml" > "$folder/said" 2>&1; then
    cat "$folder/said"
    echo "$1 does not find what $2 planted"
    exit 1
  fi
}

fetch
spectral "$reference"
redocly "$reference"
finds spectral '0,/^      description: .*/s///'
finds spectral 's#^  /healthz:#  /healthz/:#'
finds redocly '0,/^      summary: .*/s///'
