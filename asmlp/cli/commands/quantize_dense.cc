// asmlp quantize for detectors and segmentors.
#include <chrono>
#include <map>

#include "asmlp/cli/commands/quantize.h"
#include "asmlp/cli/images/find_images.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/core/error.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/quantize/dense_subject.h"
#include "asmlp/weights/model_file.h"

namespace asmlp::cli {
namespace {

constexpr int64_t kDenseImages = 64;

// At most `wanted` of the images, spread evenly, as small as the network sees them.
struct FittedImages {
  std::vector<Image> images;
  std::vector<std::string> failures;
};
FittedImages read_images(const QuantizeCommand& options, const DenseInput& input, int channels) {
  const FoundImages found = find_images(options.data);
  for (const std::string& note : found.notes) print_note(note);
  FittedImages result;
  for (const auto& missing : found.missing) result.failures.push_back(missing.message);
  const int64_t all = std::ssize(found.files);
  const int64_t wanted = std::min(options.images.value_or(kDenseImages), all);
  require(wanted > 0, ErrorCode::kNotFound, "--data: no image was found{}",
          result.failures.empty() ? "" : "; " + result.failures.front());
  const DecodeOptions decoding = options.image.decoding(input.exif, PixelStyle::kOpenCv);
  Progress bar("read", wanted, "images");
  for (int64_t i = 0; i < wanted; ++i) {
    try {
      const Image image = load_image(found.files[static_cast<size_t>(i * all / wanted)], decoding);
      const CvSize size = fitted_size(image.height, image.width, input.short_side, input.long_side);
      result.images.push_back(resize_bilinear(channels == 1 ? to_gray(image) : image, size));
    } catch (const Error& error) {
      result.failures.push_back(error.what());
    }
    bar.update(i + 1);
  }
  require(!result.images.empty(), ErrorCode::kBadFormat,
          "--data: none of {} images can be read: {}", wanted, result.failures.front());
  return result;
}

template <typename Subject, typename Named>
int quantize_named(const QuantizeCommand& options, const Named& named,
                   const std::string& agreement) {
  const FittedImages data =
      read_images(options, named.spec.preprocessing, named.spec.config.backbone.in_chans);
  for (const std::string& failure : data.failures) print_error(failure);
  const auto start = std::chrono::steady_clock::now();
  const ImageSource source = [&](int64_t index) { return data.images[static_cast<size_t>(index)]; };
  StepBars bars;
  Quantized result = quantize(Subject(named.spec, named.tensors, source), std::ssize(data.images),
                              named.file.filename().string(), options.quantize, bars.callbacks());
  require_layers(result, named.file, options.quantize.max_error);
  if (std::erase_if(result.tensors, [](const auto& named_tensor) {
        return named_tensor.first.starts_with("auxiliary_head.");
      }) > 0) {
    print_note("the auxiliary head is left out: it is for training only");
  }
  auto spec = named.spec;
  spec.quantization = result.info;
  save_model_file(options.out, {{spec}, result.tensors, {}});
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  Json json = quantize_json(options, spec.name, named.file, result);
  json["failed"] = data.failures.size();
  json["seconds"] = elapsed.count();
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(quantize_text(options, json, result, agreement));
  }
  return data.failures.empty() ? kExitOk : kExitFailed;
}

}  // namespace

int quantize_dense(const QuantizeCommand& options, Task task) {
  require(options.split.empty(), ErrorCode::kInvalidArgument,
          "--split is for data sets of classes; give --data the images of a {}",
          task == Task::kDetect ? "detector" : "segmentor");
  ModelOptions model;
  model.model = options.model;
  model.shift_size = options.shift_size;
  if (task == Task::kDetect) {
    return quantize_named<DetectorSubject>(options, load_named_detector(model), "the regions");
  }
  return quantize_named<SegmentorSubject>(options, load_named_segmentor(model), "the pixels");
}

}  // namespace asmlp::cli
