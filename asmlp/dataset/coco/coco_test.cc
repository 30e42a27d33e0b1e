#include "asmlp/dataset/coco/coco.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_results.h"
#include "tests/support/support.h"

namespace asmlp::coco_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kImages =
    R"({"id":30,"file_name":"c.jpg","height":40,"width":60},
       {"id":10,"file_name":"a.jpg","height":50,"width":50.0},
       {"id":20,"file_name":"b.jpg","height":4,"width":6,"extra":[1,{"id":2}]})";
const std::string kCategories =
    R"({"id":7,"name":"seven","supercategory":"x"},{"id":2,"name":"two"})";

std::string file_of(const std::string& annotations, const std::string& images = kImages,
                    const std::string& categories = kCategories) {
  return R"({"info":{"images":[1,2],"deep":[[[]]]},"annotations":[)" + annotations +
         R"(],"images":[)" + images + R"(],"licenses":[{"id":1}],"categories":[)" + categories +
         "]}";
}

CocoAnnotations parse(const std::string& annotations) {
  return parse_coco(file_of(annotations), "test");
}

// An annotation of image 20 (4 x 6) and category 7 with other members instead of or after these.
std::string annotation(int64_t id, const std::string& segmentation, const std::string& more = "") {
  return fmt::format(
      R"({{"id":{},"image_id":20,"category_id":7,"bbox":[1,1,2,2],"area":4,"iscrowd":0)"
      R"(,"segmentation":{}{}}})",
      id, segmentation, more);
}

void expect_error(const std::string& text, ErrorCode code, const std::string& part) {
  try {
    parse_coco(text, "f.json");
    FAIL() << "no error for " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr("f.json"));
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST(Coco, ReadsEveryFormOfAnnotation) {
  const CocoAnnotations coco =
      parse(annotation(5, "[[1,1,3,1,3,3,1,3]]") + "," +
            annotation(6, R"({"size":[4,6],"counts":[5,2,2,2,13]})", R"(,"iscrowd":1)") + "," +
            annotation(900000000007, R"({"size":[4,6],"counts":"5220;"})", R"(,"iscrowd":true)") +
            "," + R"({"id":-8,"image_id":30,"category_id":2,"bbox":[0.5,1,2,3],"area":6.5})");
  EXPECT_EQ(coco.skips.report(), "");
  EXPECT_EQ(coco.skips.annotations(), 0);
  ASSERT_EQ(coco.annotations.size(), 4u);
  EXPECT_THAT(coco.categories, ElementsAre(CocoCategory{2, "two"}, CocoCategory{7, "seven"}));
  ASSERT_EQ(coco.images.size(), 3u);
  EXPECT_EQ(coco.images[0].file_name, "a.jpg");
  EXPECT_EQ(coco.images[1].height, 4);
  EXPECT_EQ(coco.images[1].width, 6);
  EXPECT_THAT(coco.of_image(0), ElementsAre());
  EXPECT_THAT(coco.of_image(1), ElementsAre(0, 1, 2));
  EXPECT_THAT(coco.of_image(2), ElementsAre(3));
  EXPECT_EQ(coco.find_image(20), 1);
  EXPECT_EQ(coco.find_image(21), -1);
  EXPECT_EQ(coco.find_category(7), 1);

  const MaskRle square{4, 6, {5, 2, 2, 2, 13}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(coco.annotations[i].label, 1);
    EXPECT_EQ(coco_mask(coco.annotations[i], coco.images[1]), square) << i;
    EXPECT_EQ(coco.annotations[i].crowd, i > 0);
  }
  EXPECT_EQ(coco.annotations[2].id, 900000000007);
  EXPECT_EQ(coco.annotations[3].box, (CocoBox{0.5, 1, 2, 3}));
  EXPECT_EQ(coco.annotations[3].area, 6.5);
  EXPECT_EQ(mask_area(coco_mask(coco.annotations[3], coco.images[2])), 0);

  ThreadPool pool(2);
  EXPECT_EQ(coco_ground_truth(coco, CocoTask::kBox, pool).size(), 4u);
  EXPECT_FALSE(coco.annotations[3].has_outline());
  const auto masks = coco_ground_truth(coco, CocoTask::kMask, pool);
  ASSERT_EQ(masks.size(), 3u);
  for (const CocoGroundTruth& truth : masks) EXPECT_EQ(truth.mask, square);
}

TEST(Coco, PartsOfAnObjectAreUnited) {
  const CocoAnnotations coco = parse(annotation(5, "[[0,0,1,0,1,1,0,1],[4,2,6,2,6,4,4,4]]"));
  EXPECT_EQ(decode_mask(coco_mask(coco.annotations[0], coco.images[1])),
            (std::vector<uint8_t>{1, 0, 0, 0, 0, 0,  //
                                  0, 0, 0, 0, 0, 0,  //
                                  0, 0, 0, 0, 1, 1,  //
                                  0, 0, 0, 0, 1, 1}));
}

TEST(Coco, PolygonsKeepTheDoublesOfTheFile) {
  std::mt19937_64 random(14);
  std::uniform_real_distribution<double> value(-700, 700);
  CocoPolygons polygons;
  EXPECT_TRUE(polygons.empty());
  std::vector<std::vector<double>> expected;
  for (int i = 0; i < 200; ++i) {
    std::vector<double> xy(6 + 2 * (random() % 9));
    for (double& x : xy) x = i % 3 == 0 ? value(random) : std::round(value(random) * 100) / 100;
    if (i % 10 == 1) xy[random() % xy.size()] = -0.0;
    if (i % 10 == 2) xy[random() % xy.size()] = 9e5 + 0.001;
    polygons.add(xy);
    expected.push_back(xy);
  }
  ASSERT_EQ(polygons.size(), 200);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(polygons.at(i), expected[i]);
    for (size_t k = 0; k < expected[i].size(); ++k) {
      EXPECT_EQ(std::signbit(polygons.at(i)[k]), std::signbit(expected[i][k]));
    }
  }
}

