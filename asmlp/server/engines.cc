#include "asmlp/server/engines.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp::server {
namespace {

ImageView view_of(const Image& image) {
  return {image.pixels.data(), image.height, image.width, image.channels};
}

}  // namespace

Image decode(const Picture& picture, Task task, const ServiceOptions& options) {
  DecodeOptions decoding = with_max_pixels({}, options.max_pixels);
  decoding.exif = options.exif;
  decoding.style = task == Task::kClassify ? PixelStyle::kPillow : PixelStyle::kOpenCv;
  return decode_image(std::as_bytes(std::span(picture.bytes)), "image", decoding);
}

ServedModel::Engines::Engines(std::shared_ptr<const Model> model, const ServiceOptions& options)
    : model_(std::move(model)), options_(options) {
  const ModelInfo& info = model_->info();
  require(info.in_channels == 1 || info.in_channels == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, pictures have 1 or 3", info.name, info.in_channels);
  for (int worker = 0; worker < options.batching.workers; ++worker) {
    const int batch = options.batching.max_batch;
    if (info.task == Task::kDetect) {
      detectors_.emplace_back(model_,
                              DetectOptions{.threads = options.threads, .max_batch = batch});
    } else if (info.task == Task::kSegment) {
      segmentors_.emplace_back(model_, SegmentOptions{.threads = options.threads});
    } else {
      classifiers_.emplace_back(model_, RunOptions{.threads = options.threads, .max_batch = batch});
    }
  }
  warm_up();
}

void ServedModel::Engines::warm_up() {
  const ModelInfo& info = model_->info();
  if (info.task == Task::kClassify) {
    const int batch = options_.batching.max_batch, side = info.image_size;
    const std::vector<float> zeros(static_cast<size_t>(batch) *
                                   static_cast<size_t>(info.in_channels) *
                                   static_cast<size_t>(side) * static_cast<size_t>(side));
    for (Classifier& classifier : classifiers_) {
      classifier.logits(TensorView{zeros.data(), batch, info.in_channels, side, side});
    }
    return;
  }
  const Image black(info.short_side, std::max(info.short_side, info.long_side), 3);
  for (Detector& detector : detectors_) detector.detect(view_of(black));
  for (Segmentor& segmentor : segmentors_) segmentor.segment(view_of(black));
}

bool ServedModel::Engines::together(const Work& first, const Work& other) const {
  if (model_->info().task != Task::kClassify) return true;
  // Memory is planned for full batches of the model's own size; larger images run alone.
  const int64_t side = model_->info().image_size;
  return first.height == other.height && first.width == other.width &&
         int64_t{first.height} * first.width <= 4 * side * side;
}

void ServedModel::Engines::classify(Classifier& classifier, std::span<Work* const> batch) const {
  const ModelInfo& info = model_->info();
  const Work& first = *batch.front();
  std::vector<float> joined;
  const float* input = first.tensor.data();
  if (batch.size() > 1) {
    joined.reserve(batch.size() * first.tensor.size());
    for (const Work* work : batch) {
      joined.insert(joined.end(), work->tensor.begin(), work->tensor.end());
    }
    input = joined.data();
  }
  const std::vector<float> logits = classifier.logits(TensorView{
      input, static_cast<int>(batch.size()), info.in_channels, first.height, first.width});
  const auto classes = static_cast<ptrdiff_t>(info.num_classes);
  auto from = logits.begin();
  for (Work* work : batch) {
    work->logits.assign(from, from + classes);
    from += classes;
  }
}

void ServedModel::Engines::detect(Detector& detector, std::span<Work* const> batch) const {
  std::vector<Image> images;
  std::vector<ImageView> views;
  images.reserve(batch.size());  // views point into it
  for (const Work* work : batch) {
    images.push_back(decode(work->picture, Task::kDetect, options_));
    views.push_back(view_of(images.back()));
  }
  std::vector<std::vector<Detection>> found = detector.detect(views);
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i]->height = images[i].height;
    batch[i]->width = images[i].width;
    batch[i]->detections = std::move(found[i]);
  }
}

void ServedModel::Engines::segment(Segmentor& segmentor, std::span<Work* const> batch) const {
  for (Work* work : batch) {
    const Image image = decode(work->picture, Task::kSegment, options_);
    Segmentation found = segmentor.segment(view_of(image));
    work->height = found.height;
    work->width = found.width;
    work->labels = std::move(found.labels);
  }
}

void ServedModel::Engines::run(int worker, std::span<Work* const> batch) {
  const auto k = static_cast<size_t>(worker);
  if (!detectors_.empty()) {
    detect(detectors_[k], batch);
  } else if (!segmentors_.empty()) {
    segment(segmentors_[k], batch);
  } else {
    classify(classifiers_[k], batch);
  }
}

}  // namespace asmlp::server
