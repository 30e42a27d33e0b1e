#include "asmlp/cli/bench/dense_bench.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "asmlp/cli/bench/bench_precision.h"
#include "asmlp/cli/bench/dense_contender.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/report/machine.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/fill.h"

namespace asmlp::cli {
namespace {

constexpr int kMostSide = 16384;

// A network of more than a few layers takes the portable kernels some seconds at this side.
constexpr int kVerifiedSide = 96;

template <typename Spec>
struct BenchedModel {
  std::string name;
  std::string weights;  // "deterministic", or the file
  Spec spec;
  TensorMap tensors;
};

template <typename Spec>
BenchedModel<Spec> open_model(const std::string& word, Task task,
                              Spec (*resolve)(const std::string&),
                              NamedModel<Spec> (*load)(const ModelOptions&)) {
  BenchedModel<Spec> model;
  if (is_json_or_yaml(word) || is_zoo_name(word, task)) {
    model.spec = resolve(word);
    model.name = model.spec.name.empty() ? word : model.spec.name;
    model.weights = "deterministic";
    for (const Param& param : parameter_table(model.spec.config)) {
      model.tensors[param.name] = fill_tensor(param.name, param.shape);
    }
    return model;
  }
  ModelOptions file;
  file.model = word;
  NamedModel<Spec> named = load(file);
  model.name = named.spec.name;
  model.weights = named.file.string();
  model.spec = std::move(named.spec);
  model.tensors = std::move(named.tensors);
  return model;
}

// Noise, the same every time.
Image noise_image(int height, int width, int channels, uint64_t seed) {
  Image image(height, width, channels);
  uint64_t state = seed;
  for (uint8_t& value : image.pixels) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<uint8_t>(state >> 56);
  }
  return image;
}

// The preprocessing that leaves an image of this size as it is.
DenseInput input_of_size(DenseInput input, int height, int width) {
  input.short_side = std::min(height, width);
  input.long_side = std::max(height, width);
  return input;
}

// What is measured at which size: the options' or the model's.
std::pair<int, int> size_of(const DenseBenchOptions& options, const DenseInput& input) {
  if (options.height > 0) return {options.height, options.width};
  const int wanted = (input.short_side * 4 + 2) / 3;
  const int padded = (wanted + input.pad_multiple - 1) / input.pad_multiple * input.pad_multiple;
  return {input.short_side, std::min(padded, std::max(input.long_side, input.short_side))};
}

// The runs of one row: those of the native engine for every precision and ISA, one of LibTorch.
std::vector<std::pair<const DenseBackend*, RunOptions>> cases_of(
    const DenseBenchOptions& options, std::span<const DenseBackend> backends) {
  std::vector<std::pair<const DenseBackend*, RunOptions>> cases;
  const std::vector<std::string> any{""};
  for (const DenseBackend& backend : backends) {
    const bool native = backend.name == "native";
    require(
        native || options.precisions.empty() || std::ranges::count(options.precisions, "fp32") > 0,
        ErrorCode::kUnsupported,
        "--backend torch: the LibTorch path computes in fp32; add it to --precision");
    for (const std::string& isa : native && !options.isas.empty() ? options.isas : any) {
      for (const std::string& precision :
           native && !options.precisions.empty() ? options.precisions : any) {
        cases.push_back({&backend, {options.repetition.threads, isa, precision}});
      }
    }
  }
  return cases;
}

using Found = std::vector<detect::Detection>;

double overlap(const std::array<float, 4>& a, const std::array<float, 4>& b) {
  const auto area = [](const std::array<float, 4>& box) {
    return std::max(0.0, double{box[2]} - box[0]) * std::max(0.0, double{box[3]} - box[1]);
  };
  const double shared = area(
      {std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3])});
  const double all = area(a) + area(b) - shared;
  return all > 0 ? shared / all : 1;
}

// The share of the reference's objects that are not among `found`.
double missing_share(const Found& found, const Found& reference) {
  if (reference.empty()) return found.empty() ? 0 : 1;
  const auto missing = std::ranges::count_if(reference, [&](const detect::Detection& wanted) {
    return std::ranges::none_of(found, [&](const detect::Detection& d) {
      return d.label == wanted.label && overlap(d.box, wanted.box) > 0.75 &&
             std::abs(d.score - wanted.score) < 0.05;
    });
  });
  return static_cast<double>(missing) / static_cast<double>(reference.size());
}

