#include "asmlp/cli_torch/bench_train.h"

#include <time.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli/bench/peaks.h"
#include "asmlp/cli/bench/statistics.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli_torch/operator_profile.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/report/machine.h"
#include "asmlp/torch/nn/eager_as_mlp.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/optim/optimizer.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds of the parts of a step.
struct StepTime {
  double forward = 0, backward = 0, update = 0;
  double processor = 0;  // of all threads: what other programs on the machine do not add to
  double total() const { return forward + backward + update; }
};

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// One way of computing a step.
struct Contender {
  std::string path;       // "fused", "eager"
  std::string precision;  // "fp32", "bf16"
  std::string format;     // memory format of the images
  std::vector<StepTime> times = {};
  double loss_error = 0, gradient_error = 0;
};

struct Gradients {
  double loss = 0;
  std::vector<torch::Tensor> values;
};

class TrainBench {
 public:
  explicit TrainBench(const TrainBenchOptions& options) : options_(options) {
    train::TrainOptions named;
    named.model.choice = options.model;
    spec_ = train::resolve_model(named, 0).spec;
    require(spec_.config.num_classes > 0, ErrorCode::kUnsupported,
            "{}: a training step needs a model with classes", options.model);
    threads_ = nn::configure_runtime(options.repetition.threads);
    torch::manual_seed(1);
    model_ = nn::AsMlp(spec_.config);
    eager_.emplace(model_);
    optimizer_.emplace(*model_);
    size_ = options.size > 0 ? options.size : spec_.preprocessing.size;
    images_ = torch::randn({options.batch, spec_.config.in_chans, size_, size_});
    channels_last_ = images_.contiguous(torch::MemoryFormat::ChannelsLast);
    targets_ = torch::randint(spec_.config.num_classes, {options.batch}, torch::kLong);
  }

  // The eager network takes either memory format: the one that is faster here, of two steps each
  // after a first.
  std::string faster_format(const std::string& precision) {
    std::string best;
    double least = INFINITY;
    for (const char* format : {"NCHW", "channels-last"}) {
      const Contender contender{"eager", precision, format};
      step(contender);
      const double seconds = std::min(step(contender).total(), step(contender).total());
      if (seconds < least) least = seconds, best = format;
    }
    return best;
  }

  // Loss and gradients of a step without its update; every call draws the same random numbers.
  Gradients gradients(const Contender& contender) {
    torch::manual_seed(2);
    Gradients result;
    const torch::Tensor loss = this->loss(contender);
    loss.backward();
    result.loss = loss.item<double>();
    for (const train::OptimizerSlot& slot : optimizer_->slots()) {
      result.values.push_back(slot.parameter.grad().clone());
    }
    optimizer_->zero_grad();
    return result;
  }

  StepTime step(const Contender& contender) {
    StepTime time;
    const double processor = processor_seconds();
    const auto begin = Clock::now();
    const torch::Tensor loss = this->loss(contender);
    const auto forward = Clock::now();
    loss.backward();
    const auto backward = Clock::now();
    const double norm = optimizer_->gradient_norm();
    optimizer_->step(1e-5, std::min(1.0, 5.0 / norm));
    optimizer_->zero_grad();
    const auto end = Clock::now();
    const auto seconds = [](auto from, auto to) {
      return std::chrono::duration<double>(to - from).count();
    };
    return {seconds(begin, forward), seconds(forward, backward), seconds(backward, end),
            processor_seconds() - processor};
  }

  const ModelSpec& spec() const { return spec_; }
  int size() const { return size_; }
  int threads() const { return threads_; }

 private:
  torch::Tensor loss(const Contender& contender) {
    torch::Tensor logits;
    {
      const nn::AutocastGuard autocast(
          torch::kCPU, contender.precision == "bf16" ? torch::kBFloat16 : torch::kFloat);
      const torch::Tensor& images = contender.format == "channels-last" ? channels_last_ : images_;
      logits = contender.path == "fused" ? model_->forward(images) : eager_->forward(images);
    }
    return torch::nn::functional::cross_entropy(
        logits.to(torch::kFloat), targets_,
        torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(0.1));
  }

  TrainBenchOptions options_;
  ModelSpec spec_;
  nn::AsMlp model_{nullptr};
  std::optional<nn::EagerAsMlp> eager_;
  std::optional<train::Optimizer> optimizer_;
  torch::Tensor images_, channels_last_, targets_;
  int size_ = 0, threads_ = 0;
};

// The 2-norm of all differences over the 2-norm of all of the reference's values.
double relative_difference(const Gradients& a, const Gradients& reference) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.values.size(); ++i) {
    difference += (a.values[i] - reference.values[i]).square().sum().item<double>();
    norm += reference.values[i].square().sum().item<double>();
  }
  return std::sqrt(difference / norm);
}

// fp32: a layer's rounding, 2^-24 for a term, grows with the root of the terms of its sums (4096 is
// beyond those of a projection) and adds up over some hundred layers forward and back as the root
// again. bf16: 2^-9 for a stored value, the sums being fp32.
double allowed_difference(const std::string& precision) {
  return precision == "fp32" ? std::ldexp(64.0 * 10, -24) : std::ldexp(4.0 * 10, -9);
}

