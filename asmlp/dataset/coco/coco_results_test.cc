#include "asmlp/dataset/coco/coco_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::coco_results_test {
namespace {

using ::testing::HasSubstr;

CocoAnnotations parse(const std::string& annotations) {
  return parse_coco(R"({"images":[{"id":30,"file_name":"c.jpg","height":40,"width":60},
       {"id":10,"file_name":"a.jpg","height":50,"width":50},
       {"id":20,"file_name":"b.jpg","height":4,"width":6}],
       "categories":[{"id":7,"name":"seven"},{"id":2,"name":"two"}],"annotations":[)" +
                        annotations + "]}",
                    "test");
}

TEST(CocoResults, WhatIsWrittenReadsBackAlike) {
  const CocoAnnotations coco = parse("");
  const test::TemporaryFolder folder;
  std::mt19937_64 random(15);
  std::uniform_real_distribution<double> value(0, 1);
  for (const CocoTask task : {CocoTask::kBox, CocoTask::kMask}) {
    std::vector<CocoDetection> detections;
    for (int i = 0; i < 300; ++i) {
      CocoDetection d;
      d.image = static_cast<int>(random() % 3);
      d.label = static_cast<int>(random() % 2);
      d.score = i % 5 == 0 ? 1e-9 * value(random) : value(random);
      const CocoImage& image = coco.images[d.image];
      if (task == CocoTask::kBox) {
        d.box = {40 * value(random), -1e-7 * value(random), double(random() % 9),
                 100 * value(random)};
      } else {
        std::vector<uint8_t> pixels(size_t(image.height) * image.width);
        for (uint8_t& pixel : pixels) pixel = random() % 16 < size_t(i) % 17;
        d.mask = encode_mask({pixels, image.height, image.width});
      }
      detections.push_back(d);
    }
    const auto path = folder.path() / "results.json";
    write_coco_results(path, task, coco, detections);
    const std::vector<CocoDetection> again = read_coco_results(path, task, coco);
    ASSERT_EQ(again.size(), detections.size());
    for (size_t i = 0; i < again.size(); ++i) {
      EXPECT_EQ(again[i].image, detections[i].image);
      EXPECT_EQ(again[i].label, detections[i].label);
      EXPECT_EQ(again[i].score, detections[i].score);
      EXPECT_EQ(again[i].box, detections[i].box);
      EXPECT_EQ(again[i].mask, detections[i].mask);
    }
    if (task == CocoTask::kMask) {
      // A bbox would change the areas of pycocotools; a backslash must be escaped.
      const std::string text = read_file(path);
      EXPECT_EQ(text.find("bbox"), std::string::npos);
      EXPECT_NE(text.find("\\\\"), std::string::npos);
    }
    write_coco_results(path, task, coco, {});
    EXPECT_TRUE(read_coco_results(path, task, coco).empty());
  }
}

TEST(CocoResults, TheFormIsPycocotools) {
  const CocoAnnotations coco = parse("");
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "results.json";
  write_coco_results(path, CocoTask::kBox, coco,
                     std::vector<CocoDetection>{{1, 1, 0.25, {1, 2.5, 3, 4}, {}}});
  EXPECT_EQ(read_file(path),
            "[\n{\"image_id\":20,\"category_id\":7,\"score\":0.25,\"bbox\":[1,2.5,3,4]}\n]\n");
  write_coco_results(path, CocoTask::kMask, coco,
                     std::vector<CocoDetection>{{1, 0, 1, {}, {4, 6, {5, 2, 2, 2, 13}}}});
  EXPECT_EQ(read_file(path),
            "[\n{\"image_id\":20,\"category_id\":2,\"score\":1,\"segmentation\":{\"size\":[4,6],"
            "\"counts\":\"5220;\"}}\n]\n");
}

TEST(CocoResults, ClassesThatTheFileLacksAreLeftOut) {
  CocoAnnotations coco = parse("");
  coco.categories.insert(coco.categories.begin(), {0, "unknown", "", false});
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "results.json";
  std::vector<CocoDetection> detections{{1, 0, 0.5, {1, 2, 3, 4}, {}}};
  write_coco_results(path, CocoTask::kBox, coco, detections);
  EXPECT_EQ(read_file(path), "[\n]\n");
  detections.push_back({1, 1, 0.5, {1, 2, 3, 4}, {}});
  write_coco_results(path, CocoTask::kBox, coco, detections);
  const auto read = read_coco_results(path, CocoTask::kBox, coco);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].label, 1);
}

TEST(CocoResults, BadFilesAndDetectionsAreErrors) {
  const CocoAnnotations coco = parse("");
  const auto bad = [&](const std::string& text, CocoTask task, ErrorCode code, const char* part) {
    try {
      parse_coco_results(text, "r.json", task, coco);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  };
  const std::string head = R"({"image_id":20,"category_id":7,"score":0.5)";
  for (const CocoTask task : {CocoTask::kBox, CocoTask::kMask}) {
    bad("", task, ErrorCode::kBadFormat, "r.json: not valid JSON");
    bad("{}", task, ErrorCode::kBadFormat, "no list");
    bad("7", task, ErrorCode::kBadFormat, "no list");
    bad("[7]", task, ErrorCode::kBadFormat, "result 0");
    bad("[" + head + "}]", task, ErrorCode::kBadFormat, "result 0 needs \"");
    bad(R"([{"image_id":20,"category_id":7}])", task, ErrorCode::kBadFormat, "score");
    bad(R"([{"image_id":21,"category_id":7,"score":1}])", task, ErrorCode::kMismatch, "image 21");
    bad(R"([{"image_id":20,"category_id":1,"score":1}])", task, ErrorCode::kMismatch, "category 1");
  }
  bad("[" + head + R"(,"bbox":[1,2,3,-4]}])", CocoTask::kBox, ErrorCode::kBadFormat, "bbox");
  bad("[" + head + R"(,"segmentation":[[1,2,3,4,5,6]]}])", CocoTask::kMask, ErrorCode::kBadFormat,
      "run lengths");

  const test::TemporaryFolder folder;
  const auto refuses = [&](CocoTask task, const CocoDetection& detection) {
    const auto path = folder.path() / "results.json";
    EXPECT_THROW(write_coco_results(path, task, coco, std::span(&detection, 1)), Error);
    EXPECT_FALSE(std::filesystem::exists(path));
  };
  refuses(CocoTask::kBox, {3, 0, 1, {}, {}});
  refuses(CocoTask::kBox, {0, -1, 1, {}, {}});
  refuses(CocoTask::kBox, {0, 0, NAN, {}, {}});
  refuses(CocoTask::kBox, {0, 0, 1, {0, 0, INFINITY, 1}, {}});
  refuses(CocoTask::kMask, {0, 0, 1, {}, {}});
  refuses(CocoTask::kMask, {0, 0, 1, {}, {2, 2, {4}}});
}

}  // namespace
}  // namespace asmlp::coco_results_test
