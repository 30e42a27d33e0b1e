#include "asmlp/quantize/quantize.h"

#include <fnmatch.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/quantize/calibration.h"
#include "asmlp/quantize/quantized_weights.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

// Images that each layer is tried on: enough to rank them.
constexpr size_t kTrialImages = 32;

// The inputs whose layers are excluded. Of two layers that read the same map, one takes the other
// along.
std::vector<bool> excluded_inputs(const std::vector<LayerInput>& inputs,
                                  const std::vector<std::string>& patterns) {
  std::vector<bool> excluded(inputs.size());
  std::vector<std::string> names;
  for (const LayerInput& input : inputs) {
    names.insert(names.end(), input.layers.begin(), input.layers.end());
  }
  for (const std::string& pattern : patterns) {
    const auto fits = [&](const std::string& name) {
      return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    };
    require(std::any_of(names.begin(), names.end(), fits), ErrorCode::kInvalidArgument,
            "exclude '{}': no layer has such a name{}; there are {} from '{}' to '{}'",
            excerpt(pattern), did_you_mean(excerpt(pattern), names), names.size(), names.front(),
            names.back());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto& layers = inputs[i].layers;
      if (std::any_of(layers.begin(), layers.end(), fits)) excluded[i] = true;
    }
  }
  return excluded;
}

// What is known after the calibration: from it, a model with any choice of layers can be made.
struct Calibrated {
  std::vector<LayerInput> inputs;
  std::vector<InputScale> scales;  // of the inputs
  TensorMap base;                  // in fp32, perhaps equalized

  // The tensors with the layers of these inputs in int8.
  TensorMap with(const std::vector<bool>& chosen) const {
    TensorMap result = base;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!chosen[i]) continue;
      for (const std::string& layer : inputs[i].layers) quantize_layer(result, layer, scales[i]);
    }
    return result;
  }
};

Calibrated calibrate(const QuantizationSubject& subject, const std::vector<int64_t>& images,
                     const QuantizeOptions& options, const ImageCounter& progress) {
  Calibrated result{subject.inputs(), {}, subject.tensors()};
  std::vector<ChannelRanges> channels =
      observe_ranges(subject, result.base, images, options.threads, progress);
  if (options.equalize) equalize(result.base, result.inputs, channels);
  std::vector<ValueRange> ranges;
  for (const ChannelRanges& channel : channels) ranges.push_back(channel.all());
  const std::vector<Histogram> histograms =
      observe_histograms(subject, result.base, images, options.threads, ranges, progress);
  for (const Histogram& histogram : histograms) {
    result.scales.push_back(input_scale(options.percentile
                                            ? percentile_range(histogram, *options.percentile)
                                            : least_squares_range(histogram)));
  }
  return result;
}

// Measures models on held-out images.
class Meter {
 public:
  Meter(const QuantizationSubject& subject, std::span<const int64_t> images, int threads,
        const QuantizeProgress& progress)
      : subject_(subject),
        images_(images),
        threads_(threads),
        progress_(progress),
        reference_(outputs(subject.tensors())) {}

  std::vector<OutputPart> outputs(const TensorMap& tensors) const {
    return subject_.outputs(tensors, images_, threads_, progress_.advance);
  }
  OutputDifference measure(const std::vector<OutputPart>& outputs) const {
    return difference(reference_, outputs);
  }
  const std::vector<OutputPart>& reference() const { return reference_; }

 private:
  const QuantizationSubject& subject_;
  std::span<const int64_t> images_;
  int threads_;
  const QuantizeProgress& progress_;
  std::vector<OutputPart> reference_;
};

// Runs one step under its name.
template <typename Step>
auto in_step(const QuantizeProgress& progress, const std::string& name, size_t images,
             const Step& step) {
  if (progress.begin) progress.begin(name, static_cast<int64_t>(images));
  auto result = step();
  if (progress.end) progress.end();
  return result;
}

// The outputs' error with each chosen input alone in int8; nothing for the others.
std::vector<std::optional<double>> errors_alone(const Calibrated& calibrated,
                                                const std::vector<bool>& chosen,
                                                const Meter& meter) {
  std::vector<std::optional<double>> errors(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i]) continue;
    std::vector<bool> alone(chosen.size());
    alone[i] = true;
    errors[i] = meter.measure(meter.outputs(calibrated.with(alone))).error;
  }
  return errors;
}