void verify(TrainBench& bench, std::vector<Contender>& contenders) {
  const Gradients reference = bench.gradients({"eager", "fp32", "NCHW"});
  for (Contender& contender : contenders) {
    const Gradients found = bench.gradients(contender);
    contender.loss_error = std::fabs(found.loss - reference.loss) / std::fabs(reference.loss);
    contender.gradient_error = relative_difference(found, reference);
    const double allowed = allowed_difference(contender.precision);
    require(contender.loss_error <= allowed && contender.gradient_error <= allowed,
            ErrorCode::kMismatch,
            "{} in {}: loss differs by {:.1e} and the gradients by {:.1e} from the fp32 "
            "composition, more than {:.1e}",
            contender.path, contender.precision, contender.loss_error, contender.gradient_error,
            allowed);
  }
}

Json milliseconds(const std::vector<StepTime>& times,
                  const std::function<double(const StepTime&)>& part) {
  std::vector<double> samples;
  for (const StepTime& time : times) samples.push_back(part(time) * 1e3);
  const Statistics s = summarize(samples);
  return {{"median", s.median}, {"min", s.min}, {"p10", s.p10}, {"p90", s.p90}};
}

// GFLOP of a step, three times the forward pass's: the gradients of a product are two. Of samples
// that drop path leaves out too, so that the paths compare.
double step_gflop(const TrainBench& bench, int batch) {
  return 6e-9 * batch *
         static_cast<double>(multiply_adds(bench.spec().config, bench.size(), bench.size()));
}

Json row_of(const TrainBench& bench, const TrainBenchOptions& options, const Contender& contender,
            const Peaks& peaks) {
  Json row{{"model", bench.spec().name},       {"path", contender.path},
           {"precision", contender.precision}, {"format", contender.format},
           {"img_size", bench.size()},         {"batch", options.batch},
           {"threads", bench.threads()},       {"runs", options.repetition.runs}};
  row["step_ms"] = milliseconds(contender.times, [](const StepTime& t) { return t.total(); });
  row["forward_ms"] = milliseconds(contender.times, [](const StepTime& t) { return t.forward; });
  row["backward_ms"] = milliseconds(contender.times, [](const StepTime& t) { return t.backward; });
  row["update_ms"] = milliseconds(contender.times, [](const StepTime& t) { return t.update; });
  row["processor_ms"] =
      milliseconds(contender.times, [](const StepTime& t) { return t.processor; });
  const double seconds = row["step_ms"]["median"].get<double>() * 1e-3;
  row["images_per_second"] = options.batch / seconds;
  row["gflop"] = step_gflop(bench, options.batch);
  row["peak"] = peaks.json(row["gflop"].get<double>() / seconds);
  row["verified"] = {{"loss_error", contender.loss_error},
                     {"gradient_error", contender.gradient_error},
                     {"tolerance", allowed_difference(contender.precision)}};
  return row;
}

Json profile(TrainBench& bench, const Contender& contender, int steps, double peak) {
  OperatorProfile operators;
  for (int i = 0; i < steps; ++i) {
    const StepTime time = bench.step(contender);
    operators.end_step(time.total(), time.update);
  }
  return operators.rows(peak);
}

}  // namespace

Json measure_training(const TrainBenchOptions& options) {
  TrainBench bench(options);
  std::vector<Contender> contenders;
  std::map<std::string, Peaks> peaks;
  for (const std::string& precision : options.precisions) {
    for (const char* path : {"fused", "eager"}) {
      if (std::ranges::count(options.paths, path) == 0) continue;
      const bool fused = path == std::string("fused");
      contenders.push_back({path, precision, fused ? "channels-last" : "NCHW"});
    }
    peaks.try_emplace(precision, default_isa(), parse_precision(precision), bench.threads());
  }
  verify(bench, contenders);
  for (Contender& contender : contenders) {
    if (contender.path == "eager") contender.format = bench.faster_format(contender.precision);
  }
  // In turns, so that whatever else the machine does meets all of them.
  const auto [_, runs, warmup] = options.repetition;
  Progress progress("bench", warmup + runs, "steps of each");
  for (int run = -warmup; run < runs; ++run) {
    for (Contender& contender : contenders) {
      const StepTime time = bench.step(contender);
      if (run >= 0) contender.times.push_back(time);
    }
    if (run >= 0 && run % std::max(1, runs / kPeakPieces) == 0) {
      for (auto& [name, peak] : peaks) peak.sample();
    }
    progress.update(run + warmup + 1, "");
  }
  progress.finish();

  Json document = measurement_document();
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Peaks& peak = peaks.at(contenders[i].precision);
    Json row = row_of(bench, options, contenders[i], peak);
    if (options.profile && contenders[i].path == "fused") {
      row["operators"] = profile(bench, contenders[i], runs, peak.own());
    }
    // Every eager row stands behind the fused one of its precision.
    if (contenders[i].path == "eager" && options.paths.size() > 1) {
      Json& fused = document["rows"].back();
      const auto ratio = [&](const char* time, const char* value) {
        return row[time][value].get<double>() / fused[time][value].get<double>();
      };
      fused["speedup"] = {{"median", ratio("step_ms", "median")},
                          {"min", ratio("step_ms", "min")},
                          {"processor", ratio("processor_ms", "median")}};
    }
    document["rows"].push_back(row);
  }
  return document;
}

}  // namespace asmlp::cli
