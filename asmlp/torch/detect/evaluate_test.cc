#include "asmlp/torch/detect/evaluate.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/nn/load_state.h"
#include "tests/support/detectors.h"
#include "tests/support/ranks.h"
#include "tests/support/weight_files.h"

namespace asmlp::detect::evaluate_test {
namespace {

constexpr int kImages = 7;

// Images of noise, sizes by number; one may be missing.
class NoiseImages final : public data::SampleSource {
 public:
  explicit NoiseImages(int64_t missing = -1) : missing_(missing) {}
  int64_t size() const override { return kImages; }
  data::TensorSample get(int64_t index, data::Random&) const override {
    require(index != missing_, ErrorCode::kNotFound, "image {} is not there", index);
    data::Random random(static_cast<uint64_t>(index));
    Image image(height(index), width(index), 3);
    for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.below(256));
    DenseInput input;
    input.short_side = 40;
    input.long_side = 64;
    return data::test_sample(image, input);
  }
  static int height(int64_t index) { return 24 + static_cast<int>(index); }
  static int width(int64_t index) { return 40 - static_cast<int>(index); }

 private:
  int64_t missing_;
};

DetectorConfig some_config() {
  DetectorConfig config = small_spec(DetectorKind::kMaskRcnn).config;
  config.rpn.test_proposals = {30, 20, 0.7, 0};
  config.test.max_detections = 12;
  config.test.score_threshold = 0.1;
  return config;
}

// Ids are none of the indices.
nlohmann::json empty_annotations() {
  nlohmann::json json{{"images", nlohmann::json::array()},
                      {"annotations", nlohmann::json::array()},
                      {"categories", {{{"id", 3}, {"name", "cat"}}, {{"id", 9}, {"name", "dog"}}}}};
  for (int i = 0; i < kImages; ++i) {
    json["images"].push_back({{"id", 100 + 5 * i},
                              {"file_name", fmt::format("{}.png", i)},
                              {"height", NoiseImages::height(i)},
                              {"width", NoiseImages::width(i)}});
  }
  return json;
}

// Annotations that are detections: all of them, or one in three with its box and mask displaced.
CocoAnnotations annotations_of(DetectorNet& net, bool exact) {
  nlohmann::json json = empty_annotations();
  int id = 0;
  for (int i = 0; i < kImages; ++i) {
    data::Random random(0);
    for (const Detection& d : detect(*net, NoiseImages().get(i, random))) {
      const auto [x1, y1, x2, y2] = d.box;
      if (mask_area(d.mask) == 0 || (x2 - x1) * (y2 - y1) < 1) continue;
      if (!exact && ++id % 3 != 0) continue;
      const double move = exact ? 0 : id % 4;
      const auto box = to_coco(d, i).box;
      json["annotations"].push_back(
          {{"id", id++},
           {"image_id", 100 + 5 * i},
           {"category_id", d.label == 0 ? 3 : 9},
           {"bbox", {box[0] + move, box[1], box[2], box[3]}},
           {"area", double(mask_area(d.mask))},
           {"iscrowd", 0},
           {"segmentation", {{"size", {d.mask.height, d.mask.width}}, {"counts", d.mask.counts}}}});
    }
  }
  return parse_coco(json.dump(), "test");
}

std::vector<double> numbers_of(const CocoEvaluation& e) {
  std::vector<double> all{double(e.images), double(e.bad_samples), double(e.detections.size())};
  for (const CocoScores* scores : {&e.box, e.mask ? &*e.mask : nullptr}) {
    if (scores == nullptr) continue;
    for (const double value : scores->stats()) all.push_back(value);
    all.insert(all.end(), scores->category_ap.begin(), scores->category_ap.end());
  }
  return all;
}

// (Of detections without area, which no object can have, only the precision suffers.)
TEST(CocoEvaluation, DetectionsFindThemselves) {
  torch::manual_seed(3);
  DetectorNet net = lively_net(some_config());
  const CocoAnnotations annotations = annotations_of(net, true);
  ASSERT_GT(annotations.annotations.size(), 20u);
  ASSERT_EQ(annotations.skips.annotations(), 0);
  const NoiseImages images;
  const data::Loader loader(images, {.batch_size = 1, .workers = 1});
  const auto world = dist::single_world();
  net->train();
  const auto result = evaluate(*net, annotations, loader, *world);
  EXPECT_TRUE(net->is_training());
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->images, kImages);
  ASSERT_TRUE(result->mask.has_value());
  EXPECT_GT(result->mask->ar100, 0.999);
  EXPECT_GT(result->box.ar100, 0.999);
  EXPECT_GT(result->mask->ap, 0.5);
  EXPECT_GT(result->seconds, 0);
}

