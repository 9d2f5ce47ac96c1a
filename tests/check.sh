#!/usr/bin/env bash
# What a reader should not have to look for: format, findings of static analysis, and all tests under the
# sanitizers. Run by ./duck check.
set -euo pipefail
mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t units < <(git ls-files 'lib/*.c' 'node/*.c' 'gateway/*.c')

echo "format"
clang-format-14 --dry-run --Werror "${sources[@]}"
shellcheck -S warning duck .ci/run tests/*.sh

cmake --preset release -DDUCK_TESTS=ON > /dev/null
cmake --build --preset release -- --quiet
echo "clang-tidy"
printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/release --quiet --warnings-as-errors='*'
echo "cppcheck"
cppcheck --project=build/release/compile_commands.json --enable=warning,performance,portability --inline-suppr \
  --suppress='*:*build/*' --suppress=missingIncludeSystem --error-exitcode=1 --quiet -j "$(nproc)"

for preset in asan-ubsan tsan; do
  echo "tests under $preset"
  cmake --preset "$preset" -DDUCK_TESTS=ON > /dev/null
  cmake --build --preset "$preset" -- --quiet
done
ctest --preset tsan -L threads
ctest --preset asan-ubsan
