#include "asmlp/cli_torch/bench_detect.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <vector>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli/bench/statistics.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli_torch/detector_model.h"
#include "asmlp/core/error.h"
#include "asmlp/report/machine.h"
#include "asmlp/torch/detect/model/detector.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/nn/eager_as_mlp.h"
#include "asmlp/torch/ops/runtime.h"

namespace asmlp::cli {
namespace {

using detect::Timings;
using Maps = std::vector<torch::Tensor>;

// The 2-norm of the difference over that of the reference, of the map where it is largest.
double difference(const Maps& maps, const Maps& reference) {
  double worst = 0;
  for (size_t k = 0; k < maps.size(); ++k) {
    const auto norm = [](const torch::Tensor& x) { return x.norm().item<double>(); };
    worst = std::max(worst, norm(maps[k] - reference[k]) / norm(reference[k]));
  }
  return worst;
}

// As of bench_train.h's: rounding of sums of up to 4096 terms over some hundred layers.
const double kAllowedDifference = std::ldexp(64.0 * 10, -24);

constexpr int kMostSide = 16384;

class DetectBench {
 public:
  explicit DetectBench(const DetectBenchOptions& options) {
    threads_ = nn::configure_runtime(options.repetition.threads);
    torch::manual_seed(1);
    const bool trained = std::filesystem::path(options.model).extension() == ".safetensors";
    if (trained) {
      detect::DetectorFile file = detect::load_detector(options.model);
      spec_ = file.spec, net_ = file.net;
    } else {
      spec_ = resolve_detector(options.model);
      net_ = detect::DetectorNet(spec_.config);
      net_->eval();
    }
    nn::fold_batch_norm(*net_);
    eager_.emplace(net_->backbone());
    const auto multiple = int64_t{spec_.preprocessing.pad_multiple};
    const auto padded = [&](int64_t side) { return (side + multiple - 1) / multiple * multiple; };
    info_.height = info_.original_height = options.height;
    info_.width = info_.original_width = options.width;
    info_.padded_height = padded(options.height);
    info_.padded_width = padded(options.width);
    image_ =
        torch::zeros({1, spec_.config.backbone.in_chans, info_.padded_height, info_.padded_width});
    image_.slice(2, 0, options.height).slice(3, 0, options.width).normal_();
    eager_image_ = image_;
    if (!trained) spread_scores();
  }

  // The eager backbone takes either memory format: the one that is faster here, of two runs each
  // after a first.
  std::string choose_format() {
    const torch::NoGradGuard no_grad;
    std::string best;
    torch::Tensor chosen;
    double least = INFINITY;
    for (const char* format : {"NCHW", "channels-last"}) {
      eager_image_ = std::string(format) == "NCHW"
                         ? image_.contiguous()
                         : image_.contiguous(torch::MemoryFormat::ChannelsLast);
      maps(true);
      for (int run = 0; run < 2; ++run) {
        Timings times;
        timed(&times, &Timings::backbone, [&] { return maps(true); });
        if (times.backbone < least) {
          least = times.backbone, best = format, chosen = eager_image_;
        }
      }
    }
    eager_image_ = chosen;
    return best;
  }

  Maps maps(bool eager) {
    return eager ? eager_->maps(eager_image_) : net_->backbone()->forward(image_);
  }

  Timings step(bool eager) {
    const torch::NoGradGuard no_grad;
    Timings times;
    const Maps found = timed(&times, &Timings::backbone, [&] { return maps(eager); });
    detections_ =
        static_cast<int64_t>(detect::detect_on_maps(*net_, found, {info_}, &times)[0].size());
    return times;
  }

  const DetectorSpec& spec() const { return spec_; }
  int threads() const { return threads_; }
  int64_t detections() const { return detections_; }

