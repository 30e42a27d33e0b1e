#include "asmlp/cli/bench/bench_latency.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>

#include "asmlp/cli/bench/bench_measure.h"
#include "asmlp/cli/bench/statistics.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/engine/engine.h"
#include "asmlp/weights/fill.h"

namespace asmlp::cli {
namespace {

using LatencyClock = std::chrono::steady_clock;

// What one caller measured.
struct Caller {
  std::vector<double> milliseconds;  // of each timed request
  double seconds = 0;                // from the first to the last
};

// Calls body(k) on `count` threads, which begin when all have been started, and joins them.
// Error(kUnsupported) when the system refuses some; then none calls it.
template <typename Body>
void run_callers(int count, const Body& body) {
  enum Word { kWait, kGo, kStop };
  std::atomic<int> word{kWait};
  const auto say = [&](Word said) {
    word = said;
    word.notify_all();
  };
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<size_t>(count));
  try {
    for (int k = 0; k < count; ++k) {
      threads.emplace_back([&word, &body, k] {
        word.wait(kWait);
        if (word == kGo) body(k);
      });
    }
  } catch (const std::system_error& error) {
    say(kStop);
    fail(ErrorCode::kUnsupported, "--callers {}: the system started {} threads: {}", count,
         threads.size(), error.what());
  }
  say(kGo);
}

}  // namespace

std::vector<int> default_callers() {
  std::vector<int> callers{1, 2, available_cores()};
  std::ranges::sort(callers);
  callers.erase(std::ranges::unique(callers).begin(), callers.end());
  return callers;
}

Json measure_latency(const BenchCase& c, const Verification& verification,
                     const BenchOptions& options, int callers) {
  const Config& config = c.model->checkpoint.spec.config;
  const std::vector<float> input =
      to_f32(fill_tensor("input", {1, config.in_chans, c.size, c.size}));
  const auto packed = PackedModel::create(
      c.model->checkpoint.spec, c.model->checkpoint.tensors,
      {.isa = parse_isa(c.run.isa, "--isa"), .precision = parse_precision(c.run.precision)});
  // Made here: an error is this thread's, and callers only run.
  std::vector<Engine> engines;
  for (int k = 0; k < callers; ++k) {
    engines.emplace_back(
        packed,
        EngineOptions{.height = c.size, .width = c.size, .max_batch = 1, .threads = c.run.threads});
  }
  std::vector<Caller> results(static_cast<size_t>(callers));
  for (Caller& result : results) result.milliseconds.reserve(static_cast<size_t>(options.runs));
  std::atomic<int> begun{0}, unfinished{callers};
  run_callers(callers, [&](int k) {
    Engine& engine = engines[static_cast<size_t>(k)];
    Caller& mine = results[static_cast<size_t>(k)];
    for (int i = 0; i < options.warmup; ++i) engine.run(input, 1);
    // The others warm up under load too.
    for (++begun; begun < callers;) engine.run(input, 1);
    const auto first = LatencyClock::now();
    for (int i = 0; i < options.runs; ++i) {
      const auto begin = LatencyClock::now();
      engine.run(input, 1);
      mine.milliseconds.push_back(
          std::chrono::duration<double, std::milli>(LatencyClock::now() - begin).count());
    }
    mine.seconds = std::chrono::duration<double>(LatencyClock::now() - first).count();
    for (--unfinished; unfinished > 0;) engine.run(input, 1);
  });

  std::vector<double> all;
  Json samples = Json::array();
  double rate = 0;
  for (const Caller& caller : results) {
    all.insert(all.end(), caller.milliseconds.begin(), caller.milliseconds.end());
    samples.push_back(caller.milliseconds);
    rate += options.runs / caller.seconds;
  }
  Json row = row_head(c, verification);
  row["backend"] = "native";
  row["isa"] = to_string(packed->isa());
  row["threads"] = engines.front().threads();
  row["callers"] = callers;
  row["warmup"] = options.warmup;
  row["runs"] = options.runs;
  row["latency_ms"] = {{"p50", quantile(all, 0.5)},  {"p90", quantile(all, 0.9)},
                       {"p99", quantile(all, 0.99)}, {"min", quantile(all, 0)},
                       {"max", quantile(all, 1)},    {"samples", samples}};
  row["images_per_second"] = rate;
  return row;
}

}  // namespace asmlp::cli
