#!/bin/bash
# Formats every C++ file with .clang-format; --check only reports, with exit code 1, what differs.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=-i
case "${1:-}" in
  "") ;;
  --check) mode="--dry-run --Werror" ;;
  *) echo "usage: scripts/format.sh [--check]" >&2; exit 1 ;;
esac
formatter=$(command -v clang-format || command -v clang-format-14) ||
  { echo "format.sh: clang-format is missing; apt-get install clang-format" >&2; exit 1; }
# shellcheck disable=SC2086  # the mode is one or two words
find asmlp include examples tests benchmarks -name '*.h' -o -name '*.hpp' -o -name '*.cc' -o -name '*.inc' |
  sort | xargs "$formatter" $mode
