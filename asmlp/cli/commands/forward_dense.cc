// asmlp forward for detectors and segmentors.
#include "asmlp/cli/commands/forward.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/engine/heads/segmentor.h"

namespace asmlp::cli {
namespace {

// Calls run(image, height, width) for every image of the input file and returns their number.
template <typename Run>
int64_t for_images(const ForwardOptions& options, const Config& backbone, const Run& run) {
  Shape shape;
  const std::vector<float> input = read_input(options, backbone, &shape);
  const int64_t values = shape[1] * shape[2] * shape[3];
  for (int64_t i = 0; i < shape[0]; ++i) {
    run(std::span(input).subspan(static_cast<size_t>(i * values), static_cast<size_t>(values)),
        static_cast<int>(shape[2]), static_cast<int>(shape[3]));
  }
  return shape[0];
}

void append(ForwardOutput& output, const Shape& shape, std::span<const float> values) {
  output.shape = shape;
  output.values.insert(output.values.end(), values.begin(), values.end());
}

int forward_detector(const ForwardOptions& options) {
  const NamedDetector named = load_named_detector(options.model);
  check_not_overwritten(named.file, options.output);
  const auto model = PackedDetector::create(
      named.spec, named.tensors, pack_options(options.run, named.tensors, named.spec.name));
  DetectorEngine engine(model, {.threads = options.run.threads});
  std::map<std::string, ForwardOutput> outputs;
  const int64_t images = for_images(options, named.spec.config.backbone,
                                    [&](std::span<const float> image, int height, int width) {
                                      engine.describe_regions(image, height, width, {});
                                      for (const NetworkMap& map : engine.maps())
                                        append(outputs[map.name], map.shape, map.values);
                                    });
  write_outputs(options, std::move(outputs), images, model->precision(), to_string(model->isa()));
  return kExitOk;
}

int forward_segmentor(const ForwardOptions& options) {
  const NamedSegmentor named = load_named_segmentor(options.model);
  check_not_overwritten(named.file, options.output);
  const auto model = PackedSegmentor::create(
      named.spec, named.tensors, pack_options(options.run, named.tensors, named.spec.name));
  SegmentorEngine engine(model, {.threads = options.run.threads});
  std::map<std::string, ForwardOutput> outputs;
  const int64_t images = for_images(
      options, named.spec.config.backbone,
      [&](std::span<const float> image, int height, int width) {
        const segment::LogitView view = engine.logits(image, height, width);
        const int64_t pixels = int64_t{view.height} * view.width;
        std::vector<float> planes(static_cast<size_t>(view.classes * pixels));
        for (int64_t r = 0; r < pixels; ++r) {
          for (int c = 0; c < view.classes; ++c) {
            planes[static_cast<size_t>(c * pixels + r)] = view.values[r * view.stride + c];
          }
        }
        append(outputs["logits"], {1, view.classes, view.height, view.width}, planes);
      });
  write_outputs(options, std::move(outputs), images, model->precision(), to_string(model->isa()));
  return kExitOk;
}

}  // namespace

int forward_dense(const ForwardOptions& options, Task task) {
  require(options.backend == "native", ErrorCode::kUnsupported,
          "`forward` of a {} runs on the native engine only; leave --backend out",
          task == Task::kDetect ? "detector" : "segmentor");
  check_output(options.output);
  check_not_overwritten(options.input, options.output);
  return task == Task::kDetect ? forward_detector(options) : forward_segmentor(options);
}

}  // namespace asmlp::cli