// Raises `difference` and `magnitude` to the largest |a - b| and |b|; the former is infinite for
// other sizes and for values that are not finite.
void compare(std::span<const float> a, std::span<const float> b, double& difference,
             double& magnitude) {
  if (a.size() != b.size()) difference = INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double apart = std::abs(double{a[i]} - b[i]);
    difference = std::isfinite(apart) ? std::max(difference, apart) : INFINITY;
    magnitude = std::max(magnitude, std::abs(double{b[i]}));
  }
}

double relative(double difference, double magnitude) {
  return magnitude > 0 ? difference / magnitude : difference;
}

// Of the map where it is largest: the scales of a pyramid and of its scores have nothing in common.
double map_error(const std::vector<NetworkMap>& maps, const std::vector<NetworkMap>& reference) {
  if (maps.size() != reference.size()) return INFINITY;
  double worst = 0;
  for (size_t k = 0; k < maps.size(); ++k) {
    double difference = 0, magnitude = 0;
    compare(maps[k].values, reference[k].values, difference, magnitude);
    worst = std::max(worst, relative(difference, magnitude));
  }
  return worst;
}

void check(const DenseVerification& verified, const DenseBackend& backend, const RunOptions& run) {
  require(!verified.error || *verified.error <= verified.tolerance, ErrorCode::kMismatch,
          "{}, {}: the network's maps differ by {:.1e} from those of the portable fp32 kernels, "
          "more than {:.1e}",
          backend.name, run.precision.empty() ? "default precision" : run.precision,
          verified.error.value_or(0), verified.tolerance);
}

// The portable kernels, in fp32 or, of a quantized model, int8.
RunOptions portable(int threads) { return {threads, "reference", ""}; }

// A detector and how it is measured.
class DetectBench {
 public:
  static constexpr const char* kRest = "input";  // and what lies between the parts
  static constexpr const char* kDefault = "mask_rcnn_asmlp_tiny";

  DetectBench(const std::string& word, const DenseBenchOptions& options)
      : model_(open_model(word, Task::kDetect, resolve_detector, load_named_detector)),
        threads_(options.repetition.threads) {
    std::tie(height_, width_) = size_of(options, model_.spec.preprocessing);
  }
  const BenchedModel<DetectorSpec>& model() const { return model_; }
  int height() const { return height_; }
  int width() const { return width_; }

  // Larger and larger class weights, until enough classes pass the threshold: already of few
  // proposals, because the box heads of a cascade take seconds for all of them.
  void prepare(const DenseBackend& native) {
    if (model_.weights != "deterministic") return;
    const std::vector<Image> images = images_of(1);
    DetectorSpec spec = model_.spec;
    ProposalConfig& proposals = spec.config.rpn.test_proposals;
    proposals.kept = std::min(proposals.kept, 2 * spec.config.test.max_detections);
    for (int doubling = 0; doubling < 16; ++doubling) {
      const auto runner = start(native, spec, {.run = {.threads = threads_}});
      const auto found = runner->detect(images, input_of_size(spec.preprocessing, height_, width_));
      if (std::ssize(found[0]) >= spec.config.test.max_detections) return;
      for (auto& [name, tensor] : model_.tensors) {
        if (!name.ends_with("fc_cls.weight")) continue;
        std::vector<float> values = to_f32(tensor);
        for (float& value : values) value *= 2;
        tensor = make_tensor(tensor.shape, std::move(values));
      }
    }
  }

  // On few proposals and a small image, which the portable kernels can do.
  DenseVerification verify(const DenseBackend& backend, const RunOptions& run) {
    DetectorSpec spec = model_.spec;
    spec.config.rpn.test_proposals.kept = 16;
    spec.config.test.max_detections = 8;
    spec.config.test.score_threshold = 0;
    const Image image = noise_image(kVerifiedSide, kVerifiedSide, channels(), 7);
    const DenseInput input = input_of_size(spec.preprocessing, kVerifiedSide, kVerifiedSide);
    Precision precision{};
    const auto detect = [&](const DenseBackend& on, const RunOptions& how) {
      const auto runner = start(on, spec, {.run = how});
      precision = runner->precision();
      Result result;
      result.found = runner->detect({&image, 1}, input)[0];
      result.maps = runner->maps();
      return result;
    };
    if (!reference_) reference_ = detect(native_dense_backend(), portable(threads_));
    const Result result = detect(backend, run);
    DenseVerification verified{kVerifiedSide, kVerifiedSide, {}, allowed_error(precision), {}};
    if (!result.maps.empty()) verified.error = map_error(result.maps, reference_->maps);
    verified.missing = missing_share(result.found, reference_->found);
    check(verified, backend, run);
    return verified;
  }

