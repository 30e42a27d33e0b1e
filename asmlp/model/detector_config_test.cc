#include "asmlp/model/detector_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "tests/support/weight_files.h"

namespace asmlp::detector_config_test {
namespace {

using Json = nlohmann::json;

TEST(DetectorConfig, ConstantsAreTheAuthors) {
  const DetectorConfig mask = zoo_detector("mask_rcnn_asmlp_tiny").config;
  const DetectorConfig cascade = zoo_detector("cascade_asmlp_tiny").config;
  EXPECT_EQ(mask.rpn.box_loss.kind, BoxLossKind::kL1);
  EXPECT_EQ(cascade.rpn.box_loss.kind, BoxLossKind::kSmoothL1);
  EXPECT_EQ(cascade.rpn.box_loss.beta, 1.0 / 9);
  EXPECT_EQ(mask.rpn.allowed_border, -1);
  EXPECT_EQ(cascade.rpn.allowed_border, 0);
  EXPECT_EQ(mask.rpn.train_proposals, (ProposalConfig{2000, 1000, 0.7, 0}));
  EXPECT_EQ(cascade.rpn.train_proposals, (ProposalConfig{2000, 2000, 0.7, 0}));
  EXPECT_EQ(cascade.rpn.test_proposals, (ProposalConfig{1000, 1000, 0.7, 0}));
  EXPECT_EQ(mask.rpn.match, (MatchConfig{0.7, 0.3, 0.3, true}));
  EXPECT_EQ(mask.rpn.sample, (SampleConfig{256, 0.5, false}));
  ASSERT_EQ(mask.stages.size(), 1u);
  EXPECT_EQ(mask.stages[0].match, (MatchConfig{0.5, 0.5, 0.5, true}));
  EXPECT_EQ(mask.stages[0].sample, (SampleConfig{512, 0.25, true}));
  EXPECT_EQ(mask.stages[0].box_loss.kind, BoxLossKind::kL1);
  ASSERT_EQ(cascade.stages.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    const StageConfig& stage = cascade.stages[k];
    const double iou = 0.1 * static_cast<double>(5 + k);
    EXPECT_DOUBLE_EQ(stage.match.positive_iou, iou);
    EXPECT_DOUBLE_EQ(stage.match.negative_iou, iou);
    EXPECT_DOUBLE_EQ(stage.match.minimum_iou, iou);
    EXPECT_FALSE(stage.match.low_quality);
    EXPECT_EQ(stage.sample, mask.stages[0].sample);
    EXPECT_EQ(stage.box_loss.kind, BoxLossKind::kGiou);
    EXPECT_EQ(stage.box_loss.weight, 10);
    EXPECT_EQ(stage.weight, 1.0 / (1 << k));
  }
  EXPECT_EQ(cascade.stages[2].box_stds, (std::vector<double>{0.033, 0.033, 0.067, 0.067}));
  // Those of boxes are the same, up to mmdetection's matching of Faster R-CNN.
  DetectorConfig boxes = zoo_detector("cascade_rcnn_asmlp_tiny").config;
  EXPECT_EQ(boxes.kind, DetectorKind::kCascadeRcnn);
  boxes.kind = cascade.kind;
  EXPECT_EQ(boxes, cascade);
  boxes = zoo_detector("faster_rcnn_asmlp_tiny").config;
  EXPECT_EQ(boxes.kind, DetectorKind::kFasterRcnn);
  EXPECT_FALSE(boxes.stages[0].match.low_quality);
  boxes.kind = mask.kind;
  boxes.stages[0].match.low_quality = true;
  EXPECT_EQ(boxes, mask);
  // The files of the authors differ in this from one another (docs: shift 3 in some).
  for (const std::string& name : zoo_detector_names()) {
    const DetectorSpec spec = zoo_detector(name);
    validate(spec);
    EXPECT_EQ(spec.config.backbone.shift_size, (ShiftSize{5, 5})) << name;
    EXPECT_EQ(spec.config.test, TestConfig{}) << name;
    EXPECT_EQ(spec.preprocessing.short_side, 800) << name;
  }
}

TEST(DetectorConfig, JsonReadsBackEqual) {
  for (const std::string& name : zoo_detector_names()) {
    DetectorSpec spec = zoo_detector(name);
    spec.config.backbone.shift_size = {3, 5};
    spec.config.stages[0].box_loss.weight = 0.1;
    spec.origin = {{"data", "COCO \"2017\""}};
    spec.classes.assign(80, "thing");
    EXPECT_EQ(detector_from_json(to_json(spec), "json"), spec) << name;
    EXPECT_EQ(Json::parse(to_json(spec))["config"].contains("mask_head"),
              has_masks(spec.config.kind))
        << name;
  }
}

// A mask head that nobody names is the default one, as in files of before there were others.
TEST(DetectorConfig, TheKindDecidesWhetherThereAreMasks) {
  const std::string backbone = R"("backbone": {"shift_size": 5})";
  const auto read = [&](const std::string& more) {
    return detector_from_json(R"({"config": {)" + backbone + more + "}}", "user").config;
  };
  EXPECT_EQ(read(""), detector_config(DetectorKind::kMaskRcnn, {}));
  EXPECT_EQ(read(R"(, "mask_head": {"convs": 2})").mask_head.convs, 2);
  const DetectorConfig boxes = read(R"(, "kind": "faster_rcnn")");
  EXPECT_FALSE(has_masks(boxes.kind));
  EXPECT_EQ(boxes.mask_head, MaskHeadConfig());
  DetectorConfig expected = zoo_detector("mask_rcnn_asmlp_small").config;
  expected.kind = DetectorKind::kFasterRcnn;
  EXPECT_EQ(detector_from_json(
                R"({"model": "mask_rcnn_asmlp_small", "config": {"kind": "faster_rcnn"}})", "user")
                .config,
            expected);
  EXPECT_EQ(detector_from_json(R"({"model": "cascade_rcnn_asmlp_base",
                                   "config": {"kind": "cascade", "mask_head": {"channels": 9}}})",
                               "user")
                .config.mask_head.channels,
            9);
}

