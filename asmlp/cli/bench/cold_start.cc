#include "asmlp/cli/bench/cold_start.h"

#include <chrono>

#include "asmlp/cli/bench/statistics.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

// CLOCK_MONOTONIC, which counts from the same moment in every process.
int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

ColdStart measure_cold_start(const BenchCase& c, int starts) {
  std::vector<std::string> arguments{
      "bench",       "--first-logits",        "--task=classify", "--json",
      "--model",     c.model->file.string(),  "--img-size",      std::to_string(c.size),
      "--batch",     std::to_string(c.batch), "--threads",       std::to_string(c.run.threads),
      "--precision", c.run.precision};
  if (!c.run.isa.empty()) arguments.insert(arguments.end(), {"--isa", c.run.isa});
  ColdStart cold;
  std::vector<double> memory;
  for (int k = 0; k < starts; ++k) {
    const int64_t begin = now_ns();
    const ChildOutcome child = run_child(this_program(), arguments);
    require(child.code == kExitOk, ErrorCode::kIo,
            "{}: a fresh process ended with code {} before its first logits", describe(c),
            child.code);
    const Json json = Json::parse(child.out);
    cold.seconds.push_back(static_cast<double>(json["logits_at_ns"].get<int64_t>() - begin) * 1e-9);
    memory.push_back(json["peak_memory_bytes"].get<double>());
  }
  cold.peak_memory = static_cast<int64_t>(summarize(memory).median);
  return cold;
}

Json first_logits(const BenchCase& c, const Backend& backend) {
  const auto runner = backend.start(
      c.model->checkpoint, {.height = c.size, .width = c.size, .max_batch = c.batch, .run = c.run});
  const auto channels = static_cast<size_t>(c.model->checkpoint.spec.config.in_chans);
  const auto side = static_cast<size_t>(c.size);
  const std::vector<float> input(static_cast<size_t>(c.batch) * channels * side * side, 0.5f);
  runner->run(input, c.batch);
  return {{"logits_at_ns", now_ns()}, {"peak_memory_bytes", peak_memory()}};
}

}  // namespace asmlp::cli