  std::unique_ptr<DenseContender> contender(const DenseBackend& backend, const RunOptions& run,
                                            int batch) const {
    std::shared_ptr<DetectorRunner> runner =
        start(backend, model_.spec, {.run = run, .max_batch = batch, .profile = true});
    return std::make_unique<DenseContender>(
        backend.name, runner,
        [runner, images = images_of(batch),
         input = input_of_size(model_.spec.preprocessing, height_, width_)] {
          int64_t objects = 0;
          for (const Found& found : runner->detect(images, input)) objects += std::ssize(found);
          return objects;
        });
  }

 private:
  int channels() const { return model_.spec.config.backbone.in_chans; }
  std::vector<Image> images_of(int count) const {
    std::vector<Image> images;
    for (int i = 0; i < count; ++i) {
      images.push_back(noise_image(height_, width_, channels(), static_cast<uint64_t>(i) + 1));
    }
    return images;
  }
  std::unique_ptr<DetectorRunner> start(const DenseBackend& backend, const DetectorSpec& spec,
                                        const DenseOptions& options) const {
    return backend.start_detector(spec, model_.tensors, options);
  }

  BenchedModel<DetectorSpec> model_;
  int threads_, height_ = 0, width_ = 0;
  struct Result {
    Found found;
    std::vector<NetworkMap> maps;
  };
  std::optional<Result> reference_;
};

// A segmentor and how it is measured.
class SegmentBench {
 public:
  static constexpr const char* kRest = "resize";  // of the logits, and what lies between the parts
  static constexpr const char* kDefault = "upernet_asmlp_tiny";

  SegmentBench(const std::string& word, const DenseBenchOptions& options)
      : model_(open_model(word, Task::kSegment, resolve_segmentor, load_named_segmentor)) {
    std::tie(height_, width_) = size_of(options, model_.spec.preprocessing);
  }
  const BenchedModel<SegmentorSpec>& model() const { return model_; }
  int height() const { return height_; }
  int width() const { return width_; }

  void prepare(const DenseBackend&) {}

  DenseVerification verify(const DenseBackend& backend, const RunOptions& run) {
    const int64_t channels = model_.spec.config.backbone.in_chans;
    const std::vector<float> input =
        to_f32(fill_tensor("input", {channels, kVerifiedSide, kVerifiedSide}));
    const auto logits = [&](const DenseBackend& on, const RunOptions& how) {
      const auto runner = on.start_segmentor(model_.spec, model_.tensors, {.run = how});
      const segment::LogitView view = runner->logits(input, kVerifiedSide, kVerifiedSide);
      std::vector<float> values;
      for (int64_t pixel = 0; pixel < int64_t{view.height} * view.width; ++pixel) {
        const float* const from = view.values + pixel * view.stride;
        values.insert(values.end(), from, from + view.classes);
      }
      return std::pair(std::move(values), runner->precision());
    };
    if (reference_.empty()) {
      reference_ = logits(native_dense_backend(), portable(run.threads)).first;
    }
    const auto [values, precision] = logits(backend, run);
    double difference = 0, magnitude = 0;
    compare(values, reference_, difference, magnitude);
    const DenseVerification verified{kVerifiedSide,
                                     kVerifiedSide,
                                     relative(difference, magnitude),
                                     allowed_error(precision),
                                     {}};
    check(verified, backend, run);
    return verified;
  }

  std::unique_ptr<DenseContender> contender(const DenseBackend& backend, const RunOptions& run,
                                            int) const {
    std::shared_ptr<SegmentorRunner> runner =
        backend.start_segmentor(model_.spec, model_.tensors, {.run = run, .profile = true});
    return std::make_unique<DenseContender>(
        backend.name, runner,
        [runner, image = noise_image(height_, width_, model_.spec.config.backbone.in_chans, 1),
         input = input_of_size(model_.spec.preprocessing, height_, width_)] {
          runner->segment(image, input, {});
          return int64_t{0};
        });
  }

