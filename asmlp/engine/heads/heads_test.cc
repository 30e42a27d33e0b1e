// What the engines of detectors and segmentors promise besides their numbers, which
// tests/parity/torch_detector_test.cc and torch_segmentor_test.cc compare.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "asmlp/core/error.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/detector_forward.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/model/params.h"
#include "tests/support/allocations.h"
#include "tests/support/networks.h"
#include "tests/support/support.h"

namespace asmlp::heads_test {
namespace {

using detect::Detection, detect::InputSizes;
using test::filled, test::small_detector, test::small_segmentor;

constexpr int kMost = 1 << 20;  // what a config may ask for

struct Inputs {
  Inputs(int batch, int h, int w)
      : height(h), width(w), values(to_f32(fill_tensor("input", {batch, 3, h, w}))) {
    for (int i = 0; i < batch; ++i) sizes.push_back({{h, w - i}, {2 * h, w + 3}});
  }
  std::span<const float> image(int i) const {
    const size_t count = values.size() / sizes.size();
    return std::span(values).subspan(i * count, count);
  }
  int height, width;
  std::vector<float> values;
  std::vector<InputSizes> sizes;
};

TEST(DetectorEngine, GivesTheSameBitsForAnyThreadsBatchAndOrderOfSizes) {
  for (const DetectorKind kind : {DetectorKind::kMaskRcnn, DetectorKind::kCascadeRcnn}) {
    const DetectorSpec spec = small_detector(kind);
    const auto model = PackedDetector::create(spec, filled(parameter_table(spec.config)));
    const Inputs small(3, 61, 50), large(3, 90, 128);
    DetectorEngine batched(model, {.max_batch = 3, .threads = 3});
    // The memory of a larger size has been something else before.
    for (const Inputs* inputs : {&small, &large, &small, &large}) {
      const auto all = batched.run(inputs->values, inputs->height, inputs->width, inputs->sizes);
      size_t objects = 0;
      for (int i = 0; i < 3; ++i) {
        DetectorEngine alone(model, {.threads = 1});
        const auto one = alone.run(inputs->image(i), inputs->height, inputs->width,
                                   std::span(inputs->sizes).subspan(i, 1));
        EXPECT_EQ(one.front(), all[i]) << inputs->height << ", image " << i;
        objects += one.front().size();
      }
      EXPECT_GT(objects, 0u);
    }
  }
}

// How far a map's rows are from another's, over the largest of these.
double difference(const HeadMap& map, const HeadMap& reference) {
  std::vector<float> values, expected;
  for (int64_t r = 0; r < map.rows(); ++r) {
    values.insert(values.end(), map.row(r), map.row(r) + map.channels);
    expected.insert(expected.end(), reference.row(r), reference.row(r) + map.channels);
  }
  return test::relative_error(values, expected);
}

double tolerance_of(Precision precision) { return precision == Precision::kBf16 ? 0.05 : 1e-4; }

TEST(DetectorEngine, EveryIsaAndPrecisionAgreesWithTheReference) {
  const DetectorSpec spec = small_detector(DetectorKind::kCascade);
  const TensorMap tensors = filled(parameter_table(spec.config));
  const Inputs inputs(2, 61, 78);
  struct Run {
    Run(const DetectorSpec& spec, const TensorMap& tensors, const PackOptions& options,
        const Inputs& inputs)
        : model(PackedDetector::create(spec, tensors, options)),
          pool(2),
          regions(pool.size()),
          plan(spec.config, model->weights(),
               {.height = inputs.height, .width = inputs.width, .max_batch = 2}, pool, memory) {
      DetectorForward(spec.config, model->weights(), plan, regions)
          .run(inputs.values.data(), inputs.sizes);
    }
    std::shared_ptr<const PackedDetector> model;
    ThreadPool pool;
    MemoryBlock memory;
    RegionMemory regions;
    DetectorPlan plan;
  };
  const Run reference(spec, tensors, {.isa = Isa::kReference}, inputs);
  for (const Isa isa : available_isas()) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16x3, Precision::kBf16}) {
      const Run run(spec, tensors, {.isa = isa, .precision = precision}, inputs);
      for (size_t k = 0; k < run.plan.pyramid.size(); ++k) {
        EXPECT_LE(difference(run.plan.pyramid[k], reference.plan.pyramid[k]),
                  tolerance_of(precision))
            << to_string(isa) << " " << to_string(precision) << " " << k;
        EXPECT_LE(difference(run.plan.rpn[k], reference.plan.rpn[k]), tolerance_of(precision));
      }
    }
  }
}

