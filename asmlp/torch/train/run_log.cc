#include "asmlp/torch/train/run_log.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/report/machine.h"
#include "asmlp/report/run_json.h"
#include "asmlp/torch/train/libraries.h"

namespace asmlp::train {
namespace {

using Json = nlohmann::ordered_json;

// Validations of a run whose pictures are in the event file.
constexpr int kEventPictures = 20;

constexpr ScalarTag kTrainLoss{"train/loss", "Mean over the steps since the point before"};
constexpr ScalarTag kLr{"train/lr", "Learning rate of the step"};
constexpr ScalarTag kGradientNorm{
    "train/grad_norm", "Norm of the whole gradient before clipping; mean since the point before"};
constexpr ScalarTag kImagesPerSecond{"train/images_per_second",
                                     "Of all processes, validation left out"};
constexpr ScalarTag kDataWait{"train/data_wait",
                              "Share of the time that the training waited for images"};
constexpr ScalarTag kEpochLoss{"train/epoch_loss", "Mean over the steps of the epoch"};

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

RunLog::RunLog(std::filesystem::path folder, RunFacts facts)
    : folder_(std::move(folder)),
      facts_(std::move(facts)),
      step_(facts_.steps_done),
      skipped_(facts_.skipped_steps) {
  data_.recipe = facts_.recipe;
  data_.eval_metric = facts_.eval_metric;
  data_.history = facts_.history;
  start_files();
  write_pages();
  start_ = last_ = Clock::now();
}

RunLog::~RunLog() {
  if (!closed_) close("failed", {{"skipped_steps", skipped_}});
}

// Nothing that is a matter of logging only may end a run.
void RunLog::guarded(const std::string& file, const std::function<void()>& write) {
  try {
    write();
  } catch (const std::exception& error) {
    if (!warned_.insert(file).second) return;
    log_message(LogLevel::kWarning, fmt::format("{}: not written, the training goes on: {}", file,
                                                explain_exception(error).message));
  }
}

void RunLog::start_files() {
  guarded("steps.csv", [&] {
    if (facts_.resumed) data_.steps = read_steps(folder_ / "steps.csv", facts_.steps_done);
    if (!data_.steps.empty()) seconds_before_ = data_.steps.back().seconds;
    open_steps();
  });
  guarded("the event file", [&] { open_events(); });
  Json earlier = Json::array();
  guarded("run.json", [&] {
    if (!facts_.resumed) return;
    const Json before = read_run_json(folder_ / "run.json");
    if (before.contains("starts") && before["starts"].is_array()) earlier = before["starts"];
    if (before.contains("images")) data_.pictures = read_pictures(folder_, before["images"]);
  });
  Json start{{"time", utc_time()}, {"step", facts_.steps_done}};
  start.update(facts_.start);
  start.update(library_facts());
  start["machine"] = machine_facts();
  earlier.push_back(std::move(start));
  data_.run = facts_.run;
  if (!data_.pictures.empty()) data_.run["images"] = pictures_json(data_.pictures);
  data_.run["outcome"] = "running";
  data_.run["starts"] = std::move(earlier);
}

// Both are tried again where they did not work (a full disk).
void RunLog::open_steps() {
  if (!step_log_) step_log_ = std::make_unique<StepLog>(folder_ / "steps.csv", data_.steps);
}

void RunLog::open_events() {
  if (events_) return;
  auto events = std::make_unique<EventFile>(
      folder_, facts_.resumed ? std::optional(facts_.steps_done + 1) : std::nullopt);
  // In Markdown, a block of code is what is indented by four.
  std::string code = "    ";
  for (const char c : data_.recipe) code += c == '\n' ? std::string("\n    ") : std::string(1, c);
  events->text("recipe", facts_.steps_done, code);
  // It keeps what a full disk refuses.
  events_ = std::move(events);
  for (const StepLine& line : data_.steps) {
    if (line.step <= facts_.steps_done) continue;
    events_->scalar(kTrainLoss, line.step, line.loss);
    events_->scalar(kLr, line.step, line.lr);
  }
  events_->flush();
}

void RunLog::on_step(const StepReport& report) {
  const Clock::time_point now = Clock::now();
  epoch_ = report.epoch;
  epochs_ = report.epochs;
  seconds_ += seconds_between(last_, now);
  data_wait_ += report.data_wait;
  last_ = now;
  ++step_;
  ++steps_;
  if (report.skipped) {
    ++skipped_;
  } else {
    ++finite_;
    loss_sum_ += report.loss;
    for (const auto& [name, value] : report.parts) part_sums_[name] += value;
    norm_sum_ += report.gradient_norm;
  }
  if (step_ % facts_.log_interval == 0 || report.batch + 1 == report.batches) log_steps(report);
}

void RunLog::log_steps(const StepReport& report) {
  StepLine line;
  line.epoch = report.epoch + double(report.batch + 1) / double(report.batches);
  line.step = step_;
  line.images =
      (int64_t{report.epoch} * report.batches + report.batch + 1) * facts_.images_per_step;
  line.loss = finite_ ? loss_sum_ / double(finite_) : NAN;
  line.gradient_norm = finite_ ? norm_sum_ / double(finite_) : NAN;
  line.lr = report.lr;
  line.images_per_second = seconds_ > 0 ? double(steps_ * facts_.images_per_step) / seconds_ : NAN;
  line.seconds = seconds_before_ + seconds_between(start_, last_);
  const int64_t finite = finite_;
  const double data_wait = seconds_ > 0 ? data_wait_ / seconds_ : NAN;
  data_wait_ = seconds_ = loss_sum_ = norm_sum_ = 0;
  steps_ = finite_ = 0;

  guarded("the event file", [&] { open_events(); });
  guarded("steps.csv", [&] {
    open_steps();
    step_log_->add(line);
  });
  data_.steps.push_back(line);
  guarded("steps.csv", [&] {
    if (step_log_) step_log_->flush();
  });
  guarded("the event file", [&] {
    if (!events_) return;
    events_->scalar(kTrainLoss, line.step, line.loss);
    for (const auto& [name, sum] : part_sums_) {
      const std::string tag = "train/" + name;
      events_->scalar({tag.c_str(), "Part of train/loss"}, line.step,
                      finite > 0 ? sum / double(finite) : NAN);
    }
    events_->scalar(kLr, line.step, line.lr);
    events_->scalar(kGradientNorm, line.step, line.gradient_norm);
    events_->scalar(kImagesPerSecond, line.step, line.images_per_second);
    events_->scalar(kDataWait, line.step, data_wait);
    events_->flush();
  });
  part_sums_.clear();
}

void RunLog::on_validation(int64_t /*images*/, int64_t /*total*/) { last_ = Clock::now(); }

void RunLog::on_pictures(const std::vector<Picture>& pictures) {
  // A picture per epoch would make the file of a long run large, and TensorBoard keeps ten of them.
  const int64_t part = int64_t{epoch_} * kEventPictures / std::max(1, epochs_);
  const bool validation =
      std::ranges::any_of(pictures, [](const Picture& p) { return p.name != "samples"; });
  const bool shown = !validation || part != shown_part_ || epoch_ + 1 == epochs_;
  if (validation) shown_part_ = part;
  for (const Picture& picture : pictures) {
    guarded("images", [&] {
      EmbeddedPicture stored = store_picture(folder_, picture, step_);
      guarded("the event file", [&] {
        const char* tag = tag_of_picture(stored.name);
        if (!events_ || !shown) return;
        events_->image({tag, stored.caption.c_str()}, step_, stored.height, stored.width,
                       stored.bytes);
        events_->flush();
      });
      replace_picture(data_.pictures, std::move(stored));
    });
  }
  if (!data_.pictures.empty()) data_.run["images"] = pictures_json(data_.pictures);
  write_pages();
  last_ = Clock::now();
}

void RunLog::on_epoch(const EpochSummary& summary, bool /*best*/) {
  data_.history.push_back(summary);
  guarded("the event file", [&] {
    if (!events_) return;
    events_->scalar(kEpochLoss, step_, summary.train_loss);
    for (const EvalMetric& metric : summary.metrics) {
      const std::string tag = "eval/" + metric.name;
      events_->scalar({tag.c_str(), eval_metric_info(metric.name).help}, step_, metric.value);
    }
    events_->flush();
  });
  data_.run["result"]["skipped_steps"] = skipped_;
  write_pages();
  last_ = Clock::now();
}

void RunLog::close(const std::string& outcome, const Json& result) {
  closed_ = true;
  data_.run["outcome"] = outcome;
  data_.run["starts"].back()["end"] = utc_time();
  if (result.is_object()) data_.run["result"].update(result);
  // What a full disk refused may find room now.
  guarded("steps.csv", [&] {
    open_steps();
    step_log_->flush();
  });
  guarded("the event file", [&] {
    open_events();
    events_->flush();
  });
  warned_.erase("run.json");  // how the run ended is worth another word
  write_pages();
}

void RunLog::fail(const std::string& error) {
  close("failed", {{"skipped_steps", skipped_}, {"error", error}});
}

void RunLog::write_pages() {
  guarded("args.yaml", [&] {
    if (recipe_written_) return;
    write_file_atomically(folder_ / "args.yaml", [&](std::ostream& out) { out << data_.recipe; });
    recipe_written_ = true;
  });
  guarded("run.json", [&] { write_run_json(folder_ / "run.json", data_.run); });
  guarded("report.html", [&] {
    write_file_atomically(folder_ / "report.html",
                          [&](std::ostream& out) { out << report_html(data_); });
  });
  guarded("curves.svg", [&] {
    write_file_atomically(folder_ / "curves.svg",
                          [&](std::ostream& out) { out << curves_svg(data_); });
  });
}

}  // namespace asmlp::train
