#!/bin/bash
# Runs OpenVINO, ONNX Runtime, PyTorch, and asmlp in turn on the same model and inputs, checks that
# their results agree, and writes benchmarks/results/peers-<processor>.{md,json}.
#
#   benchmarks/peers.sh            all of it, with build/bin/asmlp; about an hour on two cores
#   benchmarks/peers.sh --quick    one short round of each, into build/peers-quick
#   benchmarks/peers.sh --detector the backbone, feature pyramid, and RPN of a detector as one graph
#   benchmarks/peers.sh --help     models, batches, precisions, peers, rounds; also behind --detector
#
# The peers are installed from PyPI into a virtual environment outside of the sources
# ($XDG_CACHE_HOME/asmlp-peers, default ~/.cache/asmlp-peers), with $PYTHON or /usr/bin/python3. Nothing else
# should run meanwhile.
set -euo pipefail
# What would tie a peer's libraries to other kernels, threads, or an allocator than its best.
while IFS='=' read -r name _; do
  case $name in
    OPENBLAS_* | NVPL_* | MKL_* | OMP_* | GOMP_* | KMP_* | DNNL_* | ONEDNN_* | MALLOC_* | LD_PRELOAD | ASMLP_ISA)
      unset "$name" ;;
  esac
done < <(env)
export PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-/usr/bin/python3}
[[ -x $python ]] || python=python3
program=peers
[[ ${1-} != --detector ]] || program=detector_peers
exec "$python" "$(dirname "$0")/peers/$program.py" "$@"