// Changing any value of the description changes what is read: no field is parsed and ignored.
TEST(DetectorConfig, EveryFieldOfTheJsonCounts) {
  const DetectorSpec spec = zoo_detector("cascade_asmlp_tiny");
  const Json whole = Json::parse(to_json(spec));
  int changed = 0;
  const std::function<void(const Json::json_pointer&, const Json&)> visit =
      [&](const Json::json_pointer& at, const Json& value) {
        if (value.is_structured() && !value.empty()) {
          for (const auto& [key, inner] : value.items()) visit(at / key, inner);
          return;
        }
        Json other = whole;
        if (value.is_boolean()) {
          other[at] = !value.get<bool>();
        } else if (value.is_number()) {
          other[at] = value.get<double>() == 0 ? 0.25 : value.get<double>() * 2;
        } else if (value.is_string()) {
          other[at] = "other";
        } else {
          return;  // classes and origin, which are empty
        }
        ++changed;
        try {
          EXPECT_NE(detector_from_json(other.dump(), "json"), spec) << at.to_string();
        } catch (const Error& error) {  // a value out of range is noticed, too
          EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << at.to_string();
        }
      };
  visit(Json::json_pointer(), whole);
  EXPECT_GT(changed, 100);
}

TEST(DetectorConfig, AModelOfTheZooIsABase) {
  const DetectorSpec spec = detector_from_json(
      R"({"model": "cascade_asmlp_small", "config": {"num_classes": 3, "roi": {"levels": 2},
          "backbone": {"shift_size": 3}}, "classes": ["a", "b", "c"]})",
      "user");
  DetectorSpec expected = zoo_detector("cascade_asmlp_small");
  expected.config.num_classes = 3;
  expected.config.roi.levels = 2;
  expected.config.backbone.shift_size = {3, 3};
  expected.classes = {"a", "b", "c"};
  EXPECT_EQ(spec, expected);
}

TEST(DetectorConfig, MistakesAreNamed) {
  const auto refused = [](const std::string& text, const std::vector<std::string>& words,
                          ErrorCode code = ErrorCode::kInvalidArgument) {
    test::expect_words(test::error_of(code, [&] { detector_from_json(text, "d.json"); }), words);
  };
  const auto with = [](const std::string& config) {
    return R"({"model": "mask_rcnn_asmlp_tiny", "config": )" + config + "}";
  };
  refused("{}", {"d.json", "'model'", "'backbone'"});
  refused(R"({"model": "mask_rcnn_asmlp_tin"})", {"mask_rcnn_asmlp_tiny"}, ErrorCode::kNotFound);
  refused(R"({"config": {"backbone": {"embed_dim": 8}}})", {"backbone", "shift_size is missing"});
  refused(with(R"({"fpn_chanels": 3})"), {"config", "'fpn_chanels'", "'fpn_channels'"});
  refused(with(R"({"backbone": {"shift_size": 5, "depth": [1]}})"), {"'depth'", "'depths'"});
  refused(with(R"({"rpn": {"match": {"low_quality": 1}}})"),
          {"rpn: match: low_quality", "true or false", "1"});
  refused(with(R"({"stages": [{"box_loss": {"kind": "l2"}}]})"),
          {"stages[0]: box_loss: kind", "'smooth_l1'", "l2"});
  refused(with(R"({"stages": [{}, {}]})"), {"stages", "mask_rcnn", "2"});
  refused(with(R"({"rpn": {"anchors": {"strides": [4, 8, 16, 30]}}})"), {"strides[3]", "30", "32"});
  refused(with(R"({"rpn": {"box_stds": [1, 1, 1]}})"), {"box_stds", "3"});
  refused(with(R"({"test": {"nms_iou": 1.5}})"), {"test.nms_iou", "1.5"});
  refused(R"({"model": "mask_rcnn_asmlp_tiny", "classes": ["a"]})", {"classes", "1", "80"});
  refused(with(R"({"mask_head": null})"), {"mask_head is null", "'faster_rcnn'"});
  refused(with(R"({"kind": "faster_rcnn", "mask_head": {"convs": 2}})"),
          {"kind 'faster_rcnn'", "no mask_head", "'mask_rcnn'"});
  refused(R"({"model": "cascade_rcnn_asmlp_tiny", "config": {"mask-head": {}}})",
          {"kind 'cascade_rcnn'", "no mask_head", "'cascade'"});
  refused(with(R"({"kind": "faster_rcnn", "stages": [{}, {}]})"), {"stages", "faster_rcnn", "2"});
  refused(R"({"model": "mask_rcnn_asmlp_tiny", "preprocessing": {"std": [1, 0, 1]}})",
          {"std", "positive"});
  DetectorConfig config = zoo_detector("mask_rcnn_asmlp_tiny").config;
  config.backbone.num_classes = 1000;
  test::expect_words(test::error_of(ErrorCode::kInvalidArgument, [&] { validate(config); }),
                     {"backbone.num_classes", "1000"});
}

}  // namespace
}  // namespace asmlp::detector_config_test
