#include "asmlp/api/segment_runner.h"

#include <algorithm>

#include "asmlp/api/views.h"
#include "asmlp/core/error.h"
#include "asmlp/model/task.h"

namespace asmlp {
namespace {

std::shared_ptr<const Model> a_segmentor(std::shared_ptr<const Model> model) {
  require(model != nullptr, ErrorCode::kInvalidArgument, "the model is a null pointer");
  const std::string name = model->name().empty() ? "model" : model->name();
  require(model->segmentor() != nullptr, ErrorCode::kUnsupported,
          "{}: the model is a {}, which segments nothing; use {}", name,
          model_kind(model->info().task),
          model->info().task == Task::kDetect ? "Detector" : "Classifier or Backbone");
  require(model->info().num_classes <= 255, ErrorCode::kUnsupported,
          "{}: the model has {} classes, label maps have 255", name, model->info().num_classes);
  return model;
}

segment::PredictOptions predict_options(const SegmentOptions& options) {
  segment::PredictOptions result;
  result.multi_scale = options.multi_scale;
  result.flip = options.flip;
  result.full_size = options.full_size;
  require(options.window >= 0 && options.window_stride >= 0 &&
              (options.window > 0 || options.window_stride == 0),
          ErrorCode::kInvalidArgument,
          "window is {} and window_stride {}; must not be negative, and a stride needs a window",
          options.window, options.window_stride);
  if (options.window == 0) return result;
  const int stride = options.window_stride;
  result.sliding = segment::SlidingWindow{
      options.window, stride > 0 ? stride : std::max(1, options.window * 2 / 3)};
  validate(*result.sliding);
  return result;
}

}  // namespace

SegmentRunner::SegmentRunner(std::shared_ptr<const Model> model, const SegmentOptions& options)
    : model_(a_segmentor(std::move(model))),
      reading_(options.reading),
      input_(resized_to(model_->segmentor()->spec().preprocessing, options.short_side,
                        options.long_side)),
      predict_(predict_options(options)),
      engine_(model_->segmentor(), {.threads = options.threads}) {}

Segmentation SegmentRunner::result(Image labels) const {
  const std::vector<double> shares = segment::class_shares(labels, model_->info().num_classes);
  Segmentation result{labels.height, labels.width, std::move(labels.pixels), {}};
  for (size_t label = 0; label < shares.size(); ++label) {
    if (shares[label] == 0) continue;
    result.shares.push_back(
        {static_cast<int>(label), shares[label], model_->info().classes[label]});
  }
  std::ranges::stable_sort(result.shares, std::greater(), &ClassShare::share);
  return result;
}

SegmentRunner::Results SegmentRunner::run(const std::vector<ImageView>& images) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  for (size_t i = 0; i < images.size(); ++i) check_image(images[i], i);
  Results results;
  for (const ImageView& image : images) {
    results.push_back(
        result(engine_.segment(with_channels(copy_of(image), channels()), input_, predict_)));
  }
  return results;
}

SegmentRunner::Results SegmentRunner::run(const TensorView& tensor) {
  const OneCaller::Writing turn(caller_);
  check_tensor(tensor, channels());
  // The logits are there already: an image of no content is as large as the labels.
  const Image size_only(tensor.height, tensor.width, channels() == 1 ? 1 : 3);
  DenseInput input = input_;
  input.pad_multiple = 1;
  input.mean.assign(static_cast<size_t>(size_only.channels), 0.0);
  input.std.assign(static_cast<size_t>(size_only.channels), 1.0);
  const size_t length = static_cast<size_t>(tensor.channels) * static_cast<size_t>(tensor.height) *
                        static_cast<size_t>(tensor.width);
  Results results;
  for (int i = 0; i < tensor.batch; ++i) {
    const std::span pixels(tensor.data + static_cast<size_t>(i) * length, length);
    results.push_back(result(segment::predict(size_only, input, model_->info().num_classes,
                                              [&](std::span<const float>, int height, int width) {
                                                return engine_.logits(pixels, height, width);
                                              },
                                              {.full_size = true})));
  }
  return results;
}

SegmentRunner::Results SegmentRunner::run(const std::filesystem::path& file) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  const DecodeOptions decoding = decode_options(reading_, PixelStyle::kOpenCv);
  const Image image = with_channels(decode_image(file, decoding), channels());
  return {result(engine_.segment(image, input_, predict_))};
}

SegmentRunner::Results SegmentRunner::run(const void* bytes, std::size_t size) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  const Image image =
      with_channels(decode_bytes(bytes, size, reading_, PixelStyle::kOpenCv), channels());
  return {result(engine_.segment(image, input_, predict_))};
}

void SegmentRunner::run(const ImageView& image, const LabelView& out) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  check_image(image, 0);
  require(out.labels != nullptr, ErrorCode::kInvalidArgument,
          "the output for the labels is a null pointer");
  require(out.height == image.height && out.width == image.width, ErrorCode::kMismatch,
          "the output has room for {} x {} labels, exactly {} x {} are needed", out.height,
          out.width, image.height, image.width);
  require(out.row_bytes == 0 || out.row_bytes >= out.width, ErrorCode::kInvalidArgument,
          "the output has rows of {} bytes, {} apart; they overlap", out.width, out.row_bytes);
  const Image labels = engine_.segment(with_channels(copy_of(image), channels()), input_, predict_);
  const ptrdiff_t apart = out.row_bytes != 0 ? out.row_bytes : out.width;
  for (int y = 0; y < out.height; ++y) {
    std::copy_n(labels.row(y), out.width, out.labels + y * apart);
  }
}

void discard(std::unique_ptr<SegmentRunner>& runner) noexcept {
  if (runner && runner->left_half_done()) {
    static_cast<void>(runner.release());
  } else {
    runner.reset();
  }
}

}  // namespace asmlp
