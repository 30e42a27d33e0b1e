#include "asmlp/torch/train/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/report/run_json.h"
#include "tests/support/support.h"

namespace asmlp::train::run_log_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A run of 3 epochs of 4 steps, as a trainer would report it, from step `from` (0..12) to `to`.
// Steps are numbered from 0 here; number 5 is skipped.
constexpr int kEpochs = 3, kSteps = 4, kBatch = 8;

RunFacts facts(int from, int log_interval) {
  RunFacts f;
  f.run = {{"model", "small"}, {"data", "/data/small"}, {"epochs", kEpochs}, {"seed", 7}};
  f.start = {{"command", "asmlp train " + std::to_string(from)}, {"threads", 1}};
  f.recipe = "epochs: 3\n";
  f.images_per_step = kBatch;
  f.log_interval = log_interval;
  f.resumed = from > 0;
  f.steps_done = from;
  for (int e = 0; e < from / kSteps; ++e)
    f.history.push_back({e, 1.0, 1e-3, {{"loss", 2}, {"top1", 30}, {"top5", 60}}});
  return f;
}

void report(RunLog& log, int from, int to) {
  for (int step = from; step < to; ++step) {
    StepReport r;
    r.epoch = step / kSteps;
    r.batch = step % kSteps;
    r.batches = kSteps;
    r.epochs = kEpochs;
    r.skipped = step == 5;
    r.loss = r.skipped ? NAN : 10.0 - step;
    r.gradient_norm = r.skipped ? INFINITY : 2.0 * step;
    r.lr = 1e-3 * step;
    log.on_step(r);
    if (r.batch + 1 < kSteps) continue;
    log.on_validation(20, 20);
    log.on_epoch({r.epoch, 1.0, r.lr, {{"loss", 2}, {"top1", 30.0 + r.epoch}, {"top5", 60}}}, true);
  }
}

// steps.csv without what depends on the clock.
std::string timeless(const fs::path& folder) {
  std::string text;
  for (const StepLine& l : read_steps(folder / "steps.csv")) {
    text += fmt::format("{} {} {} {} {} {}\n", l.epoch, l.step, l.images, l.loss, l.lr,
                        l.gradient_norm);
  }
  return text;
}

int64_t event_files(const fs::path& folder) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.path().filename().string().starts_with("events.out.tfevents.");
  }
  return count;
}

TEST(RunLog, LogsMeansAtEveryIntervalAndAtTheEndOfAnEpoch) {
  test::TemporaryFolder folder;
  RunLog log(folder.path(), facts(0, 3));
  report(log, 0, 12);
  log.close("finished", {{"bad_samples", 2}});
  const auto lines = read_steps(folder.path() / "steps.csv");
  // Multiples of 3, and the ends of epochs 4, 8 and 12; step 6 of the run is the skipped one.
  ASSERT_EQ(timeless(folder.path()),
            "0.75 3 24 9 0.002 2\n"
            "1 4 32 7 0.003 6\n"
            "1.5 6 48 6 0.005 8\n"
            "2 8 64 3.5 0.007 13\n"
            "2.25 9 72 2 0.008 16\n"
            "3 12 96 0 0.011 20\n");
  for (const StepLine& line : lines) EXPECT_GT(line.images_per_second, 0);

  const auto run = read_run_json(folder.path() / "run.json");
  EXPECT_EQ(run["outcome"], "finished");
  EXPECT_EQ(run["model"], "small");
  EXPECT_EQ(run["result"]["skipped_steps"], 1);
  EXPECT_EQ(run["result"]["bad_samples"], 2);
  ASSERT_EQ(run["starts"].size(), 1u);
  EXPECT_EQ(run["starts"][0]["command"], "asmlp train 0");
  EXPECT_NE(run["starts"][0]["blas"], "");
  const std::string page = read_file(folder.path() / "report.html");
  EXPECT_THAT(page, HasSubstr("32.000 %"));
  EXPECT_THAT(page, HasSubstr("best top-1, epoch 3<"));
  EXPECT_THAT(page, HasSubstr("epochs: 3"));
}

TEST(RunLog, AResumedRunLeavesTheFilesOfAnUninterruptedOne) {
  test::TemporaryFolder whole;
  {
    RunLog log(whole.path(), facts(0, 1));
    report(log, 0, 12);
    log.close("finished", {});
  }
  for (const int saved : {1, 4, 7, 11}) {
    for (int killed = saved; killed <= 12; killed += 4) {
      test::TemporaryFolder folder;
      {
        RunLog log(folder.path(), facts(0, 1));
        report(log, 0, killed);  // and no close()
      }
      EXPECT_EQ(read_run_json(folder.path() / "run.json")["outcome"], "failed");
      RunLog log(folder.path(), facts(saved, 1));
      report(log, saved, 12);
      log.close("finished", {});
      EXPECT_EQ(timeless(folder.path()), timeless(whole.path())) << saved << ' ' << killed;
      const auto lines = read_steps(folder.path() / "steps.csv");
      EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
        return a.seconds < b.seconds;
      }));
      EXPECT_EQ(event_files(folder.path()), 2);
      const auto starts = read_run_json(folder.path() / "run.json")["starts"];
      ASSERT_EQ(starts.size(), 2u);
      EXPECT_EQ(starts[0]["command"], "asmlp train 0");
      EXPECT_EQ(starts[1]["step"], saved);
    }
  }
}

TEST(RunLog, ErrorsOfWritingAreOneWarningPerFileAndNoMore) {
  test::TemporaryFolder folder;
  const fs::path gone = folder.path() / "gone";
  std::vector<std::string> warnings;
  set_log_callback([&](LogLevel, const std::string& message) { warnings.push_back(message); });
  {
    RunLog log(gone, facts(0, 1));
    report(log, 0, 12);
    log.close("finished", {});
  }
  set_log_callback({});
  // steps.csv, events, args.yaml, run.json (again at the end), report.html, curves.svg
  EXPECT_EQ(warnings.size(), 7u);
  for (const std::string& warning : warnings) EXPECT_THAT(warning, HasSubstr(gone.string()));

  // Damaged files of an earlier start are no reason to stop either.
  fs::create_directory(gone);
  std::ofstream(gone / "run.json") << "{";
  std::ofstream(gone / "steps.csv") << "something else";
  RunLog log(gone, facts(8, 1));
  report(log, 8, 12);
  log.close("finished", {});
  EXPECT_EQ(read_run_json(gone / "run.json")["outcome"], "finished");
  EXPECT_EQ(read_steps(gone / "steps.csv").size(), 4u);
}

}  // namespace
}  // namespace asmlp::train::run_log_test