// The same numbers from any number of processes, and those of the evaluator on the detections.
TEST(CocoEvaluation, IsTheSameForAnyNumberOfProcesses) {
  torch::manual_seed(4);
  DetectorNet net = lively_net(some_config());
  const CocoAnnotations annotations = annotations_of(net, false);
  const NoiseImages images(2);
  std::vector<CocoDetection> detections;
  for (int i = 0; i < kImages; ++i) {
    data::Random random(0);
    if (i == 2) continue;
    for (Detection& d : detect(*net, images.get(i, random))) {
      detections.push_back(to_coco(std::move(d), i));
    }
  }
  ThreadPool pool(1);
  const auto direct = [&](CocoTask task) {
    return evaluate_coco(task, kImages, 2, coco_ground_truth(annotations, task, pool), detections,
                         pool);
  };
  const CocoScores box = direct(CocoTask::kBox), mask = direct(CocoTask::kMask);
  EXPECT_GT(box.ap, 0.02);
  EXPECT_LT(box.ap, 0.98);
  EXPECT_GT(mask.ap, 0.02);
  const TensorMap state = nn::export_state(*net);
  for (const int size : {1, 2, 3}) {
    std::mutex mutex;
    std::vector<std::vector<double>> results;
    int bad = 0;
    const auto body = [&](dist::World& world) {
      DetectorNet mine(some_config());
      nn::load_state(*mine, state, "test");
      const data::Loader loader(
          images, {.batch_size = 1, .workers = 0, .rank = world.rank(), .world = world.size()});
      data::EvaluateOptions options;
      options.on_bad = [&](const std::string& message) {
        const std::lock_guard lock(mutex);
        EXPECT_NE(message.find("image 2"), std::string::npos) << message;
        ++bad;
      };
      const auto result = evaluate(*mine, annotations, loader, world, options);
      const std::lock_guard lock(mutex);
      ASSERT_TRUE(result.has_value());
      EXPECT_EQ(result->box.stats(), box.stats());
      ASSERT_TRUE(result->mask.has_value());
      EXPECT_EQ(result->mask->stats(), mask.stats());
      EXPECT_EQ(result->mask->category_ap, mask.category_ap);
      results.push_back(numbers_of(*result));
    };
    if (size == 1) {
      body(*dist::single_world());
    } else {
      dist::run_ranks(size, body);
    }
    EXPECT_EQ(bad, 1);
    ASSERT_EQ(static_cast<int>(results.size()), size);
    EXPECT_EQ(results[0][0], kImages - 1);
    EXPECT_EQ(results[0][1], 1);
    for (const auto& result : results) EXPECT_EQ(result, results[0]);
  }
}

// Objects without outline count as boxes; without any outline, or mask head, masks have no scores.
TEST(CocoEvaluation, MasksAreScoredWhereTheyAre) {
  torch::manual_seed(6);
  DetectorNet net = lively_net(some_config());
  CocoAnnotations annotations = annotations_of(net, false);
  const NoiseImages images;
  const data::Loader loader(images, {.batch_size = 1, .workers = 0});
  const auto world = dist::single_world();
  const auto whole = evaluate(*net, annotations, loader, *world);
  ASSERT_TRUE(whole && whole->mask);

  CocoAnnotations mixed = annotations, part = annotations;
  for (size_t i = 0; i < mixed.annotations.size(); i += 2) mixed.annotations[i].mask = {};
  part.annotations.clear();
  for (const CocoAnnotation& a : mixed.annotations) {
    if (a.has_outline()) part.annotations.push_back(a);
  }
  const auto some = evaluate(*net, mixed, loader, *world),
             outlined = evaluate(*net, part, loader, *world);
  ASSERT_TRUE(some && some->mask && outlined && outlined->mask);
  EXPECT_EQ(some->box.stats(), whole->box.stats());
  EXPECT_EQ(some->mask->stats(), outlined->mask->stats());
  EXPECT_NE(some->mask->stats(), whole->mask->stats());

  for (CocoAnnotation& a : annotations.annotations) a.mask = {};
  const auto boxes = evaluate(*net, annotations, loader, *world);
  EXPECT_EQ(boxes->box.stats(), whole->box.stats());
  EXPECT_FALSE(boxes->mask.has_value());
  EXPECT_FALSE(boxes->detections[0].mask.counts.empty());

  DetectorConfig config = some_config();
  config.kind = DetectorKind::kFasterRcnn;
  DetectorNet faster = lively_net(config);
  const auto found = evaluate(*faster, part, loader, *world);
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->mask.has_value());
  ASSERT_FALSE(found->detections.empty());
  EXPECT_EQ(found->detections[0].mask, MaskRle());
}

TEST(CocoEvaluation, StopsEverywhereAndRefusesOtherCategories) {
  torch::manual_seed(5);
  DetectorNet net = lively_net(some_config());
  const CocoAnnotations annotations = parse_coco(empty_annotations().dump(), "test");
  const TensorMap state = nn::export_state(*net);
  const NoiseImages images;
  dist::run_ranks(2, [&](dist::World& world) {
    DetectorNet mine(some_config());
    nn::load_state(*mine, state, "test");
    const data::Loader loader(
        images, {.batch_size = 1, .workers = 0, .rank = world.rank(), .world = world.size()});
    data::EvaluateOptions options;
    options.progress = [&](int64_t) { return world.rank() == 0; };
    EXPECT_FALSE(evaluate(*mine, annotations, loader, world, options).has_value());
  });
  nlohmann::json json = empty_annotations();
  json["categories"].push_back({{"id", 1}, {"name", "bird"}});
  const data::Loader loader(images, {.batch_size = 1, .workers = 0});
  const auto world = dist::single_world();
  test::expect_words(
      test::error_of(ErrorCode::kMismatch,
                     [&] { evaluate(*net, parse_coco(json.dump(), "test"), loader, *world); }),
      {"2 classes", "3 categories"});
}

}  // namespace
}  // namespace asmlp::detect::evaluate_test