// On the same regions: which ones a network proposes hangs on its last bits.
TEST(DetectorEngine, HeadsOfEveryIsaAndPrecisionAgreeWithTheReference) {
  for (const DetectorKind kind : {DetectorKind::kMaskRcnn, DetectorKind::kFasterRcnn}) {
    DetectorSpec spec = small_detector(kind);
    if (kind == DetectorKind::kFasterRcnn) spec.config.box_head.convs = 2;
    const TensorMap tensors = filled(parameter_table(spec.config));
    const Inputs inputs(1, 61, 78);
    const std::vector<detect::Box> boxes{
        {0, 0, 78, 61}, {3, 5, 20, 17}, {-4, 50, 30, 70}, {10, 10, 10, 30}, {40.5f, 2, 77, 60}};
    const auto regions = [&](const PackOptions& options) {
      DetectorEngine engine(PackedDetector::create(spec, tensors, options));
      return engine.describe_regions(inputs.values, 61, 78, boxes);
    };
    const auto reference = regions({.isa = Isa::kReference});
    ASSERT_EQ(reference.probabilities.size(), boxes.size() * 4);
    ASSERT_EQ(reference.masks.empty(), !has_masks(kind));
    for (const Isa isa : available_isas()) {
      for (const Precision precision : {Precision::kFp32, Precision::kBf16x3, Precision::kBf16}) {
        const auto found = regions({.isa = isa, .precision = precision});
        const double tolerance = tolerance_of(precision);
        EXPECT_LE(test::relative_error(found.probabilities, reference.probabilities), tolerance);
        EXPECT_LE(test::relative_error(found.deltas, reference.deltas), tolerance);
        EXPECT_LE(test::relative_error(found.masks, reference.masks), tolerance)
            << to_string(isa) << " " << to_string(precision);
      }
    }
  }
}

TEST(DetectorEngine, AllocatesNothingButItsResults) {
  DetectorSpec spec = small_detector(DetectorKind::kFasterRcnn);
  const auto model = PackedDetector::create(spec, filled(parameter_table(spec.config)));
  const Inputs inputs(1, 90, 100);
  DetectorEngine engine(model, {.threads = 2});
  const auto run = [&] { return engine.run(inputs.values, 90, 100, inputs.sizes); };
  ASSERT_GT(run().front().size(), 0u);
  run();
  const int64_t before = test::allocations;
  const auto found = run();
  EXPECT_EQ(test::allocations - before, 2);  // the list of the image, and the list of lists
}

TEST(DetectorEngine, TakesImagesOfAnySizes) {
  const DetectorSpec spec = small_detector(DetectorKind::kMaskRcnn);
  const auto model = PackedDetector::create(spec, filled(parameter_table(spec.config)));
  std::vector<Image> images;
  for (const auto& [h, w] : {std::pair{1, 1}, {40, 60}, {40, 60}, {1, 300}, {300, 2}, {64, 96}}) {
    Image image(h, w, 3);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = (i * 37) % 251;
    images.push_back(image);
  }
  DetectorEngine engine(model, {.max_batch = 4});
  const auto all = engine.detect(images, spec.preprocessing);
  ASSERT_EQ(all.size(), images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(all[i], engine.detect(images[i])) << i;
    for (const Detection& d : all[i]) {
      EXPECT_EQ(d.mask.height, images[i].height);
      EXPECT_EQ(d.mask.width, images[i].width);
    }
  }
  EXPECT_EQ(all[1], all[2]);
}

