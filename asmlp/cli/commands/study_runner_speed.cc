// The speed of a study's models on the native engine.
#include <fmt/format.h>

#include "asmlp/cli/commands/study_runner.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/core/stop_signals.h"
#include "asmlp/study/family.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

// One thread: no share of the machine that depends on its cores.
constexpr int kSpeedThreads = 1, kSpeedBatch = 32;

// What of `asmlp bench --json` the results of a study hold; nothing when it did not measure.
std::optional<Json> speed_from(const Json& bench) {
  if (!bench.contains("rows") || bench["rows"].size() != 2) return std::nullopt;
  const Json& one = bench["rows"][0];
  const Json& many = bench["rows"][1];
  return Json{{"ms", one["latency_ms"]["median"]},
              {"images_per_second", many["images_per_second"]},
              {"batch", kSpeedBatch},
              {"threads", one["threads"]},
              {"precision", one["precision"]},
              {"isa", one["isa"]}};
}

}  // namespace

StudyJob StudyRunner::speed_job(size_t config, const fs::path& weights) {
  StudyJob job;
  job.arguments = {"bench",         "--task=classify",
                   "--json",        "--quiet",
                   "--model",       weights.string(),
                   "--batch",       fmt::format("1,{}", kSpeedBatch),
                   "--threads",     std::to_string(kSpeedThreads),
                   "--runs",        "20",
                   "--cold-starts", "0"};
  job.out = weights.parent_path() / "speed.json";
  job.log = weights.parent_path() / "speed.log";
  job.finished = [this, config, out = job.out, log = job.log](const StudyChild& child) {
    const std::string& name = plan_.configs[config].name;
    if (child.stopped()) return;
    if (const auto speed = speed_from(study::read_train_json(out))) {
      folder_.save_speed(plan_.configs[config], *speed);
      say(fmt::format("{}: {:.2f} ms on the native engine", name, (*speed)["ms"].get<double>()));
      fs::remove(log);
      fs::remove(out);
    } else {
      print_note(fmt::format("{}: its speed could not be measured: {}", name,
                             study::failure_of(out, log, child.code())));
    }
  };
  return job;
}

PoolEnd StudyRunner::measure_speed() {
  std::vector<StudyJob> jobs;
  std::vector<bool> chosen(plan_.configs.size(), false);
  for (const StudyRun& run : plan_.runs()) {
    const StudyConfig& config = plan_.configs[run.config];
    const std::string family = study::family_of(config.options);
    if (chosen[run.config] || folder_.speed(config)) continue;
    if (!family.empty() && family != study::kEngineFamily) continue;  // LibTorch's alone
    const auto result = folder_.result(run);
    const fs::path weights = folder_.run_folder(run) / "final.safetensors";
    if (!result || (*result)["outcome"] != "finished" || !fs::is_regular_file(weights)) continue;
    chosen[run.config] = true;
    jobs.push_back(speed_job(run.config, weights));
  }
  if (jobs.empty()) return PoolEnd::kDone;
  say(fmt::format("study: measuring the speed of {} models", jobs.size()));
  // One at a time: beside another process each would be slower.
  const PoolEnd end = study::run_pool(this_program(), jobs, 1, deadline_, nullptr);
  write_results();
  return end;
}

}  // namespace asmlp::cli