TEST(Coco, SingleBadAnnotationsAreCountedAndSaid) {
  const std::string square = "[[1,1,3,1,3,3,1,3]]";
  std::string text = annotation(1, square);
  std::set<int> bad;
  const auto add = [&](const std::string& entry) { text += "," + entry; };
  for (const char* entry :
       {"5", "null", "[1,2]", "{}", R"({"id":1.5,"image_id":20,"category_id":7})",
        R"({"id":"1","image_id":20,"category_id":7})",
        R"({"id":99999999999999999999,"image_id":20,"category_id":7})"}) {
    add(entry);
  }
  add(annotation(1, square));                        // an id again
  add(annotation(10, square, R"(,"image_id":21)"));  // the last of two members counts
  add(annotation(11, square, R"(,"category_id":1)"));
  int id = 20;
  for (const char* box : {"null", "[]", "[1,2,3]", "[1,2,3,null]", "[1,2,-3,4]", "[1,2,3,4,5]", "7",
                          R"([1,2,3,"4"])", "[1,2,3,1e7]"}) {
    add(annotation(id++, square, fmt::format(R"(,"bbox":{})", box)));
  }
  add(annotation(id++, square, R"(,"area":"4")"));
  id = 50;
  for (const char* segmentation : {"7",
                                   R"("522O=")",
                                   "[[1,2,3,4]]",
                                   "[[]]",
                                   "[1,1,3,1,3,3]",
                                   "[[1,1,3,1,3,3,1]]",
                                   "[[1,1,3,1,3,null]]",
                                   "[[1,1,3,1,3,2e6]]",
                                   "{}",
                                   R"({"size":[4,6]})",
                                   R"({"size":[4,6],"counts":"522O"})",
                                   R"({"size":[4,6],"counts":"52 O="})",
                                   R"({"size":[4,6],"counts":[5,2,2,2,14]})",
                                   R"({"size":[4,6],"counts":[5,2,-2,2,17]})",
                                   R"({"size":[4,6],"counts":[5,2,2,2,1.5]})",
                                   R"({"size":[6,4],"counts":[5,2,2,2,13]})",
                                   R"({"size":[0,6],"counts":[0]})",
                                   R"({"size":[99999,99999],"counts":[0]})",
                                   R"({"size":[4],"counts":[5,2,2,2,13]})",
                                   R"({"size":[4,6],"counts":7})"}) {
    add(annotation(id++, segmentation));
  }
  add(annotation(90, "[[1,1,3,1],[1,1,3,1,3,3,1,3]]"));  // kept, with one polygon

  const CocoAnnotations coco = parse(text);
  ASSERT_EQ(coco.annotations.size(), 2u) << coco.skips.report();
  EXPECT_EQ(coco.annotations[1].polygons.size(), 1);
  EXPECT_THAT(coco.skips.counts, ElementsAre(7, 1, 1, 1, 10, 20, 3));
  EXPECT_EQ(coco.skips.annotations(), 40);
  EXPECT_THAT(coco.skips.report(),
              HasSubstr("1 annotations of unknown images; first: annotation 10"));
  EXPECT_THAT(coco.skips.report(), HasSubstr("20 annotations without a usable segmentation; first: "
                                             "annotation 50: neither polygons nor run lengths"));
}

