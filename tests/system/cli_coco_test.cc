// Annotations as users have them: every layout, id and value that can be read gives the same
// scores; what cannot be read is said, before anything is computed. On three synthetic scenes and
// the detector of the project, whose scores on LibTorch pycocotools 2.0.6 confirmed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/support/coco_layouts.h"
#include "tests/support/command.h"
#include "tests/support/files.h"

namespace asmlp::test::cli_coco_test {
namespace {

using testing::AllOf, testing::HasSubstr, testing::Not;

constexpr double kBoxAp = 0.7103, kMaskAp = 0.6754, kRounded = 1e-3;

class CocoCommand : public testing::Test {
 protected:
  static std::string model() { return data("models/mask_rcnn_scenes.safetensors"); }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  static Outcome validate(const std::vector<std::string>& words) {
    std::vector<std::string> all{"validate", "--model", model(), "--threads", "1", "--json"};
    all.insert(all.end(), words.begin(), words.end());
    return run(all);
  }
  // The images of the base with these annotations.
  static Outcome validate_file(const fs::path& annotations) {
    return validate({"--images", data("coco_base/val2017"), "--annotations", annotations});
  }
  static Json base() {
    return Json::parse(slurp(data("coco_base/annotations/instances_val2017.json")));
  }
  fs::path write(const Json& coco) {
    const fs::path file = path("annotations" + std::to_string(++files_) + ".json");
    write_bytes(file, coco.dump());
    return file;
  }