TEST(DetectorEngine, TakesNoProposalsAndAllOfThem) {
  for (const DetectorKind kind : {DetectorKind::kMaskRcnn, DetectorKind::kCascadeRcnn}) {
    DetectorSpec spec = small_detector(kind);
    const TensorMap tensors = filled(parameter_table(spec.config));
    const Inputs inputs(1, 200, 240);
    const auto run = [&] {
      DetectorEngine engine(PackedDetector::create(spec, tensors));
      return engine.run(inputs.values, 200, 240, inputs.sizes).front();
    };
    spec.config.rpn.test_proposals = {kMost, kMost, 1.0, 0};  // no suppression
    EXPECT_GT(run().size(), 0u);
    spec.config.rpn.test_proposals.min_size = 1e5;
    EXPECT_EQ(run().size(), 0u);
    spec.config.rpn.test_proposals.min_size = 0;
    spec.config.test.score_threshold = 1;
    EXPECT_EQ(run().size(), 0u);
  }
}

// Rows that are deeper than what is gathered at a time, also on their way to a second product.
TEST(DetectorEngine, WideHeadsAgreeWithTheReference) {
  DetectorSpec spec = small_detector(DetectorKind::kMaskRcnn);
  spec.config.rpn.channels = 2100;
  spec.config.mask_head.channels = 1030;
  const TensorMap tensors = filled(parameter_table(spec.config));
  const Inputs inputs(1, 40, 50);
  const std::vector<detect::Box> boxes{{0, 0, 50, 40}, {3, 5, 20, 17}};
  const auto run = [&](Isa isa, std::vector<NetworkMap>& maps) {
    DetectorEngine engine(PackedDetector::create(spec, tensors, {.isa = isa}));
    auto regions = engine.describe_regions(inputs.values, 40, 50, boxes);
    maps = engine.maps();
    return regions.masks;
  };
  std::vector<NetworkMap> maps, expected;
  const auto masks = run(Isa::kAuto, maps), reference = run(Isa::kReference, expected);
  EXPECT_LE(test::relative_error(masks, reference), 1e-4);
  for (size_t k = 0; k < maps.size(); ++k) {
    EXPECT_LE(test::relative_error(maps[k].values, expected[k].values), 1e-4) << maps[k].name;
  }
}

TEST(DetectorEngine, RefusesWhatIsNoInput) {
  const DetectorSpec spec = small_detector(DetectorKind::kMaskRcnn);
  const auto model = PackedDetector::create(spec, filled(parameter_table(spec.config)));
  DetectorEngine engine(model, {.max_batch = 2});
  const Inputs inputs(2, 40, 40);
  const auto before = engine.run(inputs.values, 40, 40, inputs.sizes);
  const auto refuse = [&](const auto& call) { test::error_of(ErrorCode::kInvalidArgument, call); };
  refuse([&] { engine.run(inputs.values, 40, 41, inputs.sizes); });
  refuse([&] { engine.run({}, 40, 40, {}); });
  refuse([&] { engine.run(Inputs(3, 40, 40).values, 40, 40, Inputs(3, 40, 40).sizes); });
  for (const InputSizes& wrong : {InputSizes{{41, 40}, {40, 40}},
                                  {{40, 0}, {40, 40}},
                                  {{40, 40}, {0, 40}},
                                  {{40, 40}, {40, 1 << 20}}}) {
    refuse([&] { engine.run(inputs.image(0), 40, 40, {&wrong, 1}); });
  }
  refuse([&] { engine.detect(Image(0, 5, 3)); });
  test::error_of(ErrorCode::kMismatch, [&] { engine.detect(Image(8, 8, 1)); });
  EXPECT_EQ(engine.run(inputs.values, 40, 40, inputs.sizes), before);
  refuse([&] { DetectorEngine(model, {.max_batch = 0}); });
}

TEST(DetectorEngine, SaysThatWeightsAreNotFinite) {
  const DetectorSpec spec = small_detector(DetectorKind::kMaskRcnn);
  for (const char* name : {"rpn_head.rpn_cls.weight", "roi_head.bbox_head.fc_cls.weight",
                           "rpn_head.rpn_reg.bias", "backbone.norm1.weight"}) {
    TensorMap tensors = filled(parameter_table(spec.config));
    std::vector<float> values = to_f32(tensors.at(name));
    values.front() = std::numeric_limits<float>::quiet_NaN();
    tensors[name] = make_tensor(tensors.at(name).shape, values);
    DetectorEngine engine(PackedDetector::create(spec, tensors));
    const Inputs inputs(1, 64, 64);
    EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument,
                               [&] { engine.run(inputs.values, 64, 64, inputs.sizes); }),
                testing::HasSubstr("finite"))
        << name;
  }
}

