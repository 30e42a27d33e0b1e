#!/bin/bash
# Runs training steps of PyTorch and of asmlp in turn on the same model, images, and weights, checks that
# their losses agree, and writes benchmarks/results/train-<processor>.{md,json}.
#
#   benchmarks/train_peer.sh            AS-MLP-T, batch 8, fp32 and bf16; half an hour on two cores
#   benchmarks/train_peer.sh --quick    one setting, two short rounds, into build/train-quick
#   benchmarks/train_peer.sh --memory 64    the peak memory of training at batch 64 instead
#   benchmarks/train_peer.sh --help     models, sizes, batches, precisions, rounds
#
# PyTorch is installed from PyPI into the virtual environment of peers.sh. Nothing else should run meanwhile.
set -euo pipefail
# What would tie PyTorch to other kernels, threads, or an allocator than its best.
while IFS='=' read -r name _; do
  case $name in
    OPENBLAS_* | MKL_* | OMP_* | GOMP_* | KMP_* | DNNL_* | ONEDNN_* | MALLOC_* | LD_PRELOAD | ASMLP_ISA | \
      TORCH* | GLIBC_TUNABLES)
      unset "$name" ;;
  esac
done < <(env)
export PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-/usr/bin/python3}
[[ -x $python ]] || python=python3
exec "$python" "$(dirname "$0")/train_peer.py" "$@"
