#!/usr/bin/env bash
# The library inside of another project, static, and with its dependencies inside (docs/guide/embed.md).
# Arguments: cmake, the project's folder, a folder for builds, which stays. A neighbor of the build that is tested,
# with its flags, gets the library's objects from a compiler cache. CXX and CMAKE_GENERATOR are the build's.
set -euo pipefail
export LC_ALL=C
cmake=$1 project=$2 folder=$3
unset DESTDIR CMAKE_PREFIX_PATH
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  [[ -f $work/log ]] && tail -n 30 "$work/log" >&2
  exit 1
}

model=$project/models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors
photo=$project/tests/data/photos/chelsea.png
expected=
# says_the_same PROGRAM: it classifies the photo as the first one did, and catches an exception of the library.
says_the_same() {
  local said code=0
  said=$("$1" "$model" "$photo" 2>"$work/log") || fail "$1 does not run"
  [[ -n $said && ${expected:=$said} == "$said" ]] || fail "$1 says '$said', not '$expected'"
  "$1" "$model" /nowhere.png >"$work/log" 2>&1 || code=$?
  [[ $code == 1 ]] && grep -q "nowhere.png" "$work/log" || fail "$1 with a missing image: exit code $code"
}
needed() { readelf -d "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'; }
# A part of another project: no LibTorch, command, or tests; optimized though the project is not.
inside() {
  "$cmake" -S "$project/tests/install/embed" -B "$1" -DFETCHCONTENT_SOURCE_DIR_ASMLP="$project" \
    -DFETCHCONTENT_FULLY_DISCONNECTED=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "${@:2}" >"$work/log" 2>&1 ||
    fail "configuring with ${*:2}"
}
inside "$work/plain" -DCMAKE_BUILD_TYPE=
grep -E "kernels|engine" "$work/plain/compile_commands.json" | grep '"command"' >"$work/commands"
[[ -s $work/commands ]] && ! grep -qv -- " -O3 " "$work/commands" || fail "kernels that are not optimized"
grep -qE "asmlp/(torch|cli)|_test\.cc" "$work/plain/compile_commands.json" && fail "more than the library"
# Compiled with a build type of the project's own, which is left alone: the fastest to compile.
inside "$work/inside" -DCMAKE_BUILD_TYPE=Quick -DCMAKE_CXX_FLAGS_QUICK=-O0 -DASMLP_UNITY=ON -DCMAKE_UNITY_BUILD=ON
"$cmake" --build "$work/inside" --parallel 2 >"$work/log" 2>&1 || fail "building inside of a project"
says_the_same "$work/inside/mine"
[[ $(needed "$work/inside/mine") == *asmlp* ]] || fail "the library inside of a project is not shared"

library() {
  "$cmake" -S "$project" -B "$folder" -DCMAKE_BUILD_TYPE=Release -DASMLP_TORCH=OFF -DASMLP_CLI=OFF -DASMLP_TESTS=OFF \
    -DASMLP_PYTHON=OFF "$@" >"$work/log" 2>&1 || fail "configuring with $*"
  "$cmake" --build "$folder" --parallel 2 >"$work/log" 2>&1 || fail "building with $*"
}

# Installed static, moved, and found: the dependencies come from asmlpConfig.cmake and asmlp.pc.
library -DBUILD_SHARED_LIBS=OFF -DASMLP_BUNDLE_DEPS=OFF
"$cmake" --install "$folder" --prefix "$work/elsewhere" >"$work/log" 2>&1 || fail "installing the static library"
mv "$work/elsewhere" "$work/static"
pc=$(dirname "$(find "$work/static" -name asmlp.pc)")
[[ -s $pc/../libasmlp.a && -z $(find "$work/static" -name '*.so*') ]] || fail "no libasmlp.a, or more"
"$cmake" -S "$project/tests/install/embed_package" -B "$work/package" -DCMAKE_PREFIX_PATH="$work/static" \
  -DCMAKE_CXX_STANDARD=17 >"$work/log" 2>&1 || fail "find_package of the static library"
"$cmake" --build "$work/package" >"$work/log" 2>&1 || fail "linking the static library"
says_the_same "$work/package/mine"
[[ $(needed "$work/package/mine") == *asmlp* ]] && fail "the static library is not inside"
# shellcheck disable=SC2046  # pkg-config prints words
"$CXX" -std=c++17 "$project/tests/install/embed/mine.cc" -o "$work/mine" \
  $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs asmlp) >"$work/log" 2>&1 || fail "pkg-config of the static library"
says_the_same "$work/mine"

# One libasmlp.so that needs nothing but the C and C++ libraries and a copy of libspng beside it.
library -DBUILD_SHARED_LIBS=ON -DASMLP_BUNDLE_DEPS=ON
"$cmake" --install "$folder" --prefix "$work/bundled" >"$work/log" 2>&1 || fail "installing the bundled library"
library=$(find "$work/bundled" -name 'libasmlp.so.*.*.*')
for other in $(needed "$library"); do
  [[ $other =~ ^(libc|libm|libstdc\+\+|libgcc_s|ld-linux.*|libspng)\.so\. ]] || fail "the bundled library needs $other"
done
"$cmake" -S "$project/tests/install/embed_package" -B "$work/package2" -DCMAKE_PREFIX_PATH="$work/bundled" \
  >"$work/log" 2>&1 || fail "find_package of the bundled library"
"$cmake" --build "$work/package2" >"$work/log" 2>&1 || fail "linking the bundled library"
says_the_same "$work/package2/mine"
if [[ $(needed "$library") == *libspng* ]]; then
  grep -qE "libspng.so.0 => $work/bundled/.*/asmlp/libspng.so.0" <<<"$(ldd "$library")" || fail "not the libspng beside it"
fi
# The versions of Ubuntu 22.04.
newest=
for version in GLIBC_2.35 GLIBCXX_3.4.30 CXXABI_1.3.13; do
  needs=$(objdump -T "$library" | grep -oE "\b${version%%_*}_[0-9.]+" | sort -uV | tail -1)
  [[ $(printf '%s\n' "$needs" "$version" | sort -V | tail -1) == "$version" ]] || fail "needs $needs: not on Ubuntu 22.04"
  newest+=" $needs"
done
echo "inside of a project, installed static, installed bundled (needs$newest): '$expected'"