 private:
  BenchedModel<SegmentorSpec> model_;
  int height_ = 0, width_ = 0;
  std::vector<float> reference_;
};

Json json_of(const DenseVerification& verified) {
  Json json{{"height", verified.height}, {"width", verified.width}};
  if (verified.error) {
    json["relative_error"] = *verified.error;
    json["tolerance"] = verified.tolerance;
  }
  if (verified.missing) json["missing_share"] = *verified.missing;
  return json;
}

// How many times as fast `row` is as `other`, by part that both have.
Json speedup(const Json& row, const Json& other) {
  Json all = Json::object();
  for (const auto& [part, ms] : row["parts_ms"].items()) {
    if (!other["parts_ms"].contains(part)) continue;
    const auto ratio = [&](const char* value) {
      const double own = ms[value].template get<double>();
      return own > 0 ? other["parts_ms"][part][value].template get<double>() / own : 0.0;
    };
    all[part] = {{"median", ratio("median")}, {"min", ratio("min")}};
  }
  return all;
}

template <typename Bench>
void measure_model(Bench& bench, const DenseBenchOptions& options,
                   std::span<const DenseBackend> backends, Json& rows) {
  for (const int side : {bench.height(), bench.width()}) {
    require(side >= 1 && side <= kMostSide, ErrorCode::kInvalidArgument,
            "an image of {} x {} pixels (height x width); sides are 1..{}", bench.height(),
            bench.width(), kMostSide);
  }
  const auto cases = cases_of(options, backends);
  bench.prepare(backends.front());
  std::vector<DenseVerification> verified;
  for (const auto& [backend, run] : cases) verified.push_back(bench.verify(*backend, run));
  for (const int batch : options.batches) {
    std::vector<std::unique_ptr<DenseContender>> contenders;
    for (const auto& [backend, run] : cases) {
      contenders.push_back(bench.contender(*backend, run, batch));
    }
    // In turns, so that whatever else the machine does meets all of them.
    const auto [_, runs, warmup] = options.repetition;
    const int piece = std::max(1, (runs + kPeakPieces - 2) / (kPeakPieces - 1));
    Progress progress("bench", warmup + runs, "runs of each");
    for (int run = -warmup; run < runs; ++run) {
      for (const auto& one : contenders) {
        if (run >= 0 && run % piece == 0) one->sample_peak();
        one->run(run >= 0);
      }
      progress.update(run + warmup + 1, "");
    }
    for (const auto& one : contenders) one->sample_peak();
    progress.finish();
    const size_t first = rows.size();
    for (size_t k = 0; k < contenders.size(); ++k) {
      const DenseContender& one = *contenders[k];
      Json row{{"task", to_string(options.task)},
               {"model", bench.model().name},
               {"weights", bench.model().weights},
               {"backend", one.backend()},
               {"precision", to_string(one.runner().precision())},
               {"height", bench.height()},
               {"width", bench.width()},
               {"batch", batch},
               {"warmup", warmup}};
      row.update(one.row(Bench::kRest, batch, contenders.front()->gflop()));
      row["verified"] = json_of(verified[k]);
      if (options.task != Task::kDetect) row.erase("detections");
      rows.push_back(std::move(row));
    }
    if (contenders.back()->backend() == "native") continue;
    for (size_t k = first; k + 1 < rows.size(); ++k) {
      rows[k]["speedup"] = speedup(rows[k], rows.back());
    }
  }
}

template <typename Bench>
Json measure(const DenseBenchOptions& options, std::span<const DenseBackend> backends) {
  Json document = measurement_document();
  const std::vector<std::string> models =
      options.models.empty() ? std::vector<std::string>{Bench::kDefault} : options.models;
  for (const std::string& word : models) {
    Bench bench(word, options);
    measure_model(bench, options, backends, document["rows"]);
  }
  return document;
}

}  // namespace

Json measure_dense(const DenseBenchOptions& options, std::span<const DenseBackend> backends) {
  return options.task == Task::kDetect ? measure<DetectBench>(options, backends)
                                       : measure<SegmentBench>(options, backends);
}

}  // namespace asmlp::cli
