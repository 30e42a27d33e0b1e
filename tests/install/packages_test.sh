#!/usr/bin/env bash
# The Debian packages and the archive that cpack makes: what is in them, what they need, and that the command runs
# from both. Arguments: cpack, the project's folder, its build folder.
set -euo pipefail
export LC_ALL=C
cpack=$1 project=$2 build=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset DESTDIR ASMLP_MODEL_DIR

fail() {
  echo "FAILED: $*" >&2
  [[ -f $work/log ]] && tail -n 30 "$work/log" >&2
  exit 1
}

photo=$project/tests/data/photos/chelsea.png
# runs FOLDER: the command in it finds the model and the library's neighbors there.
runs() {
  (cd / && "$1/bin/asmlp" predict --json "$photo") >"$work/out" 2>"$work/log" || fail "$1/bin/asmlp"
  grep -q "\"file\": *\"$1/share/asmlp/models/" "$work/out" || fail "$1/bin/asmlp: not the model of the package"
}

"$cpack" --config "$build/CPackConfig.cmake" -G TGZ -B "$work" >"$work/log" 2>&1 || fail "cpack -G TGZ"
mkdir "$work/unpacked"
tar -xzf "$work"/asmlp-*.tar.gz -C "$work/unpacked" --strip-components=1
for file in bin/asmlp include/asmlp/asmlp.hpp share/man/man1/asmlp.1 share/doc/asmlp/LICENSE; do
  [[ -s $work/unpacked/$file ]] || fail "the archive has no $file"
done
runs "$work/unpacked"

if ! { command -v dpkg-deb && command -v dpkg-shlibdeps && command -v file; } >/dev/null; then
  echo "the archive is well; skipped: dpkg-dev or file is missing here to make Debian packages"
  exit 77
fi
"$cpack" --config "$build/CPackConfig.cmake" -G DEB -B "$work" >"$work/log" 2>&1 || fail "cpack -G DEB"
field() { dpkg-deb --field "$1" "$2"; }
library=$(echo "$work"/libasmlp0.*_*.deb) dev=$(echo "$work"/libasmlp-dev_*.deb) tools=$(echo "$work"/asmlp_*.deb)
[[ -s $library && -s $dev && -s $tools ]] || fail "not the packages that are wanted: $(ls "$work")"
[[ $(field "$dev" Depends) == *"$(field "$library" Package) (= $(field "$library" Version))"* ]] ||
  fail "libasmlp-dev needs $(field "$dev" Depends)"
for package in "$library" "$tools"; do
  [[ $(field "$package" Depends) == *libc6* ]] || fail "$package needs $(field "$package" Depends)"
  [[ $(field "$package" Depends) == *torch* ]] && fail "$package needs LibTorch"
done
grep -q shlibs <<<"$(dpkg-deb --ctrl-tarfile "$library" | tar -t)" || fail "$library: no shlibs"
grep -qE 'lib/.*libasmlp\.so\.0' <<<"$(dpkg-deb --contents "$library")" || fail "$library: no library"
grep -q 'include/' <<<"$(dpkg-deb --contents "$library")" && fail "$library has headers"
for package in "$library" "$dev" "$tools"; do dpkg-deb --extract "$package" "$work/root"; done
runs "$work/root/usr"
echo "$(basename "$library"), $(basename "$dev"), $(basename "$tools"): $(du -ch "$work"/*.deb | tail -1 | cut -f1)"
