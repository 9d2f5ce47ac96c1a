#!/usr/bin/env bash
# lib/core has no clock, no socket, no file, no chance, no thread: whatever its objects need from
# outside must be on this list. A planted object proves first that the check can fail.
# Usage: check_core.sh LIBRARY PLANTED-OBJECT
set -euo pipefail

# Memory, text, the compiler's own, and the wire types.
pure='_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__assert_fail|abort'
pure+='|malloc|calloc|realloc|free|mem[a-z]+|str(n?len|chr|rchr|n?cmp|spn|cspn|str)|v?sn?printf'
pure+='|__(mem[a-z]+|v?sn?printf|str[a-z]+)_chk|qsort|bsearch'
pure+='|duck__[a-z0-9_]+|protobuf_c_[a-z0-9_]+'
# Of libsodium what gives the same for the same. Keys and nonces come from the dice.
pure+='|sodium_(init|free|malloc|allocarray|memzero|memcmp|is_zero|bin2hex|hex2bin|bin2base64|base642bin|base64_encoded_len|mprotect_[a-z]+)'
pure+='|crypto_(aead|auth|generichash|hash|kdf|onetimeauth|scalarmult|stream|core_ed25519|sign|shorthash)_?[a-z0-9_]*'
chance='.*(random|_keygen)|.*[^d]_keypair|crypto_core_ed25519_scalar_random'
# memory_take's last words, when the machine has no memory left.
last_words='(f(write|puts|printf)|__fprintf_chk|stderr)'

# LIBRARY-OR-OBJECT -> lines "object symbol" of what may not be there
strangers() {
  local -A defined=() # looked up thousands of times: not by a process each
  local object symbol
  while read -r symbol; do
    defined[$symbol]=1
  done < <(nm --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u)
  nm -A -u "$1" | sed -nE 's/^(.*[:\/])?([^:\/]+\.o): +[UwvWV] ([^@]+).*$/\2 \3/p' | sort -u |
    while read -r object symbol; do
      [ -n "${defined[$symbol]+known}" ] && continue
      [ "$object" = bytes.c.o ] && [[ $symbol =~ ^$last_words$ ]] && continue
      [[ $symbol =~ ^($pure)$ ]] && ! [[ $symbol =~ ^($chance)$ ]] && continue
      printf '%s %s\n' "$object" "$symbol"
    done
}

planted=$(strangers "$2")
for symbol in time socket open randombytes_random crypto_sign_keypair pthread_self puts usleep; do
  grep -q " $symbol\(64\)\?$" <<< "$planted" || { echo "the check does not see a planted $symbol"; exit 1; }
done
objects=$(nm -A -u "$1" | sed -nE 's/^(.*[:\/])?([^:\/]+\.o):.*/\2/p' | sort -u | wc -l)
[ "$objects" -ge 10 ] || { echo "only $objects objects in $1: is it lib/core?"; exit 1; }

found=$(strangers "$1")
if [ -n "$found" ]; then
  echo "lib/core reaches outside (time and chance come in with every call; see ARCHITECTURE.md):"
  printf '%s\n' "$found"
  exit 1
fi
echo "$objects objects of lib/core, and none reaches outside"
