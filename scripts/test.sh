#!/bin/bash
# Installs what is missing, builds everything and runs the whole test suite. The last lines printed
# are ctest's summary.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<USAGE
usage: scripts/test.sh [--torch-free | --preset PRESET] [CTEST_ARGUMENT...]

  --torch-free     without LibTorch (the same as --preset torch-free)
  --preset PRESET  release (default), dev, torch-free, asan or tsan
  CTEST_ARGUMENT   handed on, e.g. -R '^engine\.' for the tests of one layer
USAGE
}

preset=release
while (($# > 0)); do
  case "$1" in
    --torch-free) preset=torch-free ;;
    --preset)
      (($# > 1)) || { usage >&2; exit 1; }
      preset=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) break ;;
  esac
  shift
done

case "$preset" in
  release) folder=build deps=() ;;
  dev) folder=build-dev deps=() ;;
  *) folder=build-$preset deps=(--torch-free) ;;
esac
scripts/install_deps.sh "${deps[@]}"
scripts/build.sh "$preset"
exec ctest --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@"
