#include "asmlp/cli/dense/evaluate_dense.h"

#include <chrono>
#include <utility>

#include "asmlp/cli/dense/ahead.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/dataset/coco/coco_pixels.h"
#include "asmlp/detection/coco_detection.h"

namespace asmlp::cli {
namespace {

using Clock = std::chrono::steady_clock;

// What was read, or why not.
template <typename T>
struct Read {
  std::optional<T> sample;
  std::string why;
};

// Reads the samples ahead and gives them to `add` in their order; counts them and those that cannot
// be read.
template <typename T>
void for_each_sample(int64_t count, const std::function<T(int64_t index)>& read,
                     const EvaluateSettings& settings, Evaluated& done,
                     const std::function<void(int64_t index, T sample)>& add) {
  Ahead<Read<T>> samples(count, settings.workers, [&](int64_t index) -> Read<T> {
    try {
      return {read(index), ""};
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      return {std::nullopt, error.what()};
    }
  });
  for (int64_t index = 0; index < count; ++index) {
    Read<T> one = samples.next().value();
    if (one.sample) {
      add(index, std::move(*one.sample));
      ++done.images;
    } else {
      ++done.bad;
      if (settings.on_bad) settings.on_bad(one.why);
    }
    if (settings.progress) settings.progress(done.images, done.bad);
  }
}

struct CocoPixels {
  Image image;
  bool stored = false;
};

}  // namespace

DetectorEvaluation evaluate_detector(const CocoSet& set, const DecodeOptions& decoding,
                                     DetectorKind kind, int threads, const DetectOne& detect_one,
                                     const EvaluateSettings& settings) {
  const auto start = Clock::now();
  const CocoAnnotations& annotations = set.annotations;
  DetectorEvaluation result;
  const auto read = [&](int64_t index) {
    const CocoImage& image = annotations.images[static_cast<size_t>(index)];
    CocoPixels pixels;
    pixels.image = read_coco_image(set.images / image.file_name, image, decoding, pixels.stored);
    return pixels;
  };
  for_each_sample<CocoPixels>(
      std::ssize(annotations.images), read, settings, result,
      [&](int64_t index, CocoPixels pixels) {
        result.stored += pixels.stored;
        for (detect::Detection& found : detect_one(pixels.image)) {
          result.detections.push_back(detect::to_coco(std::move(found), static_cast<int>(index)));
        }
      });
  ThreadPool pool(threads);
  const auto score = [&](CocoTask task) {
    return evaluate_coco(task, static_cast<int>(annotations.images.size()),
                         static_cast<int>(annotations.categories.size()),
                         coco_ground_truth(annotations, task, pool), result.detections, pool);
  };
  result.box = score(CocoTask::kBox);
  if (has_masks(kind) && has_masks(annotations)) result.mask = score(CocoTask::kMask);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

SegmentorEvaluation evaluate_segmentor(const Ade20k& data, std::span<const int> places, int classes,
                                       const SegmentOne& segment_one,
                                       const EvaluateSettings& settings, const LabelsOf& each) {
  const auto start = Clock::now();
  SegmentorEvaluation result{{}, SegmentationMeter(classes)};
  const auto read = [&](int64_t index) {
    LabeledImage sample = data.get(index);
    relabel(sample.labels, places);
    return sample;
  };
  for_each_sample<LabeledImage>(data.size(), read, settings, result,
                                [&](int64_t index, LabeledImage sample) {
                                  const Image labels = segment_one(sample.image);
                                  result.meter.add(labels.pixels, sample.labels.pixels);
                                  if (each) each(index, sample.labels, labels);
                                });
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

}  // namespace asmlp::cli
