// Against pycocotools: tests/data/coco, made by tools/make_coco_golden.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "asmlp/core/atomic_file.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco/coco_results.h"
#include "tests/support/support.h"

namespace asmlp::coco_golden_test {
namespace {

using Json = nlohmann::json;

Json golden(const std::string& name) { return Json::parse(read_file(test::data("coco/" + name))); }

MaskRle mask_of_string(const Json& counts, const Json& size) {
  return mask_from_string(counts.get<std::string>(), size[0], size[1]);
}

TEST(CocoGolden, PolygonsBecomeTheSameMasks) {
  const Json masks = golden("masks.json");
  ASSERT_EQ(masks.at("polygons").size(), 240u);
  for (const Json& entry : masks.at("polygons")) {
    const Json& size = entry.at("size");
    const MaskRle mask =
        mask_from_polygon(entry.at("xy").get<std::vector<double>>(), size[0], size[1]);
    EXPECT_EQ(compress_counts(mask), entry.at("counts").get<std::string>()) << entry;
    EXPECT_EQ(mask_of_string(entry.at("counts"), size), mask);
    EXPECT_EQ(mask_area(mask), entry.at("area").get<int64_t>());
    EXPECT_EQ(mask_box(mask), (entry.at("bbox").get<std::array<double, 4>>())) << entry;
  }
}

TEST(CocoGolden, SetsOfMasksHaveTheSameOverlapsAndMerges) {
  const Json sets = golden("masks.json").at("sets");
  ASSERT_EQ(sets.size(), 12u);
  for (const Json& set : sets) {
    const Json& size = set.at("size");
    std::vector<MaskRle> masks;
    for (const Json& counts : set.at("counts")) masks.push_back(mask_of_string(counts, size));
    std::vector<const MaskRle*> pointers;
    for (const MaskRle& mask : masks) pointers.push_back(&mask);
    const auto split = set.at("split").get<size_t>();
    std::vector<double> expected;
    for (const Json& row : set.at("iou")) {
      for (const Json& value : row) expected.push_back(value);
    }
    EXPECT_EQ(mask_iou(std::span(pointers).first(split), std::span(pointers).subspan(split),
                       set.at("crowd").get<std::vector<uint8_t>>()),
              expected);
    EXPECT_EQ(compress_counts(merge_masks(masks, MaskMerge::kUnion)),
              set.at("union").get<std::string>());
    EXPECT_EQ(compress_counts(merge_masks(masks, MaskMerge::kIntersection)),
              set.at("intersection").get<std::string>());
  }
}

void expect_scores(const std::string& name, CocoTask task, const Json& expected) {
  const std::string kind = task == CocoTask::kBox ? "bbox" : "segm";
  const CocoAnnotations annotations = read_coco(test::data("coco/" + name + ".json"));
  EXPECT_EQ(annotations.skips.report(), "");
  const auto detections =
      read_coco_results(test::data("coco/" + name + "_" + kind + ".json"), task, annotations);
  ThreadPool pool(2);
  const CocoScores scores =
      evaluate_coco(task, static_cast<int>(annotations.images.size()),
                    static_cast<int>(annotations.categories.size()),
                    coco_ground_truth(annotations, task, pool), detections, pool);
  // Sums of at most 10 * 101 * 6 numbers up to 1, in another order than numpy's.
  constexpr double kTolerance = 6060 * 2.3e-16;
  const auto stats = scores.stats();
  for (size_t i = 0; i < stats.size(); ++i) {
    EXPECT_NEAR(stats[i], expected.at("stats")[i].get<double>(), kTolerance)
        << name << " " << kind << " " << CocoScores::kNames[i];
  }
  ASSERT_EQ(scores.category_ap.size(), expected.at("category_ap").size());
  for (size_t i = 0; i < scores.category_ap.size(); ++i) {
    EXPECT_NEAR(scores.category_ap[i], expected.at("category_ap")[i].get<double>(), kTolerance)
        << name << " " << kind << " category " << annotations.categories[i].id;
  }
}

TEST(CocoGolden, TheTwelveNumbersAreThoseOfPycocotools) {
  const Json expected = golden("expected.json");
  EXPECT_EQ(expected.size(), 4u);
  for (const auto& [name, tasks] : expected.items()) {
    expect_scores(name, CocoTask::kBox, tasks.at("bbox"));
    expect_scores(name, CocoTask::kMask, tasks.at("segm"));
  }
}

}  // namespace
}  // namespace asmlp::coco_golden_test
