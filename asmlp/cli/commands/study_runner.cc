#include "asmlp/cli/commands/study_runner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <ostream>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/stop_signals.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/report/build_info.h"
#include "asmlp/report/table.h"
#include "asmlp/study/cost_chart.h"
#include "asmlp/study/plot.h"
#include "asmlp/study/results.h"

namespace asmlp::cli {

using namespace study;

namespace {

namespace fs = std::filesystem;
using std::chrono::duration;

// A configuration is timed from its first step on for so long, or for so many steps.
constexpr double kTimingSeconds = 4;
constexpr int kTimingSteps = 100;

// A process that validates or saves takes more than one that has done some steps only.
constexpr double kMemoryHeadroom = 1.25;

// Logs are read for their position this often while runs go on.
constexpr std::chrono::milliseconds kLookEvery{1000};

double seconds_since(StudyClock::time_point start) {
  return duration<double>(StudyClock::now() - start).count();
}

Json timing_json(const StudyTiming& timing) {
  return {{"seconds_per_step", timing.seconds_per_step},
          {"steps", timing.steps},
          {"peak_memory_bytes", timing.peak_memory},
          {"parameters", timing.parameters},
          {"multiply_adds", timing.multiply_adds},
          {"images_per_second", timing.images_per_second}};
}

std::optional<StudyTiming> timing_from(const std::optional<Json>& json) {
  if (!json || !json->contains("seconds_per_step") || !json->contains("steps")) return std::nullopt;
  return StudyTiming{
      json->value("seconds_per_step", 0.0),         json->value("steps", int64_t{0}),
      json->value("peak_memory_bytes", int64_t{0}), json->value("parameters", Json()),
      json->value("multiply_adds", Json()),         json->value("images_per_second", 0.0)};
}

}  // namespace

StudyRunner::StudyRunner(StudyPlan plan, StudyOptions options)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      folder_(options_.output, print_note),
      timings_(plan_.configs.size()),
      started_(StudyClock::now()) {
  if (options_.budget_minutes) {
    deadline_ = started_ + std::chrono::duration_cast<StudyClock::duration>(
                               duration<double>(*options_.budget_minutes * 60));
  }
  jobs_ = options_.jobs > 0 ? options_.jobs : largest_job_count();
}

int StudyRunner::threads() const { return std::max(1, available_cores() / jobs_); }

// Cores, runs, and what the largest process seen so far leaves room for.
int StudyRunner::largest_job_count() const {
  int64_t peak = 0;
  for (const auto& timing : timings_) {
    if (timing) peak = std::max(peak, timing->peak_memory);
  }
  const auto runs = static_cast<int64_t>(plan_.runs().size());
  int64_t count = std::min<int64_t>(available_cores(), runs);
  const int64_t memory = available_memory();
  if (peak > 0 && memory > 0) {
    count =
        std::min(count, static_cast<int64_t>(double(memory) / (kMemoryHeadroom * double(peak))));
  }
  return static_cast<int>(std::max<int64_t>(1, count));
}

StudyJob StudyRunner::timing_job(size_t config) {
  StudyRun probe{config, plan_.configs[config].seeds[0], plan_.configs[config].options, ""};
  probe.options["seed"] = probe.seed;
  probe.options["epochs"] = plan_.epochs;
  probe.options["log-interval"] = 1;
  probe.folder = "timing_" + short_hash(identity_of(probe.options));
  const fs::path folder = folder_.run_folder(probe);
  fs::remove_all(folder);  // of a timing that was killed
  StudyJob job;
  job.arguments = folder_.prepare(probe, threads());
  job.arguments.insert(job.arguments.end(), {"--max-steps", std::to_string(kTimingSteps)});
  job.out = folder / "out.json";
  job.log = folder / "train.log";
  struct Watch {
    int64_t first = 0, last = 0, steps = 0;
    StudyClock::time_point looked, first_seen, last_seen;
  };
  auto watch = std::make_shared<Watch>();
  const auto look = [watch, log = job.log] {
    if (watch->looked == StudyClock::time_point()) watch->looked = StudyClock::now();
    const StudyPosition position = read_position(log);
    if (position.step <= watch->last) return;
    watch->steps = position.steps;
    watch->last = position.step;
    watch->last_seen = StudyClock::now();
    if (watch->first > 0) return;
    watch->first = position.step;
    watch->first_seen = watch->last_seen;
  };
  job.enough = [watch, look] {
    look();
    return watch->first > 0 && seconds_since(watch->first_seen) > kTimingSeconds;
  };
  job.finished = [this, config, watch, look, folder, out = job.out,
                  log = job.log](const StudyChild& child) {
    look();
    const Json train = read_train_json(out);
    const std::string error = failure_of(out, log, child.code());
    fs::remove_all(folder);
    if (watch->last == 0 || !train.contains("train_images_per_second")) {
      if (StopSignals::received() == 0 && !(deadline_ && StudyClock::now() >= *deadline_)) {
        refused_.push_back(plan_.configs[config].name + ": " + error);
      }
      return;
    }
    StudyTiming timing;
    timing.steps = watch->steps;
    timing.images_per_second = train["train_images_per_second"].get<double>();
    const double seconds = duration<double>(watch->last_seen - watch->first_seen).count();
    const auto steps = static_cast<double>(watch->last - watch->first);
    // A run that was over at the second look: with its start, which is too much rather than too
    // little.
    timing.seconds_per_step =
        steps > 0 ? seconds / steps : seconds_since(watch->looked) / double(watch->last);
    timing.peak_memory = child.peak_memory();
    timing.parameters = train.value("parameters", Json());
    timing.multiply_adds = train.value("multiply_adds", Json());
    timings_[config] = timing;
    folder_.save_timing(plan_.configs[config], threads(), timing_json(timing));
  };
  return job;
}

PoolEnd StudyRunner::time() {
  // The first one alone says how many fit.
  std::vector<size_t> open;
  for (size_t c = 0; c < plan_.configs.size(); ++c) {
    timings_[c] = timing_from(folder_.timing(plan_.configs[c], threads()));
    if (!timings_[c]) open.push_back(c);
  }
  PoolEnd end = PoolEnd::kDone;
  if (!open.empty()) {
    say(fmt::format("study: timing {} of {} configurations, about {} each", open.size(),
                    plan_.configs.size(), format_duration(kTimingSeconds + 2)));
    const auto time_some = [&](size_t first, size_t last, int at_once) {
      std::vector<StudyJob> jobs;
      for (size_t k = first; k < last; ++k) jobs.push_back(timing_job(open[k]));
      end = run_pool(options_.program, jobs, at_once, deadline_, nullptr);
    };
    const size_t alone = options_.jobs > 0 ? 0 : 1;
    if (alone > 0) time_some(0, 1, 1);
    if (end == PoolEnd::kDone) {
      const int at_once = options_.jobs > 0 ? options_.jobs : largest_job_count();
      time_some(alone, open.size(), at_once);
    }
  }
  require(refused_.empty(), ErrorCode::kInvalidArgument,
          "these configurations do not train; nothing was started:\n  {}",
          fmt::join(refused_, "\n  "));
  if (options_.jobs == 0) jobs_ = largest_job_count();
  return end;
}

double StudyRunner::seconds_to_do() const {
  double seconds = 0;
  for (const StudyRun& run : plan_.runs()) {
    const auto result = folder_.result(run);
    if (result && (*result)["outcome"] == "finished") continue;
    if (const auto& timing = timings_[run.config]) {
      const StudyPosition position = read_position(folder_.run_folder(run) / "train.log");
      const double left =
          position.steps > 0 ? 1 - double(position.step) / double(position.steps) : 1;
      seconds += timing->seconds() * left;
    }
  }
  return seconds;
}

std::string StudyRunner::estimate_text() const {
  Table table({{"configuration"},
               {"seeds", Align::kRight},
               {"parameters", Align::kRight},
               {"multiply-adds", Align::kRight},
               {"images/s", Align::kRight},
               {"steps", Align::kRight},
               {"a run", Align::kRight},
               {"peak memory", Align::kRight}});
  const auto count = [](const Json& value) {
    return value.is_number() ? group_digits(value.get<int64_t>()) : "-";
  };
  for (size_t c = 0; c < plan_.configs.size(); ++c) {
    if (!timings_[c]) continue;
    const StudyTiming& timing = *timings_[c];
    table.add_row({plan_.configs[c].name, std::to_string(plan_.configs[c].seeds.size()),
                   count(timing.parameters), count(timing.multiply_adds),
                   fmt::format("{:.0f}", timing.images_per_second), group_digits(timing.steps),
                   format_duration(timing.seconds()),
                   format_bytes(static_cast<double>(timing.peak_memory))});
  }
  const double left = seconds_to_do() / jobs_;
  std::string text = table.str(2);
  text += fmt::format("{} runs of {} epochs, {} at a time with {} threads each: about {} to do\n",
                      plan_.runs().size(), plan_.epochs, jobs_, threads(), format_duration(left));
  if (options_.budget_minutes && left > *options_.budget_minutes * 60) {
    text += fmt::format(
        "the budget of {} ends before: the first seeds come first, and what is missing can be "
        "continued later; fewer epochs or seeds would fit\n",
        format_duration(*options_.budget_minutes * 60));
  }
  return text;
}

Json StudyRunner::estimate_json() const {
  Json rows = Json::array();
  for (size_t c = 0; c < plan_.configs.size(); ++c) {
    if (!timings_[c]) continue;
    Json row{{"configuration", plan_.configs[c].name}, {"seeds", plan_.configs[c].seeds}};
    row.update(timing_json(*timings_[c]));
    row["seconds_per_run"] = timings_[c]->seconds();
    rows.push_back(row);
  }
  return {{"study", plan_.name},         {"epochs", plan_.epochs},
          {"runs", plan_.runs().size()}, {"jobs", jobs_},
          {"threads", threads()},        {"seconds_to_do", seconds_to_do() / jobs_},
          {"configurations", rows}};
}

StudyJob StudyRunner::training_job(Active& active) {
  const fs::path folder = folder_.run_folder(active.run);
  StudyJob job;
  job.arguments = folder_.prepare(active.run, threads());
  job.out = folder / "out.json";
  job.log = folder / "train.log";
  job.enough = [&active] {
    active.running = true;
    return false;
  };
  job.finished = [this, &active](const StudyChild& child) { note_end(active, child); };
  return job;
}

void StudyRunner::note_end(Active& active, const StudyChild& child) {
  active.running = false;
  const fs::path folder = folder_.run_folder(active.run);
  const Json train = read_train_json(folder / "out.json");
  const bool finished = child.code() == kExitOk && train.contains("outcome") &&
                        train["outcome"] == "finished" && train.contains("last_top1") &&
                        train["last_top1"].is_number();
  const std::string name =
      fmt::format("{} seed {}", plan_.configs[active.run.config].name, active.run.seed);
  // Asked to stop, it has saved and is continued by the next call: nothing to record.
  if (!finished && child.stopped()) return;
  Json result{{"outcome", finished ? "finished" : "failed"},
              {"seed", active.run.seed},
              {"options", active.run.options},
              {"train", train},
              {"peak_memory_bytes", child.peak_memory()},
              {"threads", threads()},
              {"at_once", jobs_},
              {"commit", build_info().commit}};
  active.over = true;
  if (finished) {
    active.share = 1;
    say(fmt::format("{} {}: top-1 {:.2f} %", progress_text(), name,
                    train["last_top1"].get<double>()));
  } else {
    result["error"] = failure_of(folder / "out.json", folder / "train.log", child.code());
    const std::string failure =
        fmt::format("{} {}: failed: {}", progress_text(), name, result["error"].get<std::string>());
    if (quiet()) {
      print_error(failure);
    } else {
      say(failure);
    }
  }
  folder_.save_result(active.run, result);
  write_results();
}

// A line on the terminal that is redrawn; what is said stands above it.
void StudyRunner::say(const std::string& line) {
  if (quiet()) return;
  if (line_visible_) write_screen("\r\x1b[2K");
  line_visible_ = false;
  print_screen(printable(line, LineBreaks::kIndented) + '\n');
}

// "3/11 runs [02:10<05:30, budget 47:50]": gone and left.
std::string StudyRunner::progress_text() const {
  double done = 0, left = 0;
  size_t over = 0;
  for (const Active& active : active_) {
    if (active.over) ++over;
    done += active.seconds * (active.share - active.first);
    if (!active.over) left += active.seconds * (1 - active.share);
  }
  // The estimates say how the runs relate; how fast they are together shows by now.
  const double wall = seconds_since(started_);
  const double eta = done > 0 ? left * wall / done : left / jobs_;
  std::string text = fmt::format("{}/{} runs [{}<{}", over, active_.size(), format_duration(wall),
                                 format_duration(eta));
  if (deadline_) {
    const double rest = duration<double>(*deadline_ - StudyClock::now()).count();
    text += fmt::format(", budget {}", format_duration(std::max(0.0, rest)));
  }
  return text + ']';
}

void StudyRunner::show_progress() {
  if (StudyClock::now() - looked_ < kLookEvery) return;
  looked_ = StudyClock::now();
  std::vector<std::string> running;
  for (Active& active : active_) {
    if (!active.running || active.over) continue;
    const StudyPosition now = read_position(folder_.run_folder(active.run) / "train.log");
    if (now.steps > 0) active.share = double(now.step) / double(now.steps);
    running.push_back(fmt::format("{} seed {} {:.0f}%", plan_.configs[active.run.config].name,
                                  active.run.seed, 100 * active.share));
  }
  if (!style_.terminal) return;
  const std::string line = fmt::format("study {} {}", progress_text(), fmt::join(running, ", "));
  write_screen("\r\x1b[2K" + truncated(line, style_.columns - 1));
  line_visible_ = true;
}

PoolEnd StudyRunner::run() {
  active_.clear();
  size_t finished = 0;
  for (StudyRun& run : plan_.runs()) {
    const auto result = folder_.result(run);
    if (result && (*result)["outcome"] == "finished") {
      ++finished;
      continue;
    }
    Active active{std::move(run)};
    if (const auto& timing = timings_[active.run.config]) active.seconds = timing->seconds();
    const StudyPosition position = read_position(folder_.run_folder(active.run) / "train.log");
    if (position.steps > 0) active.first = double(position.step) / double(position.steps);
    active.share = active.first;
    active_.push_back(std::move(active));
  }
  if (finished > 0) say(fmt::format("study: {} runs are finished already", finished));
  write_results();
  started_ = StudyClock::now();
  std::vector<StudyJob> jobs;
  for (Active& active : active_) jobs.push_back(training_job(active));
  const PoolEnd end =
      run_pool(options_.program, jobs, jobs_, deadline_, [this] { show_progress(); });
  if (line_visible_) write_screen("\n");
  line_visible_ = false;
  write_results();
  return end;
}

Json StudyRunner::document() const {
  return study_document(
      plan_, [this](const StudyRun& run) { return folder_.result(run); },
      [this](const StudyConfig& config) { return folder_.speed(config); });
}

void StudyRunner::write_results() const {
  const Json all = document();
  const fs::path& root = folder_.root();
  const auto write = [&](const char* name, const std::string& text) {
    write_file_atomically(root / name, [&](std::ostream& out) { out << text; });
  };
  write("results.json", to_text(all));
  write("results.csv", study_csv(all));
  write("results.md", study_text(all, StudyMarkup::kMarkdown));
  write_study_top1(root / "top1.png", all);
  write_study_cost(root / "cost.svg", all);
}

}  // namespace asmlp::cli