 private:
  // Larger and larger class weights, until enough classes pass the threshold.
  void spread_scores() {
    const torch::NoGradGuard no_grad;
    for (int doubling = 0; doubling < 16; ++doubling) {
      step(false);
      if (detections_ == spec_.config.test.max_detections) return;
      for (const auto& item : net_->named_parameters()) {
        if (item.key().ends_with("fc_cls.weight")) item.value().mul_(2);
      }
    }
  }

  DetectorSpec spec_;
  detect::DetectorNet net_{nullptr};
  std::optional<nn::EagerAsMlp> eager_;
  data::ImageInfo info_;
  torch::Tensor image_, eager_image_;
  int threads_ = 0;
  int64_t detections_ = 0;
};

Json milliseconds(const std::vector<double>& seconds) {
  std::vector<double> samples;
  for (const double s : seconds) samples.push_back(s * 1e3);
  const Statistics s = summarize(samples);
  return {{"median", s.median}, {"min", s.min}, {"p10", s.p10}, {"p90", s.p90}};
}

// Milliseconds of every part that there is (a detector of boxes has none of masks), and of the
// whole as "total".
Json parts_of(const std::vector<Timings>& times) {
  std::vector<std::pair<std::string, std::vector<double>>> parts;
  std::vector<double> totals;
  for (const Timings& run : times) {
    size_t part = 0;
    double total = 0;
    Timings::visit(run, [&](const char* name, double seconds) {
      if (parts.size() == part) parts.push_back({name, {}});
      parts[part++].second.push_back(seconds);
      total += seconds;
    });
    totals.push_back(total);
  }
  Json json;
  for (const auto& [name, seconds] : parts) {
    if (std::ranges::any_of(seconds, [](double s) { return s > 0; })) {
      json[name] = milliseconds(seconds);
    }
  }
  json["total"] = milliseconds(totals);
  return json;
}

}  // namespace

Json measure_detection(const DetectBenchOptions& options) {
  for (const int side : {options.height, options.width}) {
    require(side >= 1 && side <= kMostSide, ErrorCode::kInvalidArgument,
            "an image of {} x {} pixels (height x width); sides are 1..{}", options.height,
            options.width, kMostSide);
  }
  const torch::NoGradGuard no_grad;
  DetectBench bench(options);
  const double error = difference(bench.maps(false), bench.maps(true));
  require(error <= kAllowedDifference, ErrorCode::kMismatch,
          "the maps of the two backbones differ by {:.1e}, more than {:.1e}", error,
          kAllowedDifference);
  const std::string format = bench.choose_format();
  std::vector<Timings> times[2];
  const auto [_, runs, warmup] = options.repetition;
  Progress progress("bench", warmup + runs, "detections of each");
  for (int run = -warmup; run < runs; ++run) {
    for (const bool eager : {false, true}) {
      const Timings time = bench.step(eager);
      if (run >= 0) times[eager].push_back(time);
    }
    progress.update(run + warmup + 1, "");
  }
  progress.finish();
  Json document = measurement_document();
  for (const bool eager : {false, true}) {
    Json row{{"model", bench.spec().name},
             {"path", eager ? "eager" : "fused"},
             {"format", eager ? format : "channels-last"},
             {"height", options.height},
             {"width", options.width},
             {"threads", bench.threads()},
             {"runs", options.repetition.runs},
             {"detections", bench.detections()}};
    row["parts_ms"] = parts_of(times[eager]);
    row["verified"] = {{"map_error", error}, {"tolerance", kAllowedDifference}};
    document["rows"].push_back(std::move(row));
  }
  Json& fused = document["rows"][0];
  for (const char* part : {"backbone", "total"}) {
    const auto ratio = [&](const char* value) {
      return document["rows"][1]["parts_ms"][part][value].get<double>() /
             fused["parts_ms"][part][value].get<double>();
    };
    fused["speedup"][part] = {{"median", ratio("median")}, {"min", ratio("min")}};
  }
  return document;
}

}  // namespace asmlp::cli
