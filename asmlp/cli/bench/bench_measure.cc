#include "asmlp/cli/bench/bench_measure.h"

#include <algorithm>
#include <chrono>

#include "asmlp/cli/bench/bench_precision.h"
#include "asmlp/cli/bench/cold_start.h"
#include "asmlp/cli/bench/peaks.h"
#include "asmlp/cli/bench/statistics.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"

namespace asmlp::cli {
namespace {

// More profiled runs only cost time: the steps are shares of a whole.
constexpr int kMaxProfiledRuns = 10;

std::unique_ptr<Runner> start(const Backend& backend, const BenchCase& c, bool profile) {
  return backend.start(
      c.model->checkpoint,
      {.height = c.size, .width = c.size, .max_batch = c.batch, .profile = profile, .run = c.run});
}

// Milliseconds of every run.
std::vector<double> time_runs(Runner& runner, std::span<const float> input, const BenchCase& c,
                              const BenchOptions& options, Peaks& peaks) {
  using Clock = std::chrono::steady_clock;
  for (int k = 0; k < options.warmup; ++k) runner.run(input, c.batch);
  const int piece = std::max(1, (options.runs + kPeakPieces - 2) / (kPeakPieces - 1));
  std::vector<double> milliseconds;
  for (int k = 0; k < options.runs; ++k) {
    if (k % piece == 0) {
      peaks.sample();
      runner.run(input, c.batch);  // the caches and the pool as they were
    }
    const auto begin = Clock::now();
    runner.run(input, c.batch);
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  peaks.sample();
  return milliseconds;
}

// The steps of one run, averaged over runs of their own; empty where the backend cannot tell.
Json steps_of(const BenchCase& c, std::span<const float> input, const BenchOptions& options,
              const Backend& backend, double peak_gflops) {
  Json steps = Json::array();
  const auto runner = start(backend, c, true);
  runner->run(input, c.batch);
  runner->reset_profile();
  if (runner->profile().empty()) return steps;
  const int runs = std::min(options.runs, kMaxProfiledRuns);
  for (int k = 0; k < runs; ++k) runner->run(input, c.batch);
  double total = 0;
  for (const ProfileEntry& entry : runner->profile()) total += entry.seconds;
  for (const ProfileEntry& entry : runner->profile()) {
    const double gflops =
        entry.seconds > 0 ? 2e-9 * static_cast<double>(entry.multiply_adds) / entry.seconds : 0;
    steps.push_back({{"name", entry.name},
                     {"stage", entry.stage},
                     {"ms", entry.seconds * 1e3 / runs},
                     {"share", total > 0 ? entry.seconds / total : 0},
                     {"gflops", gflops},
                     {"ratio", gflops / peak_gflops}});
  }
  return steps;
}

// Bytes of the parameters as the case computes with them: matrices in its precision, of int8 those
// that are quantized; the rest fp32.
int64_t weight_bytes(const Checkpoint& checkpoint, const std::string& precision) {
  const int of_matrices = bytes_per_weight(parse_precision(precision));
  const bool all = precision != to_string(Precision::kInt8);
  int64_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const bool matrix = tensor.shape.size() > 1 && (all || tensor.dtype == DType::kI8);
    bytes += element_count(tensor.shape) * (matrix ? of_matrices : 4);
  }
  return bytes;
}

Json with_samples(const std::vector<double>& samples) {
  const Statistics statistics = summarize(samples);
  return {{"median", statistics.median},
          {"min", statistics.min},
          {"p10", statistics.p10},
          {"p90", statistics.p90},
          {"samples", samples}};
}

}  // namespace

Json row_head(const BenchCase& c, const Verification& verification) {
  const Config& config = c.model->checkpoint.spec.config;
  return {{"model", c.model->name},
          {"weights", c.model->filled ? "deterministic" : c.model->file.string()},
          {"precision", c.run.precision},
          {"img_size", c.size},
          {"batch", c.batch},
          {"parameters", parameter_count(config)},
          {"multiply_adds", multiply_adds(config, c.size, c.size)},
          {"verified",
           {{"img_size", verification.size},
            {"images", verification.images},
            {"relative_error", verification.error},
            {"tolerance", verification.tolerance}}}};
}

Json measure_case(const BenchCase& c, const Verification& verification, const BenchOptions& options,
                  const Backend& backend) {
  const Config& config = c.model->checkpoint.spec.config;
  const std::vector<float> input =
      to_f32(fill_tensor("input", {c.batch, config.in_chans, c.size, c.size}));
  const int64_t macs = multiply_adds(config, c.size, c.size);
  Json row = row_head(c, verification);
  row["backend"] = backend.name;
  auto runner = start(backend, c, false);
  row["isa"] = runner->isa();
  row["threads"] = runner->threads();
  // LibTorch's kernels are compared with the best instruction set here.
  Peaks peaks(runner->isa() == "libtorch" ? default_isa() : parse_isa(c.run.isa, "--isa"),
              parse_precision(c.run.precision), runner->threads());
  const std::vector<double> milliseconds = time_runs(*runner, input, c, options, peaks);
  runner.reset();
  const double median = summarize(milliseconds).median;
  const double gflops = 2e-6 * static_cast<double>(macs) * c.batch / median;
  row["warmup"] = options.warmup;
  row["runs"] = options.runs;
  row["latency_ms"] = with_samples(milliseconds);
  row["ms_per_image"] = median / c.batch;
  row["images_per_second"] = c.batch * 1e3 / median;
  row["gflops"] = gflops;
  row["peak"] = peaks.json(gflops);
  row["steps"] = steps_of(c, input, options, backend, peaks.own());
  row["weight_bytes"] = weight_bytes(c.model->checkpoint, c.run.precision);
  if (options.starts > 0) {
    const ColdStart cold = measure_cold_start(c, options.starts);
    std::vector<double> cold_ms;
    for (double seconds : cold.seconds) cold_ms.push_back(seconds * 1e3);
    row["peak_memory_bytes"] = cold.peak_memory;
    row["cold_start_ms"] = with_samples(cold_ms);
  }
  return row;
}

}  // namespace asmlp::cli
