#include "asmlp/cli_torch/bench_train_dense.h"

#include <time.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <tuple>
#include <utility>

#include "asmlp/cli/bench/statistics.h"
#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/machine.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/detect/model/training.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/optim/optimizer.h"
#include "asmlp/torch/segment/loss.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::cli {
namespace {

constexpr int64_t kObjects = 4;  // per image

// Seconds of the parts of one step, in their order, then of the processor.
class StepClock {
 public:
  StepClock() : last_(std::chrono::steady_clock::now()), processor_(processor_seconds()) {}

  void done(const std::string& part) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    total_ += seconds;
    for (auto& [name, sum] : parts_) {
      if (name == part) return void(sum += seconds);
    }
    parts_.emplace_back(part, seconds);
  }
  // The first gradient of `results` ends the part of the backward pass that comes before theirs.
  void end_with_gradient(const std::string& part, const std::vector<torch::Tensor>& results) {
    const auto open = std::make_shared<bool>(true);
    for (const torch::Tensor& result : results) {
      if (!result.requires_grad()) continue;
      result.register_hook([this, open, part](const torch::Tensor&) {
        if (std::exchange(*open, false)) done(part);
      });
    }
  }
  void finish() { processor_ = processor_seconds() - processor_; }

  const std::vector<std::pair<std::string, double>>& parts() const { return parts_; }
  double total() const { return total_; }
  double processor() const { return processor_; }

 private:
  static double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }

  std::chrono::steady_clock::time_point last_;
  double processor_, total_ = 0;
  std::vector<std::pair<std::string, double>> parts_;
};

// A network in training mode with its batch; loss() tells the clock of the forward pass's parts and
// has it told of the backward pass's.
class DenseSubject {
 public:
  virtual ~DenseSubject() = default;
  virtual torch::nn::Module& net() = 0;
  virtual torch::Tensor loss(torch::ScalarType precision, StepClock& clock) = 0;
  virtual std::string last_part() const = 0;  // of the backward pass

  std::string name;
  int height = 0, width = 0;
};

// The images of `options`, padded as the model wants them.
template <typename Spec>
torch::Tensor images_for(const DenseTrainBenchOptions& options, const Spec& spec,
                         DenseSubject& subject) {
  const DenseInput& input = spec.preprocessing;
  const auto padded = [&](int pixels) {
    const int multiple = std::max(1, input.pad_multiple);
    return (pixels + multiple - 1) / multiple * multiple;
  };
  const int wide = std::min(input.long_side, input.short_side * 4 / 3);
  subject.name = spec.name;
  subject.height = padded(options.height > 0 ? options.height : input.short_side);
  subject.width = padded(options.width > 0 ? options.width : wide);
  return torch::randn(
      {options.batch, spec.config.backbone.in_chans, subject.height, subject.width});
}

class DetectorSubject final : public DenseSubject {
 public:
  DetectorSubject(const DenseTrainBenchOptions& options, const DetectorSpec& spec)
      : net_(spec.config), images_(images_for(options, spec, *this)) {
    const torch::Tensor side = torch::tensor({width, height}, torch::kFloat);
    for (int64_t i = 0; i < options.batch; ++i) {
      data::ImageInfo info;
      info.index = i;
      info.height = info.padded_height = info.original_height = height;
      info.width = info.padded_width = info.original_width = width;
      const torch::Tensor corner = torch::rand({kObjects, 2}) * side * 0.6;
      const torch::Tensor size = (0.15 + 0.25 * torch::rand({kObjects, 2})) * side;
      info.boxes = torch::cat({corner, corner + size}, 1);
      info.labels = torch::randint(spec.config.num_classes, {kObjects}, torch::kLong);
      info.masks = torch::zeros({kObjects, height, width}, torch::kUInt8);
      info.mask_rows = torch::arange(kObjects);
      for (int64_t k = 0; k < kObjects; ++k) {
        const torch::Tensor box = info.boxes[k].to(torch::kLong);
        const auto edge = [&](int64_t e) { return box[e].item<int64_t>(); };
        info.masks[k].slice(0, edge(1), edge(3)).slice(1, edge(0), edge(2)).fill_(1);
      }
      infos_.push_back(std::move(info));
    }
  }
  torch::nn::Module& net() override { return *net_; }
  std::string last_part() const override { return "backbone back"; }
  torch::Tensor loss(torch::ScalarType precision, StepClock& clock) override {
    const detect::PartDone done = [&](const std::string& part,
                                      const std::vector<torch::Tensor>& results) {
      clock.done(part);
      if (part == "RPN") clock.end_with_gradient("regions back", results);
      if (part == "pyramid") clock.end_with_gradient("RPN back", results);
      if (part == "backbone") clock.end_with_gradient("pyramid back", results);
    };
    torch::Tensor total;
    for (const auto& [_, value] :
         detect::detector_losses(*net_, images_, infos_, {1, precision, done})) {
      total = total.defined() ? total + value : value;
    }
    return total;
  }

