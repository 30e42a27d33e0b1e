#!/bin/bash
# Installs the Debian packages that asmlp needs; does nothing, in well under a second, when they are
# there already.
set -euo pipefail

base_packages=(
  build-essential cmake ninja-build pkg-config ccache git python3-minimal libpython3-stdlib
  libfmt-dev nlohmann-json3-dev libyaml-cpp-dev zlib1g-dev
  libjpeg62-turbo-dev libspng-dev libwebp-dev libtiff-dev libarchive-dev
  libcli11-dev libcairo2-dev fonts-dejavu-core
  libgtest-dev libgmock-dev
  dataset-fashion-mnist
)
torch_packages=(libtorch-dev libgloo-dev libopenblas-dev libopencv-imgproc-dev nettle-dev iproute2)

usage() {
  cat <<USAGE
usage: scripts/install_deps.sh [--torch-free] [--print]

Installs what is missing of the Debian 12 packages that asmlp is built from, as root or with sudo.

  --torch-free  leave out LibTorch and OpenBLAS (no training; the command needs neither)
  --print       print the package names and install nothing
USAGE
}

say() { printf 'install_deps: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

torch=yes print_only=no
for argument in "$@"; do
  case "$argument" in
    --torch-free) torch=no ;;
    --print) print_only=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option '$argument'" ;;
  esac
done
packages=("${base_packages[@]}")
[[ $torch == no ]] || packages+=("${torch_packages[@]}")
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
