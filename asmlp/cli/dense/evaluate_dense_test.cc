#include "asmlp/cli/dense/evaluate_dense.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "asmlp/core/error.h"
#include "asmlp/dataset/coco_layout.h"
#include "tests/support/support.h"

namespace asmlp::cli::evaluate_dense_test {
namespace {

namespace fs = std::filesystem;

DecodeOptions as_opencv() {
  DecodeOptions decoding;
  decoding.style = PixelStyle::kOpenCv;
  return decoding;
}

// A detector that knows the truth of the images in their order.
class Oracle {
 public:
  explicit Oracle(const CocoAnnotations& truth) : truth_(truth) {}
  std::vector<detect::Detection> operator()(const Image& image) {
    std::vector<detect::Detection> found;
    for (const CocoAnnotation& object : truth_.annotations) {
      if (object.image != next_) continue;
      const auto [x, y, w, h] = object.box;
      const auto single = [](double value) { return static_cast<float>(value); };
      found.push_back({{single(x), single(y), single(x + w), single(y + h)},
                       0.9f,
                       object.label,
                       coco_mask(object, truth_.images[static_cast<size_t>(next_)])});
      EXPECT_EQ(found.back().mask.width, image.width);
    }
    ++next_;
    return found;
  }

 private:
  const CocoAnnotations& truth_;
  int next_ = 0;
};

TEST(EvaluateDetector, TheTruthScoresOneForAnyNumberOfWorkers) {
  const CocoSet set = open_coco(find_coco(asmlp::test::data("coco_base"), "validation"));
  for (const int workers : {0, 1, 3}) {
    Oracle oracle(set.annotations);
    int64_t last = 0;
    EvaluateSettings settings;
    settings.workers = workers;
    settings.progress = [&](int64_t images, int64_t bad) {
      EXPECT_EQ(images, ++last);
      EXPECT_EQ(bad, 0);
    };
    const DetectorEvaluation result =
        evaluate_detector(set, as_opencv(), DetectorKind::kMaskRcnn, 1, std::ref(oracle), settings);
    EXPECT_EQ(result.images, 3);
    EXPECT_EQ(result.bad, 0);
    EXPECT_EQ(result.detections.size(), set.annotations.annotations.size());
    EXPECT_NEAR(result.box.ap, 1, 1e-12);
    ASSERT_TRUE(result.mask.has_value());
    EXPECT_NEAR(result.mask->ap, 1, 1e-12);
  }
  Oracle oracle(set.annotations);
  EXPECT_FALSE(
      evaluate_detector(set, as_opencv(), DetectorKind::kFasterRcnn, 1, std::ref(oracle), {})
          .mask.has_value());
}

TEST(EvaluateDetector, WhatCannotBeReadIsNamedAndMissed) {
  CocoSet set = open_coco(find_coco(asmlp::test::data("coco_base"), "validation"));
  set.annotations.images[1].file_name = "gone.jpg";
  set.annotations.images[2].width += 1;
  std::vector<std::string> why;
  EvaluateSettings settings;
  settings.on_bad = [&](const std::string& message) { why.push_back(message); };
  Oracle oracle(set.annotations);
  const DetectorEvaluation result =
      evaluate_detector(set, as_opencv(), DetectorKind::kMaskRcnn, 1, std::ref(oracle), settings);
  EXPECT_EQ(result.images, 1);
  EXPECT_EQ(result.bad, 2);
  ASSERT_EQ(why.size(), 2u);
  EXPECT_NE(why[0].find("gone.jpg"), std::string::npos);
  EXPECT_NE(why[1].find("the annotations say"), std::string::npos);
  EXPECT_LT(result.box.ar100, 1);
  EXPECT_GT(result.box.ar100, 0);
}

TEST(EvaluateSegmentor, CountsThePixelsOfTheModelsClasses) {
  const Ade20k data(asmlp::test::data("cases/ade_no_labels"), "validation");
  int64_t seen = 0;
  const auto nothing = [&](const Image& image) {
    ++seen;
    return Image(image.height, image.width, 1);
  };
  const SegmentorEvaluation result =
      evaluate_segmentor(data, std::vector<int>{2, 1, 0}, 3, nothing, {});
  EXPECT_EQ(result.images, seen);
  EXPECT_EQ(result.images, data.size());
  EXPECT_EQ(result.meter.pixels(), 0);
}

// What the backend throws is no fault of the data.
TEST(EvaluateSegmentor, ErrorsOfTheBackendAreThrown) {
  const Ade20k data(asmlp::test::data("cases/ade_no_labels"), "validation");
  const auto broken = [](const Image&) -> Image { fail(ErrorCode::kTooLarge, "too large"); };
  EXPECT_THROW(evaluate_segmentor(data, {}, 3, broken, {.workers = 1}), Error);
}

}  // namespace
}  // namespace asmlp::cli::evaluate_dense_test