 private:
  detect::DetectorNet net_;
  torch::Tensor images_;
  std::vector<data::ImageInfo> infos_;
};

class SegmentorSubject final : public DenseSubject {
 public:
  SegmentorSubject(const DenseTrainBenchOptions& options, const SegmentorSpec& spec)
      : config_(spec.config), net_(spec.config), images_(images_for(options, spec, *this)) {
    labels_ = torch::randint(config_.num_classes, {options.batch, height, width}, torch::kUInt8);
  }
  torch::nn::Module& net() override { return *net_; }
  std::string last_part() const override { return "backbone back"; }
  torch::Tensor loss(torch::ScalarType precision, StepClock& clock) override {
    segment::SegmentorOutput output;
    {
      const nn::AutocastGuard autocast(torch::kCPU, precision);
      const auto maps = net_->backbone()(images_);
      clock.done("backbone");
      clock.end_with_gradient("heads back", maps);
      output = net_->heads(maps);
    }
    output.decode = output.decode.to(torch::kFloat);
    output.auxiliary = output.auxiliary.to(torch::kFloat);
    clock.done("heads");
    clock.end_with_gradient("losses back", {output.decode, output.auxiliary});
    const torch::Tensor total = segment::losses(output, labels_, config_).total();
    clock.done("losses");
    return total;
  }

 private:
  SegmentorConfig config_;
  segment::SegmentorNet net_;
  torch::Tensor images_, labels_;
};

std::unique_ptr<DenseSubject> subject_of(const DenseTrainBenchOptions& options) {
  const bool detector = options.task == Task::kDetect;
  const std::string otherwise = detector ? "mask_rcnn_asmlp_tiny" : "upernet_asmlp_tiny";
  const train::ModelChoice choice = options.model.empty() ? otherwise : options.model;
  const Description description = choice.resolve(options.task);
  torch::manual_seed(1);
  if (detector) {
    return std::make_unique<DetectorSubject>(options, std::get<DetectorSpec>(description.model));
  }
  return std::make_unique<SegmentorSubject>(options, std::get<SegmentorSpec>(description.model));
}

StepClock step_of(DenseSubject& subject, train::Optimizer& optimizer,
                  const std::string& precision) {
  StepClock clock;
  const torch::Tensor loss =
      subject.loss(precision == "bf16" ? torch::kBFloat16 : torch::kFloat, clock);
  loss.backward();
  clock.done(subject.last_part());
  const double norm = optimizer.gradient_norm();
  optimizer.step(1e-5, std::min(1.0, 5.0 / norm));
  optimizer.zero_grad();
  clock.done("update");
  clock.finish();
  return clock;
}

template <typename Value>
Json milliseconds_of(const std::vector<StepClock>& clocks, const Value& value) {
  std::vector<double> samples;
  for (const StepClock& clock : clocks) samples.push_back(value(clock) * 1e3);
  const Statistics s = summarize(samples);
  return {{"median", s.median}, {"min", s.min}, {"p10", s.p10}, {"p90", s.p90}};
}