TEST(PackedDetector, NeedsExactlyItsTensors) {
  const DetectorSpec spec = small_detector(DetectorKind::kCascade);
  TensorMap tensors = filled(parameter_table(spec.config));
  for (const char* name : {"neck.fpn_convs.1.conv.weight", "roi_head.bbox_head.2.fc_reg.bias",
                           "roi_head.bbox_head.0.shared_convs.1.bn.running_var"}) {
    TensorMap less = tensors;
    less.erase(name);
    EXPECT_THAT(test::error_of(ErrorCode::kMismatch, [&] { PackedDetector::create(spec, less); }),
                testing::HasSubstr(name));
  }
  tensors["more"] = make_tensor({1}, {1});
  test::error_of(ErrorCode::kMismatch, [&] { PackedDetector::create(spec, tensors); });
}

TEST(SegmentorEngine, GivesTheSameBitsForAnyThreadsAndOrderOfSizes) {
  const SegmentorSpec spec = small_segmentor();
  const auto model = PackedSegmentor::create(spec, filled(parameter_table(spec.config)));
  SegmentorEngine engine(model, {.threads = 3});
  const Inputs first(1, 61, 50);
  engine.logits(first.values, 61, 50);
  const int64_t before = test::allocations;
  engine.logits(first.values, 61, 50);
  EXPECT_EQ(test::allocations, before);
  for (const auto& [h, w] : {std::pair{61, 50}, {90, 128}, {61, 50}, {1, 1}, {90, 128}}) {
    const Inputs inputs(1, h, w);
    SegmentorEngine alone(model, {.threads = 1});
    const segment::LogitView a = engine.logits(inputs.values, h, w),
                             b = alone.logits(inputs.values, h, w);
    ASSERT_EQ(a.height, b.height);
    ASSERT_EQ(a.stride, b.stride);
    for (int64_t r = 0; r < int64_t{a.height} * a.width; ++r) {
      ASSERT_EQ(
          std::memcmp(a.values + r * a.stride, b.values + r * b.stride, a.classes * sizeof(float)),
          0)
          << h << " x " << w;
    }
  }
}

TEST(SegmentorEngine, EveryIsaAndPrecisionAgreesWithTheReference) {
  const SegmentorSpec spec = small_segmentor();
  const TensorMap tensors = filled(parameter_table(spec.config));
  const Inputs inputs(1, 61, 78);
  const auto logits = [&](const PackOptions& options) {
    SegmentorEngine engine(PackedSegmentor::create(spec, tensors, options));
    const segment::LogitView view = engine.logits(inputs.values, 61, 78);
    std::vector<float> values;
    for (int64_t r = 0; r < int64_t{view.height} * view.width; ++r) {
      const float* row = view.values + r * view.stride;
      values.insert(values.end(), row, row + view.classes);
    }
    return values;
  };
  const std::vector<float> reference = logits({.isa = Isa::kReference});
  for (const Isa isa : available_isas()) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16x3, Precision::kBf16}) {
      EXPECT_LE(test::relative_error(logits({.isa = isa, .precision = precision}), reference),
                tolerance_of(precision))
          << to_string(isa) << " " << to_string(precision);
    }
  }
}

TEST(SegmentorEngine, NeedsNoAuxiliaryHead) {
  const SegmentorSpec spec = small_segmentor();
  TensorMap tensors = filled(parameter_table(spec.config)), less = tensors;
  std::erase_if(less, [](const auto& it) { return it.first.starts_with("auxiliary_head."); });
  ASSERT_LT(less.size(), tensors.size());
  Image image(30, 50, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = (i * 37) % 251;
  SegmentorEngine whole(PackedSegmentor::create(spec, tensors)),
      part(PackedSegmentor::create(spec, less));
  EXPECT_EQ(whole.segment(image).pixels, part.segment(image).pixels);
  less.erase("decode_head.conv_seg.bias");
  test::error_of(ErrorCode::kMismatch, [&] { PackedSegmentor::create(spec, less); });
}

}  // namespace
}  // namespace asmlp::heads_test