// Takes inputs out of `chosen`, those with the greatest errors first, until what is left of the
// whole error is expected to be at most `wanted`: errors of different layers add up as squares. At
// least one.
void leave_out(std::vector<bool>& chosen, const std::vector<std::optional<double>>& errors,
               double error, double wanted) {
  double sum = 0;
  std::vector<size_t> order;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i]) continue;
    order.push_back(i);
    sum += *errors[i] * *errors[i];
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return *errors[a] > *errors[b]; });
  double left = sum;
  for (const size_t i : order) {
    chosen[i] = false;
    left -= *errors[i] * *errors[i];
    // Written so that an error that is no number leaves everything out.
    if (error * error * left <= wanted * wanted * sum) return;
  }
}

}  // namespace

std::vector<int64_t> held_out_images(int64_t images) {
  std::vector<int64_t> held_out;
  for (int64_t i = 0; i < images; ++i) {
    if (images < 4 || i % 4 == 3) held_out.push_back(i);
  }
  return held_out;
}

std::vector<int64_t> calibration_images(int64_t images) {
  std::vector<int64_t> others;
  for (int64_t i = 0; i < images; ++i) {
    if (images < 4 || i % 4 != 3) others.push_back(i);
  }
  return others;
}

Quantized quantize(const QuantizationSubject& subject, int64_t images, const std::string& source,
                   const QuantizeOptions& options, const QuantizeProgress& progress) {
  require(images >= 1, ErrorCode::kInvalidArgument, "there is no image to calibrate on");
  require_unquantized(subject.tensors(), source);
  const std::vector<int64_t> seen = calibration_images(images), other = held_out_images(images);
  std::vector<bool> chosen = excluded_inputs(subject.inputs(), options.exclude);
  const std::vector<bool> excluded = chosen;
  chosen.flip();

  const Calibrated calibrated = in_step(progress, "calibrate", 2 * seen.size(), [&] {
    return calibrate(subject, seen, options, progress.advance);
  });
  Quantized result;
  const Meter meter = in_step(progress, "measure", 2 * other.size(), [&] {
    Meter measuring(subject, other, options.threads, progress);
    result.after = measuring.outputs(calibrated.with(chosen));
    return measuring;
  });
  result.before = meter.reference();
  result.all = result.final = meter.measure(result.after);
  std::vector<std::optional<double>> errors(chosen.size());
  const auto any = [&] { return std::find(chosen.begin(), chosen.end(), true) != chosen.end(); };
  if (!(result.final.error <= options.max_error) && any()) {
    const auto few = std::span(other).first(std::min(other.size(), kTrialImages));
    const auto trials = static_cast<size_t>(std::count(chosen.begin(), chosen.end(), true)) + 1;
    errors = in_step(progress, "try layers", trials * few.size(), [&] {
      const Meter trial(subject, few, options.threads, progress);
      return errors_alone(calibrated, chosen, trial);
    });
  }
  while (!(result.final.error <= options.max_error) && any()) {
    leave_out(chosen, errors, result.final.error, options.max_error);
    result.after = in_step(progress, "measure", other.size(),
                           [&] { return meter.outputs(calibrated.with(chosen)); });
    result.final = meter.measure(result.after);
  }

  result.tensors = calibrated.with(chosen);
  QuantizationInfo& said = result.info;
  said.source = source;
  said.method = options.percentile ? fmt::format("{:g} % of the values", *options.percentile)
                                   : "least squared error";
  said.images = static_cast<int>(seen.size());
  said.held_out = static_cast<int>(other.size());
  said.error = result.final.error;
  said.agreement = result.final.agreement;
  said.equalized = options.equalize;
  for (size_t i = 0; i < chosen.size(); ++i) {
    for (const std::string& layer : calibrated.inputs[i].layers) {
      if (chosen[i]) {
        ++result.layers;
        continue;
      }
      result.fp32_layers.push_back({layer, excluded[i] ? std::nullopt : errors[i]});
      said.fp32_layers.push_back(layer);
    }
  }
  return result;
}

Checkpoint quantized_for_benchmark(const Checkpoint& checkpoint) {
  const ModelSpec& spec = checkpoint.spec;
  const int side = spec.preprocessing.size;
  NetworkInputs inputs{side, side, [&](int64_t index, std::span<float> out) {
                         const Tensor image = fill_tensor(fmt::format("input.{}", index),
                                                          {spec.config.in_chans, side, side});
                         std::ranges::copy(to_f32(image), out.begin());
                       }};
  const std::vector<int64_t> images{0, 1};
  const Calibrated calibrated = calibrate(ClassifierSubject(checkpoint, inputs), images, {}, {});
  Checkpoint result = checkpoint;
  result.tensors = calibrated.with(std::vector<bool>(calibrated.inputs.size(), true));
  result.spec.quantization.emplace().method = "generated inputs";
  result.spec.quantization->images = static_cast<int>(images.size());
  return result;
}

}  // namespace asmlp
