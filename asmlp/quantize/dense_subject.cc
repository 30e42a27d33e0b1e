#include "asmlp/quantize/dense_subject.h"

#include <algorithm>

#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/quantize/calibration.h"

namespace asmlp {
namespace {

// Values of an image's maps, and pixels of it, that are kept to be compared.
constexpr size_t kLogits = 4096;
constexpr int64_t kPixels = 512;

// An image as a network takes it.
struct NetworkInput {
  CvSize size;
  std::vector<float> values;
};
NetworkInput input_of(const Image& image, const DenseInput& input) {
  const CvSize fitted = fitted_size(image.height, image.width, input.short_side, input.long_side);
  NetworkInput result{padded_size(fitted, input), {}};
  result.values.resize(size_t(image.channels) * result.size.height * result.size.width);
  normalize_into(resize_bilinear(image, fitted), input, result.size.height, result.size.width,
                 result.values);
  return result;
}

// Every n-th value, so that at most `most` are kept.
void keep_some(const std::vector<float>& values, size_t most, std::vector<float>& kept) {
  const size_t step = (values.size() + most - 1) / most;
  for (size_t i = 0; i < values.size(); i += step) kept.push_back(values[i]);
}

// The whole input, its ninths, and its twenty-fifths.
std::vector<detect::Box> regions_of(CvSize size) {
  std::vector<detect::Box> boxes;
  for (const int parts : {1, 3, 5}) {
    const float w = static_cast<float>(size.width) / static_cast<float>(parts);
    const float h = static_cast<float>(size.height) / static_cast<float>(parts);
    for (int y = 0; y < parts; ++y) {
      for (int x = 0; x < parts; ++x) {
        boxes.push_back({w * float(x), h * float(y), w * float(x + 1), h * float(y + 1)});
      }
    }
  }
  return boxes;
}

}  // namespace

void DetectorSubject::observe(const TensorMap& tensors, std::span<const int64_t> images,
                              int threads, InputObserver& observer,
                              const ImageCounter& progress) const {
  const auto model = PackedDetector::create(spec_, tensors);
  observer.watch(input_readers(model->config(), model->weights()));
  DetectorEngine engine(model, {.threads = threads});
  engine.observe(&observer);
  for (const int64_t index : images) {
    engine.detect(images_(index));
    if (progress) progress(1);
  }
}

std::vector<OutputPart> DetectorSubject::outputs(const TensorMap& tensors,
                                                 std::span<const int64_t> images, int threads,
                                                 const ImageCounter& progress) const {
  OutputPart logits, classes{{}, spec_.config.num_classes + 1, true}, masks;
  DetectorEngine engine(PackedDetector::create(spec_, tensors), {.threads = threads});
  for (const int64_t index : images) {
    const auto [size, values] = input_of(images_(index), spec_.preprocessing);
    const auto found = engine.describe_regions(values, size.height, size.width, regions_of(size));
    classes.values.insert(classes.values.end(), found.probabilities.begin(),
                          found.probabilities.end());
    if (!found.masks.empty()) keep_some(found.masks, kLogits, masks.values);
    for (const NetworkMap& map : engine.maps()) {
      if (map.name.starts_with("rpn.logits.")) keep_some(map.values, kLogits, logits.values);
    }
    if (progress) progress(1);
  }
  std::vector<OutputPart> parts{std::move(logits), std::move(classes)};
  if (has_masks(spec_.config.kind)) parts.push_back(std::move(masks));
  return parts;
}

void SegmentorSubject::observe(const TensorMap& tensors, std::span<const int64_t> images,
                               int threads, InputObserver& observer,
                               const ImageCounter& progress) const {
  const auto model = PackedSegmentor::create(spec_, tensors);
  observer.watch(input_readers(model->config(), model->weights()));
  SegmentorEngine engine(model, {.threads = threads});
  engine.observe(&observer);
  for (const int64_t index : images) {
    const auto [size, values] = input_of(images_(index), spec_.preprocessing);
    engine.logits(values, size.height, size.width);
    if (progress) progress(1);
  }
}

std::vector<OutputPart> SegmentorSubject::outputs(const TensorMap& tensors,
                                                  std::span<const int64_t> images, int threads,
                                                  const ImageCounter& progress) const {
  OutputPart logits{{}, spec_.config.num_classes, true};
  SegmentorEngine engine(PackedSegmentor::create(spec_, tensors), {.threads = threads});
  for (const int64_t index : images) {
    const auto [size, values] = input_of(images_(index), spec_.preprocessing);
    const segment::LogitView view = engine.logits(values, size.height, size.width);
    const int64_t pixels = int64_t{view.height} * view.width;
    const int64_t step = (pixels + kPixels - 1) / kPixels;
    for (int64_t r = 0; r < pixels; r += step) {
      const float* row = view.values + r * view.stride;
      logits.values.insert(logits.values.end(), row, row + view.classes);
    }
    if (progress) progress(1);
  }
  return {std::move(logits)};
}

}  // namespace asmlp