std::string dense_training_text(const Json& document, bool markdown) {
  std::string text;
  for (const Json& row : document["rows"]) {
    const double step = row["step_ms"]["median"].get<double>();
    Table table({{"part"},
                 {"ms", Align::kRight},
                 {"min", Align::kRight},
                 {"10-90 %", Align::kRight},
                 {"share", Align::kRight}});
    const auto add = [&](const std::string& name, const Json& ms) {
      const auto number = [&](const char* key) { return ms[key].get<double>(); };
      table.add_row({name, fmt::format("{:.1f}", number("median")),
                     fmt::format("{:.1f}", number("min")),
                     fmt::format("{:.1f}-{:.1f}", number("p10"), number("p90")),
                     fmt::format("{:.1f} %", 100 * number("median") / step)});
    };
    for (const Json& part : row["parts"]) add(part["part"].get<std::string>(), part["ms"]);
    add("step", row["step_ms"]);
    add("processor", row["processor_ms"]);
    text += fmt::format(
        "{}, {}: {} x {} pixels, batch {}, {} threads, {} steps, {:.2f} images/s; "
        "{}\n{}",
        printable(row["model"].get<std::string>()), row["precision"].get<std::string>(),
        row["height"].get<int>(), row["width"].get<int>(), row["batch"].get<int>(),
        row["threads"].get<int>(), row["runs"].get<int>(), row["images_per_second"].get<double>(),
        document["machine"]["cpu"].get<std::string>(), markdown ? table.markdown() : table.str());
  }
  return text;
}

}  // namespace

Json measure_dense_training(const DenseTrainBenchOptions& options) {
  const int threads = nn::configure_runtime(options.repetition.threads);
  const std::unique_ptr<DenseSubject> subject = subject_of(options);
  subject->net().train();
  train::Optimizer optimizer(subject->net());
  const auto [_, runs, warmup] = options.repetition;
  std::vector<std::vector<StepClock>> clocks(options.precisions.size());
  Progress progress("bench", warmup + runs, "steps of each");
  for (int run = -warmup; run < runs; ++run) {
    for (size_t i = 0; i < clocks.size(); ++i) {
      StepClock clock = step_of(*subject, optimizer, options.precisions[i]);
      if (run >= 0) clocks[i].push_back(std::move(clock));
    }
    progress.update(run + warmup + 1, "");
  }
  progress.finish();

  Json document = measurement_document();
  for (size_t i = 0; i < clocks.size(); ++i) {
    Json row{{"model", subject->name},
             {"precision", options.precisions[i]},
             {"height", subject->height},
             {"width", subject->width},
             {"batch", options.batch},
             {"threads", threads},
             {"runs", runs},
             {"parts", Json::array()}};
    row["step_ms"] = milliseconds_of(clocks[i], [](const StepClock& c) { return c.total(); });
    row["processor_ms"] =
        milliseconds_of(clocks[i], [](const StepClock& c) { return c.processor(); });
    row["images_per_second"] = options.batch * 1e3 / row["step_ms"]["median"].get<double>();
    const size_t parts = clocks[i].front().parts().size();
    for (size_t part = 0; part < parts; ++part) {
      row["parts"].push_back({{"part", clocks[i].front().parts()[part].first},
                              {"ms", milliseconds_of(clocks[i], [&](const StepClock& c) {
                                 return c.parts()[part].second;
                               })}});
    }
    document["rows"].push_back(row);
  }
  return document;
}

int bench_dense_training(const BenchRequest& request, Task task) {
  DenseTrainBenchOptions options;
  options.task = task;
  options.model = one_value(request.models, "--model", options.model);
  options.batch = one_value(request.batches, "--batch", options.batch);
  if (!request.size.empty()) {
    std::tie(options.height, options.width) = parse_pair("--size", request.size, 'x');
    require(options.height >= 32 && options.width >= 32, ErrorCode::kInvalidArgument,
            "--size {}: sides of training images are 32..16384", request.size);
  }
  require(options.task == Task::kDetect || options.batch > 1, ErrorCode::kInvalidArgument,
          "--batch 1: the batch norms of a segmentor need two images");
  if (!request.precisions.empty()) options.precisions = request.precisions;
  options.repetition = repetition_of(request, options.repetition);
  print_report(measure_dense_training(options), request, dense_training_text);
  return kExitOk;
}

}  // namespace asmlp::cli
