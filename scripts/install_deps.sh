#!/bin/bash
# Installs the Debian packages that asmlp needs; does nothing, in well under a second, when they are
# there already.
set -euo pipefail

base_packages=(
  build-essential cmake ninja-build pkg-config ccache git file python3-minimal libpython3-stdlib
  libfmt-dev nlohmann-json3-dev libyaml-dev zlib1g-dev
  libjpeg62-turbo-dev libspng-dev libdeflate-dev libwebp-dev libtiff-dev libarchive-dev
  libcli11-dev libcairo2-dev fonts-dejavu-core libcpp-httplib-dev libonnx-dev libprotobuf-dev
  libgtest-dev libgmock-dev
  pybind11-dev python3-dev python3-numpy python3-pytest python3-pil
  dataset-fashion-mnist
)
# To build for 64-bit ARM on another machine: the tools, and what lies in build-aarch64-sysroot/.
cross_packages=(g++-aarch64-linux-gnu qemu-user-static)
arm64_packages=(
  libfmt-dev nlohmann-json3-dev libyaml-dev zlib1g-dev
  libjpeg62-turbo-dev libspng-dev libdeflate-dev libwebp-dev libtiff-dev libarchive-dev
  libcli11-dev libcairo2-dev libcpp-httplib-dev libonnx-dev libprotobuf-dev libgtest-dev libgmock-dev
)
torch_packages=(libtorch-dev libgloo-dev libopenblas-dev libopencv-imgproc-dev nettle-dev iproute2)

usage() {
  cat <<USAGE
usage: scripts/install_deps.sh [--torch-free | --aarch64] [--print]

Installs what is missing of the Debian 12 packages that asmlp is built from, as root or with sudo.

  --torch-free  leave out LibTorch and OpenBLAS (no training; the command needs neither)
  --aarch64     also what \`cmake --preset aarch64\` needs, without LibTorch: the cross compiler,
                qemu, and arm64 packages, unpacked (not installed) in build-aarch64-sysroot/
  --print       print the package names and install nothing
USAGE
}

say() { printf 'install_deps: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

torch=yes cross=no print_only=no
for argument in "$@"; do
  case "$argument" in
    --torch-free) torch=no ;;
    --aarch64) torch=no cross=yes ;;
    --print) print_only=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$argument'" ;;
  esac
done
packages=("${base_packages[@]}")
[[ $torch == no ]] || packages+=("${torch_packages[@]}")
[[ $cross == no ]] || packages+=("${cross_packages[@]}")
if [[ $print_only == yes ]]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "this is no Debian or Ubuntu system, so nothing was installed. Install the counterparts of"
  say "these Debian 12 packages by hand, then run scripts/build.sh:"
  printf '  %s\n' "${packages[@]}" >&2
  exit 1
fi

missing=()
find_missing() {
  local installed
  # dpkg-query fails when it does not know a package at all; the names it prints are what counts.
  installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ') " || true
  missing=()
  local package
  for package in "${packages[@]}"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
  done
}

as_root=()
need_root() {
  [[ $(id -u) -ne 0 ]] || return 0
  command -v sudo >/dev/null ||
    die "$1; run 'scripts/install_deps.sh' as root, or install sudo"
  as_root=(sudo)
}

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

find_missing
if ((${#missing[@]} > 0)); then
  need_root "missing packages: ${missing[*]}"
  say "installing ${missing[*]}"
  # Without a network the lists at hand may still do, so only the installation must succeed.
  apt -q update || apt -q update || say "apt-get update failed; trying with the package lists at hand"
  apt -q install --no-install-recommends "${missing[@]}" ||
    { apt -q update && apt -q install --no-install-recommends "${missing[@]}"; } ||
    die "apt-get could not install: ${missing[*]} (its message is above)"
  find_missing
  ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
fi

# Debian's LibTorch calls whatever libblas.so.3 is. OpenBLAS wins by priority unless somebody chose
# the reference BLAS by hand, which is many times slower.
if [[ $torch == yes ]]; then
  for blas in /usr/lib/*/libblas.so.3; do
    [[ $(readlink -f "$blas") == */blas/libblas.so.3* ]] || continue
    triple=$(basename "$(dirname "$blas")")
    need_root "the reference BLAS is selected"
    say "selecting OpenBLAS instead of the reference BLAS"
    for library in libblas.so.3 liblapack.so.3; do
      "${as_root[@]}" update-alternatives --auto "$library-$triple"
    done
  done
fi

# The arm64 libraries and headers. Debian's own way, packages of both architectures side by side, would
# upgrade libraries of the system to the versions of their arm64 counterparts. So apt resolves and
# downloads the packages with a state of its own, and they are unpacked into a folder; the system's
# packages stay as they are.
unpack_aarch64() {
  local folder=build-aarch64-sysroot wanted="${arm64_packages[*]}"
  [[ ! -f $folder/packages || $(<"$folder/packages") != "$wanted" ]] || return 0
  say "downloading arm64 packages into $folder"
  rm -rf "$folder"
  mkdir -p "$folder"/apt/lists/partial "$folder"/apt/archives/partial
  local state=$PWD/$folder/apt
  : >"$state/status"
  local options=(
    -q -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=0
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives" -o APT::Sandbox::User=
    -o Acquire::Languages=none -o Acquire::Retries=3
  )
  apt-get "${options[@]}" update >"$state/log" 2>&1 &&
    apt-get "${options[@]}" --download-only install "${arm64_packages[@]}" >>"$state/log" 2>&1 ||
    { tail -n 20 "$state/log" >&2; die "the arm64 packages could not be downloaded"; }
  local file link
  for file in "$state"/archives/*.deb; do dpkg-deb --extract "$file" "$folder"; done
  # Links to absolute names, as libz.so, would lead out of the folder.
  while IFS= read -r link; do
    ln -sfnr "$folder$(readlink "$link")" "$link"
  done < <(find "$folder/usr/lib" "$folder/lib" -type l -lname '/*')
  rm -rf "$state"
  printf '%s\n' "$wanted" >"$folder/packages"
}
cd "$(dirname "$0")/.."
[[ $cross == no ]] || unpack_aarch64
