// asmlp bench of a detector or segmentor: the tables of its parts.
#include <tuple>

#include "asmlp/cli/bench/dense_bench.h"
#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {

int bench_dense(const BenchRequest& request, Task task, std::span<const DenseBackend> backends) {
  DenseBenchOptions options;
  options.task = task;
  options.models = request.models;
  if (!request.batches.empty()) options.batches = request.batches;
  if (!request.size.empty()) {
    std::tie(options.height, options.width) = parse_pair("--size", request.size, 'x');
    require(options.height >= 1 && options.width >= 1, ErrorCode::kInvalidArgument,
            "--size {}: sides are 1..16384", request.size);
  }
  options.precisions = request.precisions;
  options.isas = request.isas;
  options.repetition = repetition_of(request, options.repetition);
  print_report(measure_dense(options, backends), request, dense_bench_text);
  return kExitOk;
}

}  // namespace asmlp::cli
