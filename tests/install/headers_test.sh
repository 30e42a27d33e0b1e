#!/usr/bin/env bash
# Every installed header compiles by itself: *.h as strict C99 and as C++17, *.hpp as strict C++17.
# Argument: the folder include/. CC and CXX are the build's.
set -euo pipefail
include=$1
count=0

# compiles COMPILER LANGUAGE STANDARD HEADER
compiles() {
  printf '#include <asmlp/%s>\ntypedef int not_empty;\n' "$4" |
    "$1" -x "$2" "-std=$3" -Wall -Wextra -pedantic -Werror -fsyntax-only "-I$include" - || {
    echo "FAILED: $4 as $3" >&2
    exit 1
  }
  count=$((count + 1))
}

for path in "$include"/asmlp/*.h; do compiles "$CC" c c99 "$(basename "$path")"; done
for path in "$include"/asmlp/*; do compiles "$CXX" c++ c++17 "$(basename "$path")"; done
for header in asmlp.h asmlp.hpp dense.hpp enums.hpp error.hpp export.h weights.hpp; do
  [[ -s $include/asmlp/$header ]] || { echo "FAILED: no $header" >&2; exit 1; }
done
[[ $(ls "$include") == asmlp ]] || { echo "FAILED: headers outside of asmlp/" >&2; exit 1; }
echo "$count headers compile by themselves"