  TemporaryFolder folder_;
  int files_ = 0;
};

TEST_F(CocoCommand, EveryLayoutAndEveryIdGivesTheSameScores) {
  const Outcome reference = validate({data("coco_base")});
  ASSERT_EQ(reference.code, 0) << reference.err;
  EXPECT_NEAR(reference.json()["bbox"]["AP"].get<double>(), kBoxAp, kRounded);
  EXPECT_NEAR(reference.json()["segm"]["AP"].get<double>(), kMaskAp, kRounded);
  for (const CocoLayout& layout : coco_layouts()) {
    SCOPED_TRACE(layout.name);
    const std::string root = path(layout.name);
    write_coco_layout(layout, root);
    const Outcome outcome = validate({root, "--coco-results", path("results")});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    for (const char* task : {"bbox", "segm"}) {
      EXPECT_EQ(outcome.json()[task], reference.json()[task]);
    }
    // Ids of the file.
    const Json coco = Json::parse(slurp(root + "/" + layout.annotations));
    std::set<std::string> ids;
    for (const Json& category : coco["categories"]) {
      ids.insert(category["id"].is_string() ? category["id"].get<std::string>()
                                            : category["id"].dump());
    }
    for (const Json& record : Json::parse(slurp(path("results.bbox.json")))) {
      EXPECT_TRUE(ids.contains(record["category_id"].dump())) << record;
    }
  }
}

// tests/data/coco_base/alternatives: one thing changed in each.
TEST_F(CocoCommand, SmallDifferencesCountAsPycocotoolsCountsThem) {
  const struct {
    const char* file;
    double box, mask;
    const char* note;
  } kCases[]{
      {"one_without_segmentation", kBoxAp, -1, "1 of 12 objects have no outline"},
      {"no_area", kBoxAp, kMaskAp, "12 annotations without a usable area"},
      {"one_short_polygon", kBoxAp, -1, "1 polygons of fewer than 3 points"},
      {"iscrowd_text_1", 0.7083, -1, ""},
      {"iscrowd_int_1", 0.7083, -1, ""},
      // pycocotools has 0.6634 and 0.6277: it takes an object with the id 0 for unmatched.
      {"annotation_ids_from_0", kBoxAp, kMaskAp, "1 annotations with the id 0"},
      {"supercategory_0", kBoxAp, kMaskAp, ""},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.file);
    const Outcome outcome =
        validate_file(data("coco_base/alternatives/" + std::string(one.file) + ".json"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json json = outcome.json();
    EXPECT_NEAR(json["bbox"]["AP"].get<double>(), one.box, kRounded);
    if (one.mask >= 0) {
      EXPECT_NEAR(json["segm"]["AP"].get<double>(), one.mask, kRounded);
    }
    EXPECT_EQ(json["annotations"], 12);
    EXPECT_EQ(json["skipped_annotations"], 0);
    EXPECT_THAT(outcome.err, HasSubstr(one.note));
  }
}

// Nothing is computed: the error comes before the first image, and no score is printed.
TEST_F(CocoCommand, WhatCannotBeScoredIsAnErrorAtOnce) {
  const auto refuses = [&](const Json& coco, const std::string& part) {
    const Outcome outcome = validate_file(write(coco));
    EXPECT_EQ(outcome.code, 1) << part;
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_TRUE(outcome.json().contains("error"));
  };
  Json coco = base();
  coco["annotations"] = Json::array();
  refuses(coco, "no annotation that can be used");
  coco = base();
  coco["images"] = Json::array();
  refuses(coco, "\"images\" is empty");
  coco = base();
  for (Json& a : coco["annotations"]) a["iscrowd"] = 1;
  refuses(coco, "crowd regions");
  coco = base();
  for (Json& a : coco["annotations"]) a["image_id"] = 77;
  refuses(coco, "12 annotations left out, of unknown images");
  coco = base();
  for (Json& image : coco["images"]) image["file_name"] = "no_" + image["file_name"].dump();
  refuses(coco, "none of its 3 images");
  coco = base();
  for (Json& category : coco["categories"]) {
    category["name"] = "my " + category["name"].get<std::string>();
  }
  refuses(coco, "only in the model: 'T-shirt/top'");
  refuses(coco, "only in the file: 'my ");

  // Scores of sizes that no object has are no numbers.
  const Json json = validate({data("coco_base"), "--results-file", path("r.csv")}).json();
  EXPECT_TRUE(json["bbox"]["APl"].is_null() || json["bbox"]["APl"].get<double>() >= 0);
  size_t nulls = 0;
  for (const Json& score : json["bbox"]) nulls += score.is_null();
  EXPECT_GT(nulls, 0u);
  EXPECT_THAT(slurp(path("r.csv")),
              AllOf(HasSubstr(",,"), Not(HasSubstr("-1")), Not(HasSubstr("null"))));
}

TEST_F(CocoCommand, SplitsAndFilesAreThoseThatAreNamed) {
  write_coco_layout({"test", "test2017", "annotations/instances_test2017.json"}, path("data"));
  write_coco_layout({"mini", "images", "annotations/instances_minival.json"}, path("mini"));
  fs::copy(path("mini"), path("data"), fs::copy_options::recursive);
  EXPECT_EQ(validate({path("data"), "--split", "test"}).json()["images"], 3);
  EXPECT_EQ(validate({path("data"), "--split", "minival"}).json()["images"], 3);
  for (const char* split : {"validation", "train", "maxival"}) {
    const Outcome none = validate({path("data"), "--split", split});
    EXPECT_EQ(none.code, 1) << split;
    EXPECT_THAT(none.err, HasSubstr("annotations/instances_test2017.json"));
  }
  EXPECT_EQ(validate({}).code, 2);
  EXPECT_EQ(validate({"--images", path("data")}).code, 2);
  EXPECT_EQ(validate({"--annotations", path("no.json"), "--images", path("data")}).code, 1);
}

TEST_F(CocoCommand, MissingImagesAreSaidFirst) {
  write_coco_layout(coco_layouts()[0], path("data"));
  fs::remove(path("data/val2017/000000000002.jpg"));
  const Outcome outcome = validate({path("data")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.json()["images"], 2);
  EXPECT_EQ(outcome.json()["failed"], 1);
  EXPECT_THAT(outcome.err, HasSubstr("1 of 3 images are not in"));
}

TEST_F(CocoCommand, DetectTakesIdsByName) {
  write_coco_layout({"ids", "photos", "annotations.json",
                     [](const std::string& name) { return "elsewhere\\" + name; }, permute_ids},
                    path("data"));
  const Json coco = Json::parse(slurp(path("data/annotations.json")));
  std::map<int, std::string> names;
  for (const Json& category : coco["categories"]) names[category["id"]] = category["name"];
  const Outcome outcome =
      run({"detect", path("data/photos"), "--model", model(), "--annotations",
           path("data/annotations.json"), "--no-pictures", "--json", "--threads", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  int detections = 0;
  const Json json = outcome.json();
  for (const Json& image : json["images"]) {
    for (const Json& d : image["detections"]) {
      ++detections;
      EXPECT_EQ(names.at(d["category_id"]), d["label"]);
    }
  }
  EXPECT_GT(detections, 12);
}

}  // namespace
}  // namespace asmlp::test::cli_coco_test
