#include "asmlp/quantize/dense_subject.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/quantize/quantize.h"
#include "asmlp/weights/quantized.h"
#include "tests/support/networks.h"
#include "tests/support/support.h"

namespace asmlp::dense_subject_test {
namespace {

using test::filled, test::small_detector, test::small_segmentor;

Image picture(int64_t index) {
  Image image(50 + 7 * static_cast<int>(index % 3), 70, 3);
  const auto noise = to_f32(
      fill_tensor("input." + std::to_string(index), {static_cast<int64_t>(image.pixels.size())}));
  for (size_t i = 0; i < noise.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(std::clamp(128 + 70 * noise[i], 0.0f, 255.0f));
  }
  return image;
}

QuantizeOptions loose() {
  QuantizeOptions options;
  options.max_error = 10;
  return options;
}

template <typename NetworkConfig>
void expect_layers(const NetworkConfig& config, const QuantizationSubject& subject,
                   const Quantized& result) {
  std::vector<std::string> named, all = quantizable_layers(config);
  for (const LayerInput& input : subject.inputs()) {
    named.insert(named.end(), input.layers.begin(), input.layers.end());
    for (const std::string& layer : input.layers) {
      const Shape& shape = subject.tensors().at(layer + ".weight").shape;
      EXPECT_EQ(element_count(shape) / shape[0], input.depth) << layer;
      EXPECT_TRUE(is_quantized(result.tensors, layer)) << layer;
    }
  }
  std::ranges::sort(named);
  std::ranges::sort(all);
  EXPECT_EQ(named, all);
  EXPECT_EQ(result.layers, std::ssize(all));
  EXPECT_GT(result.final.error, 0);
  // Some 30 layers that are off by 1 % each; one that reads the wrong thing gives 1.
  EXPECT_LT(result.final.error, 0.2);
  EXPECT_EQ(quantization_problem(config, result.tensors), "");
}

TEST(DetectorSubject, EveryLayerIsInInt8AndNearTheFp32Outputs) {
  for (const DetectorKind kind :
       {DetectorKind::kMaskRcnn, DetectorKind::kCascade, DetectorKind::kFasterRcnn}) {
    const DetectorSpec spec = small_detector(kind);
    const ImageSource images = picture;
    const DetectorSubject subject(spec, filled(parameter_table(spec.config)), images);
    const Quantized result = quantize(subject, 8, "m.safetensors", loose());
    expect_layers(spec.config, subject, result);
    const auto model = PackedDetector::create(spec, result.tensors);
    EXPECT_EQ(model->precision(), Precision::kInt8);
    // int8 has the same bits on every instruction set.
    const auto reference = DetectorEngine(model).detect(picture(0));
    for (const Isa isa : available_isas()) {
      DetectorEngine engine(PackedDetector::create(spec, result.tensors, {.isa = isa}));
      EXPECT_EQ(engine.detect(picture(0)), reference) << to_string(isa);
    }
  }
}

TEST(SegmentorSubject, EveryLayerIsInInt8AndNearTheFp32Outputs) {
  const SegmentorSpec spec = small_segmentor();
  const ImageSource images = picture;
  const SegmentorSubject subject(spec, filled(parameter_table(spec.config)), images);
  const Quantized result = quantize(subject, 8, "m.safetensors", loose());
  expect_layers(spec.config, subject, result);
  const Image reference =
      SegmentorEngine(PackedSegmentor::create(spec, result.tensors)).segment(picture(0));
  for (const Isa isa : available_isas()) {
    SegmentorEngine engine(PackedSegmentor::create(spec, result.tensors, {.isa = isa}));
    EXPECT_EQ(engine.segment(picture(0)).pixels, reference.pixels) << to_string(isa);
  }
}

TEST(QuantizedDetector, NeedsWhatGoesWithItsLayers) {
  const DetectorSpec spec = small_detector(DetectorKind::kCascade);
  const ImageSource images = picture;
  const DetectorSubject subject(spec, filled(parameter_table(spec.config)), images);
  const TensorMap tensors = quantize(subject, 4, "", loose()).tensors;
  const std::string layer = "neck.fpn_convs.0.conv";
  for (const std::string part : {kWeightScale, kInputScale, kInputZeroPoint}) {
    TensorMap less = tensors;
    less.erase(layer + part);
    test::error_of(ErrorCode::kMismatch, [&] { PackedDetector::create(spec, less); });
  }
  TensorMap wrong = tensors;
  wrong["rpn_head.rpn_cls.weight"] = tensors.at(layer + ".weight");
  test::error_of(ErrorCode::kMismatch, [&] { PackedDetector::create(spec, wrong); });
  test::error_of(ErrorCode::kUnsupported,
                 [&] { PackedDetector::create(spec, tensors, {.precision = Precision::kBf16}); });
}

}  // namespace
}  // namespace asmlp::dense_subject_test
