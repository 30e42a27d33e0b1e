#!/usr/bin/env bash
# The library inside of another project, static, and with its dependencies inside (docs/guide/embed.md). One build
# folder serves all, so that the library is compiled once; it stays, and the next run compiles what has changed.
# Arguments: cmake, the project's folder, a folder for builds. CXX and CMAKE_GENERATOR are the build's.
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
inside=$folder/embed
configure() {
  "$cmake" -S "$project/tests/install/embed" -B "$inside" -DFETCHCONTENT_SOURCE_DIR_ASMLP="$project" \
    -DFETCHCONTENT_FULLY_DISCONNECTED=ON -DCMAKE_BUILD_TYPE= -DASMLP_UNITY=ON -DASMLP_INSTALL=ON \
    "$@" >"$work/log" 2>&1 || fail "configuring with $*"
  "$cmake" --build "$inside" --parallel 2 >"$work/log" 2>&1 || fail "building with $*"
}

# A part of another project, static: no LibTorch, command, or tests; optimized though the project is not.
configure -DBUILD_SHARED_LIBS=OFF -DASMLP_BUNDLE_DEPS=OFF -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
says_the_same "$inside/mine"
needed "$inside/mine" | grep -q asmlp && fail "the static library is not inside"
[[ -z $(find "$inside" -name 'asmlp*test' -o -type f -name asmlp -perm -1) ]] || fail "more than the library is built"
grep -E "kernels|engine" "$inside/compile_commands.json" | grep '"command"' >"$work/commands"
[[ -s $work/commands ]] && ! grep -qv -- " -O3 " "$work/commands" || fail "kernels that are not optimized"
grep -qi torch "$work/commands" && fail "LibTorch"

# Installed static, moved, and found: the dependencies come from asmlpConfig.cmake and asmlp.pc.
"$cmake" --install "$inside" --prefix "$work/elsewhere" >"$work/log" 2>&1 || fail "installing the static library"
mv "$work/elsewhere" "$work/static"
pc=$(dirname "$(find "$work/static" -name asmlp.pc)")
[[ -s $pc/../libasmlp.a && -z $(find "$work/static" -name '*.so*') ]] || fail "no libasmlp.a, or more"
"$cmake" -S "$project/tests/install/embed_package" -B "$work/package" -DCMAKE_PREFIX_PATH="$work/static" \
  -DCMAKE_CXX_STANDARD=17 >"$work/log" 2>&1 || fail "find_package of the static library"
"$cmake" --build "$work/package" >"$work/log" 2>&1 || fail "linking the static library"
says_the_same "$work/package/mine"
# shellcheck disable=SC2046  # pkg-config prints words
"$CXX" -std=c++17 "$project/tests/install/embed/mine.cc" -o "$work/mine" \
  $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs asmlp) >"$work/log" 2>&1 || fail "pkg-config of the static library"
says_the_same "$work/mine"

# One libasmlp.so that needs nothing but the C library and a copy of libspng beside it.
configure -DBUILD_SHARED_LIBS=ON -DASMLP_BUNDLE_DEPS=ON
says_the_same "$inside/mine"
"$cmake" --install "$inside" --prefix "$work/bundled" >"$work/log" 2>&1 || fail "installing the bundled library"
library=$(find "$work/bundled" -name 'libasmlp.so.*.*.*')
for other in $(needed "$library"); do
  [[ $other =~ ^(libc|libm|libdl|libpthread|ld-linux.*|libspng)\.so\. ]] || fail "the bundled library needs $other"
done
"$cmake" -S "$project/tests/install/embed_package" -B "$work/package2" -DCMAKE_PREFIX_PATH="$work/bundled" \
  >"$work/log" 2>&1 || fail "find_package of the bundled library"
"$cmake" --build "$work/package2" >"$work/log" 2>&1 || fail "linking the bundled library"
says_the_same "$work/package2/mine"  # whose C++ library is another than the one inside
if needed "$library" | grep -q libspng; then
  ldd "$library" | grep -qE "libspng.so.0 => $work/bundled/.*/asmlp/libspng.so.0" || fail "not the libspng beside it"
fi
newest=$(objdump -T "$library" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
[[ $(printf '%s\n' "$newest" GLIBC_2.35 | sort -V | tail -1) == GLIBC_2.35 ]] || fail "needs $newest: not on Ubuntu 22.04"
objdump -T "$library" | grep -q GLIBCXX && fail "the C++ library is not inside"
echo "inside of a project, static and shared, installed static, installed bundled (needs $newest): '$expected'"