TEST(Coco, BrokenFilesAreErrorsThatSayWhatToDo) {
  const std::string good = file_of(annotation(1, "[[1,1,3,1,3,3,1,3]]"));
  for (const size_t length : {size_t{0}, size_t{1}, good.size() / 2, good.size() - 1}) {
    expect_error(good.substr(0, length), ErrorCode::kBadFormat, "is the file complete?");
  }
  expect_error(good + "x", ErrorCode::kBadFormat, "not valid JSON");
  expect_error(file_of(annotation(1, "[]", R"(,"area":NaN)")), ErrorCode::kBadFormat, "NaN");
  expect_error(file_of(annotation(1, "[]", R"(,"area":1e999)")), ErrorCode::kBadFormat,
               "not valid JSON");
  expect_error("[]", ErrorCode::kBadFormat, "no object");
  expect_error("7", ErrorCode::kBadFormat, "no object");
  expect_error("{}", ErrorCode::kBadFormat, "no list \"images\"");
  expect_error(R"({"images":[],"categories":[]})", ErrorCode::kBadFormat,
               "no list \"annotations\"");
  expect_error(R"({"images":{},"categories":[]})", ErrorCode::kBadFormat, "must be a list");
  expect_error(R"({"images":7,"categories":[]})", ErrorCode::kBadFormat, "must be a list");
  expect_error(R"({"images":[],"images":[]})", ErrorCode::kBadFormat, "twice");
  expect_error(file_of("", ""), ErrorCode::kBadFormat, "\"images\" is empty");
  expect_error(file_of("", kImages, ""), ErrorCode::kBadFormat, "\"categories\" is empty");
  expect_error(file_of("", kImages + "," + kImages), ErrorCode::kBadFormat, "id 10");
  expect_error(file_of("", kImages, kCategories + "," + kCategories), ErrorCode::kBadFormat,
               "id 2");
  expect_error(file_of("", kImages, R"({"id":1})"), ErrorCode::kBadFormat, "entry 0 of \"cat");
  expect_error(file_of("", kImages, "7"), ErrorCode::kBadFormat, "entry 0 of \"cat");
  for (const char* image :
       {R"({"id":1,"file_name":"a","height":5})", R"({"id":1,"height":5,"width":5})", "null",
        "[[]]", R"({"id":"1","file_name":"a","height":5,"width":5})",
        R"({"id":1,"file_name":"a","height":5.5,"width":5})",
        R"({"id":1,"file_name":"a","height":1e300,"width":5})"}) {
    expect_error(file_of("", kImages + "," + image), ErrorCode::kBadFormat,
                 "entry 3 of \"images\"");
  }
  for (const char* side : {"0", "-4", "70000", "4000000000"}) {
    expect_error(
        file_of("", fmt::format(R"({{"id":1,"file_name":"a","height":{},"width":5}})", side)),
        ErrorCode::kBadFormat, "sides of 1 to 65535");
  }
  EXPECT_THROW(read_coco("/nowhere/instances.json"), Error);
}

TEST(Coco, TrainingImagesFollowTheFilters) {
  const std::string images =
      R"({"id":1,"file_name":"a","height":50,"width":60},{"id":2,"file_name":"b","height":31,"width":60},
         {"id":3,"file_name":"c","height":32,"width":32},{"id":4,"file_name":"d","height":50,"width":60})";
  int id = -1;
  const auto entry = [&](int image, const std::string& box, const char* area, int crowd = 0) {
    ++id;
    return fmt::format(
        R"({}{{"id":{},"image_id":{},"category_id":2,"bbox":{},"area":{},"iscrowd":{}}})",
        id > 0 ? "," : "", id, image, box, area, crowd);
  };
  std::string text = entry(1, "[1,1,5,5]", "25");  // 0 kept
  text += entry(1, "[1,1,5,5]", "0");              // no area
  text += entry(1, "[1,1,0.9,5]", "4");            // narrow
  text += entry(1, "[1,1,5,0.9]", "4");            // low
  text += entry(1, "[60,1,5,5]", "25");            // touches the image from outside
  text += entry(1, "[-5,-5,5,5]", "25");           // so does this
  text += entry(1, "[1,1,5,5]", "25", 1);          // a crowd
  text += entry(1, "[59.5,49.5,1,1]", "1");        // 7 kept: partly inside
  text += entry(2, "[1,1,5,5]", "25");             // in an image that is too low
  text += entry(3, "[1,1,5,5]", "25", 1);          // an image of crowds only stays
  const CocoAnnotations coco = parse_coco(file_of(text, images), "test");
  ASSERT_EQ(coco.annotations.size(), 10u) << coco.skips.report();
  const std::vector<CocoTrainingImage> kept = coco_training_images(coco);
  ASSERT_EQ(kept.size(), 2u);  // image 4 has no annotations
  EXPECT_EQ(coco.images[kept[0].image].id, 1);
  EXPECT_THAT(kept[0].annotations, ElementsAre(0, 7));
  EXPECT_EQ(coco.images[kept[1].image].id, 3);
  EXPECT_THAT(kept[1].annotations, ElementsAre());
}

TEST(Coco, CategoriesOfCoco) {
  const auto categories = coco_categories();
  ASSERT_EQ(categories.size(), 80u);
  std::set<std::string> names;
  std::vector<int64_t> missing;
  int64_t next = 1;
  for (const CocoCategory& category : categories) {
    for (; next < category.id; ++next) missing.push_back(next);
    ++next;
    names.insert(category.name);
  }
  EXPECT_EQ(names.size(), 80u);
  EXPECT_THAT(missing, ElementsAre(12, 26, 29, 30, 45, 66, 68, 69, 71, 83));
  EXPECT_EQ(categories[0], (CocoCategory{1, "person"}));
  EXPECT_EQ(categories[56], (CocoCategory{62, "chair"}));
  EXPECT_EQ(categories[79], (CocoCategory{90, "toothbrush"}));
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
}  // namespace asmlp::coco_test
