#include "asmlp/dataset/coco/coco.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/error.h"
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
  EXPECT_THAT(coco.categories, ElementsAre(CocoCategory{2, "two"}, CocoCategory{7, "seven", "x"}));
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
  EXPECT_TRUE(has_masks(coco));
  EXPECT_FALSE(has_masks(parse(R"({"id":1,"image_id":30,"category_id":2,"bbox":[0,1,2,3]})")));
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

// What tools write in the place of numbers, flags and outlines means the same as COCO's own form.
TEST(Coco, ValuesAreReadInEveryFormThatIsUnambiguous) {
  const std::string plain = annotation(5, "[[1,1,3,1,3,3,1,3]]");
  const CocoAnnotations expected = parse(plain);
  const auto same = [&](const CocoAnnotations& coco, const std::string& what) {
    ASSERT_EQ(coco.annotations.size(), 1u) << what << coco.skips.report();
    const CocoAnnotation &a = coco.annotations[0], &e = expected.annotations[0];
    EXPECT_EQ(a.id, e.id) << what;
    EXPECT_EQ(a.image, e.image) << what;
    EXPECT_EQ(a.label, e.label) << what;
    EXPECT_EQ(a.box, e.box) << what;
    EXPECT_EQ(a.area, e.area) << what;
    EXPECT_EQ(a.crowd, e.crowd) << what;
    EXPECT_EQ(coco_mask(a, coco.images[1]), coco_mask(e, expected.images[1])) << what;
  };
  for (const char* other : {R"("id":"5")",
                            R"("id":5.0)",
                            R"("id":" 5 ")",
                            R"("image_id":"20")",
                            R"("image_id":20.0)",
                            R"("category_id":"7")",
                            R"("category_id":"7.0")",
                            R"("bbox":["1","1","2","2.0"])",
                            R"("bbox":"[1, 1, 2, 2]")",
                            R"("area":"4")",
                            R"("iscrowd":"0")",
                            R"("iscrowd":false)",
                            R"("iscrowd":"False")",
                            R"("iscrowd":null)",
                            R"("iscrowd":"")",
                            R"("segmentation":[1,1,3,1,3,3,1,3])",
                            R"("segmentation":[["1",1,3,1,3,3,1,"3"]])",
                            R"("segmentation":[[1,1],[3,1],[3,3],[1,3]])",
                            R"("segmentation":[[[1,1],[3,1],[3,3],[1,3]]])",
                            R"("segmentation":"[[1,1,3,1,3,3,1,3]]")",
                            R"("segmentation":{"size":["4",6.0],"counts":[5,"2",2,2,13]})",
                            R"("segmentation":{"size":[4,6],"counts":"5220;"})",
                            R"("extra":NaN)",
                            R"("extra":"a \"NaN\" is text","more":[-Infinity,{"x":Infinity}])"}) {
    const std::string text = plain.substr(0, plain.size() - 1) + "," + other + "}";
    const CocoAnnotations coco = parse(text);
    same(coco, other);
    EXPECT_EQ(coco.skips.report(), "") << other;
  }
  for (const char* crowd : {"1", "true", R"("1")", R"("true")", "1.0", "2"}) {
    EXPECT_TRUE(
        parse(annotation(5, "[]", fmt::format(R"(,"iscrowd":{})", crowd))).annotations.at(0).crowd)
        << crowd;
  }
  // Of images and categories, and a byte order mark.
  same(
      parse_coco("\xef\xbb\xbf" + file_of(plain,
                                          R"({"id":"10","file_name":"a","height":"50","width":50.0},
                          {"id":"20","file_name":"b","height":"4","width":"6","license":null},
                          null,{"id":"20","file_name":"b"})",
                                          R"({"id":"2","name":"two"},{"id":7.0,"name":"seven"})"),
                 "test"),
      "images");
}

TEST(Coco, WhatIsMissingIsTakenFromTheRest) {
  const CocoAnnotations coco = parse(
      R"({"id":1,"image_id":20,"category_id":7,"bbox":[1,1,2,2],"segmentation":[[1,1,3,1,1,3]]},)"
      R"({"id":2,"image_id":20,"category_id":7,"bbox":[1,1,2,2],"area":null},)"
      R"({"id":3,"image_id":20,"category_id":7,"bbox":[1,1,2,2],"area":NaN,"segmentation":[]},)"
      R"({"id":4,"image_id":20,"category_id":7,"segmentation":[[1,1,3.5,1,3.5,3,1,3]]},)"
      R"({"id":5,"image_id":20,"category_id":7,"bbox":[3,3,-2,-2],)"
      R"("segmentation":{"size":[4,6],"counts":[5,2,2,2,13]}},)"
      R"({"image_id":20,"category_id":7,"bbox":[1,1,2,2],"area":4},)"
      R"({"id":2,"image_id":20,"category_id":2,"bbox":[1,1,2,2],"area":4},)"
      R"({"id":0,"image_id":20,"category_id":7,"bbox":[1,1,2,2],"area":4})");
  ASSERT_EQ(coco.annotations.size(), 8u) << coco.skips.report();
  EXPECT_EQ(coco.skips.annotations(), 0);
  EXPECT_EQ(coco.annotations[0].area,
            double(mask_area(coco_mask(coco.annotations[0], coco.images[1]))));
  EXPECT_LT(coco.annotations[0].area, 4);
  EXPECT_EQ(coco.annotations[1].area, 4);
  EXPECT_EQ(coco.annotations[2].area, 4);
  EXPECT_EQ(coco.annotations[3].box, (CocoBox{1, 1, 2.5, 2}));
  EXPECT_EQ(coco.annotations[4].box, (CocoBox{1, 1, 2, 2}));
  using Skips = CocoSkips;
  EXPECT_EQ(coco.skips.counts[Skips::kNoArea], 5);
  EXPECT_EQ(coco.skips.counts[Skips::kBoxOfOutline], 2);
  EXPECT_EQ(coco.skips.counts[Skips::kNoId], 1);
  EXPECT_EQ(coco.skips.counts[Skips::kRepeatedId], 1);
  EXPECT_EQ(coco.skips.counts[Skips::kIdZero], 1);
  EXPECT_THAT(coco.skips.report(), HasSubstr("pycocotools never counts"));
}

TEST(Coco, SingleBadAnnotationsAreCountedAndSaid) {
  const std::string square = "[[1,1,3,1,3,3,1,3]]";
  std::string text = annotation(1, square);
  const auto add = [&](const std::string& entry) { text += "," + entry; };
  for (const char* entry :
       {"5", "null", "[1,2]", "{}", R"({"id":1,"image_id":20.5,"category_id":7})",
        R"({"id":1,"image_id":"b","category_id":7})",
        R"({"id":1,"image_id":20,"category_id":99999999999999999999})"}) {
    add(entry);
  }
  add(annotation(1, square));                        // the same again
  add(annotation(10, square, R"(,"image_id":21)"));  // the last of two members counts
  add(annotation(11, square, R"(,"category_id":1)"));
  int id = 20;
  for (const char* box : {"null", "[]", "[1,2,3]", "[1,2,3,null]", "[1,2,-3,4]", "[1,2,3,4,5]", "7",
                          R"([1,2,3,"x"])", "[1,2,3,1e7]", "[1,2,NaN,4]"}) {
    add(annotation(id++, "[]", fmt::format(R"(,"bbox":{})", box)));
  }
  for (const char* crowd : {R"("perhaps")", "[]", "{}"}) {
    add(annotation(id++, square, fmt::format(R"(,"iscrowd":{})", crowd)));
  }
  id = 50;
  const int first = id;
  for (const char* segmentation :
       {"7", "true", R"("522O=")", "[[1,1,3,1,3,3,1]]", "[[1,1,3,1,3,null]]", "[[1,1,3,1,3,2e6]]",
        R"({"size":[4,6]})", R"({"size":[4,6],"counts":"522O"})",
        R"({"size":[4,6],"counts":"52 O="})", R"({"size":[4,6],"counts":[5,2,2,2,14]})",
        R"({"size":[4,6],"counts":[5,2,-2,2,17]})", R"({"size":[4,6],"counts":[5,2,2,2,1.5]})",
        R"({"size":[6,4],"counts":[5,2,2,2,13]})", R"({"size":[0,6],"counts":[0]})",
        R"({"size":[99999,99999],"counts":[0]})", R"({"size":[4],"counts":[5,2,2,2,13]})",
        R"({"size":[4,6],"counts":7})"}) {
    add(annotation(id++, segmentation));
  }
  const int bad_outlines = id - first;
  for (const char* segmentation : {"[[1,2,3,4]]", "[[]]", "[1,1,3,1]", "[[1,1],[2,2]]"}) {
    add(annotation(id++, segmentation));  // short polygons: of the last two
  }
  for (const char* segmentation : {"[]", "{}", "null", R"("")", "false"}) {
    add(annotation(id++, segmentation));
  }
  const int bare = id - first;
  add(annotation(id++, "[[1,1,3,1],[1,1,3,1,3,3,1,3]]"));  // kept, with one polygon

  // All that is not said to be left out counts, with its box alone where the outline is unusable.
  const CocoAnnotations coco = parse(text);
  ASSERT_EQ(coco.annotations.size(), 2u + bare) << coco.skips.report();
  EXPECT_TRUE(coco.annotations.front().has_outline());
  for (int i = 1; i <= bare; ++i) EXPECT_FALSE(coco.annotations[i].has_outline()) << i;
  EXPECT_EQ(coco.annotations.back().polygons.size(), 1);
  EXPECT_THAT(coco.skips.counts,
              ElementsAre(7, 1, 1, 1, 10, 3, bad_outlines, 6, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(coco.skips.annotations(), 23);
  EXPECT_THAT(coco.skips.report(),
              HasSubstr("1 annotations left out, of unknown images; first: annotation 10"));
  EXPECT_THAT(coco.skips.report(), HasSubstr("first: annotation 50: neither polygons nor run"));
}

TEST(Coco, BrokenFilesAreErrorsThatSayWhatToDo) {
  const std::string good = file_of(annotation(1, "[[1,1,3,1,3,3,1,3]]"));
  for (const size_t length : {size_t{0}, size_t{1}, good.size() / 2, good.size() - 1}) {
    expect_error(good.substr(0, length), ErrorCode::kBadFormat, "is the file complete?");
  }
  expect_error(good + "x", ErrorCode::kBadFormat, "not valid JSON");
  expect_error(good + "NaN x", ErrorCode::kBadFormat, "not valid JSON");
  expect_error(file_of(annotation(1, "[]", R"(,"area":1e999)")), ErrorCode::kBadFormat,
               "not valid JSON");
  expect_error("[]", ErrorCode::kBadFormat, "no object");
  expect_error("7", ErrorCode::kBadFormat, "no object");
  expect_error("{}", ErrorCode::kBadFormat, "no list \"images\"");
  expect_error(R"({"images":[],"annotations":[]})", ErrorCode::kBadFormat,
               "no list \"categories\"");
  expect_error(R"({"images":{},"categories":[]})", ErrorCode::kBadFormat, "must be a list");
  expect_error(R"({"images":7,"categories":[]})", ErrorCode::kBadFormat, "must be a list");
  expect_error(R"({"images":[],"images":[]})", ErrorCode::kBadFormat, "twice");
  expect_error(file_of("", ""), ErrorCode::kBadFormat, "\"images\" is empty");
  expect_error(file_of("", kImages, ""), ErrorCode::kBadFormat, "\"categories\" is empty");
  expect_error(file_of("", kImages + R"(,{"id":10,"file_name":"other","height":1,"width":1})"),
               ErrorCode::kBadFormat, "id 10");
  expect_error(file_of("", kImages, kCategories + R"(,{"id":2,"name":"other"})"),
               ErrorCode::kBadFormat, "id 2");
  expect_error(file_of("", kImages, R"({"name":"one"})"), ErrorCode::kBadFormat,
               "first: entry 0 of \"cat");
  EXPECT_THROW(read_coco("/nowhere/instances.json"), Error);
}

TEST(Coco, HugeEntriesAreRefusedBeforeTheyFillTheMemory) {
  const auto expect_too_large = [](const std::string& json) {
    EXPECT_EQ(test::error_of([&] { parse_coco(json, "test"); }).code(), ErrorCode::kTooLarge);
  };
  std::string numbers;
  for (int i = 0; i < 4'300'000; ++i) numbers += "1,";
  expect_too_large(file_of(annotation(1, "[[" + numbers + "1]]")));
  expect_too_large(file_of("{\"id\":" + std::string(1000, '[')));
  // Depth counts where nothing is of interest, too.
  expect_too_large("{\"info\":" + std::string(1000, '['));
  // As text, it is an unusable outline.
  const CocoAnnotations coco = parse(annotation(1, '"' + std::string(1'000'000, '[') + '"'));
  EXPECT_EQ(coco.skips.counts[CocoSkips::kBadSegmentation], 1);
}

// 2 MB that would take minutes to draw. What the first outlines have is the area of their masks.
TEST(Coco, AreasOfVeryManyHugeOutlinesAreNotDrawn) {
  std::string list;
  for (int i = 1; i <= 20'000; ++i) {
    list += fmt::format(
        R"({}{{"id":{},"image_id":1,"category_id":7,"segmentation":[[0,0,60000,0,60000,10,0,10]]}})",
        i == 1 ? "" : ",", i);
  }
  const CocoAnnotations coco = parse_coco(
      file_of(list, R"({"id":1,"file_name":"a.jpg","height":60000,"width":60000})"), "test");
  ASSERT_EQ(coco.annotations.size(), 20'000u);
  EXPECT_EQ(coco.annotations.front().area, 600'000);
  EXPECT_EQ(coco.annotations.back().area, 600'000);
}

TEST(Coco, UnusableImagesAndCategoriesAreCounted) {
  const CocoAnnotations coco = parse_coco(
      file_of(annotation(1, "[]"),
              kImages + "," + kImages +
                  R"(,null,[[]],{"id":1,"height":5,"width":5},{"file_name":"a","height":5},)"
                  R"({"id":"x","file_name":"a"},{"id":50,"file_name":"z","height":5.5,"width":5},)"
                  R"({"id":51,"file_name":"y","height":70000,"width":5},)"
                  R"({"id":52,"coco_url":"http://x/val/w.jpg","height":0,"width":5})",
              kCategories + "," + kCategories + R"(,7,{"name":"none"},{"id":9},{"id":8,"name":5})"),
      "test");
  EXPECT_EQ(coco.skips.counts[CocoSkips::kBadImage], 3 + 5);
  EXPECT_EQ(coco.skips.counts[CocoSkips::kBadCategory], 2 + 2);
  EXPECT_THAT(coco.categories, ElementsAre(CocoCategory{2, "two"}, CocoCategory{7, "seven", "x"},
                                           CocoCategory{8, "5"}, CocoCategory{9, "9"}));
  ASSERT_EQ(coco.images.size(), 6u);
  for (int i = 3; i < 6; ++i) EXPECT_EQ(coco.images[i].height + coco.images[i].width, 0) << i;
  EXPECT_EQ(coco.images[5].file_name, "http://x/val/w.jpg");
  EXPECT_EQ(coco.annotations.size(), 1u);
}

TEST(Coco, NothingToFindIsAnError) {
  const auto refuses = [](const CocoAnnotations& coco, const std::string& part) {
    EXPECT_THAT(test::error_of(ErrorCode::kBadFormat, [&] { require_objects(coco, "f.json"); }),
                testing::AllOf(HasSubstr("f.json"), HasSubstr(part)));
  };
  refuses(parse(""), "no annotation");
  refuses(parse_coco("{\"images\":[" + kImages + "],\"categories\":[" + kCategories + "]}", "t"),
          "no annotation");
  refuses(parse(annotation(1, "[]", R"(,"image_id":77)")), "of unknown images; first");
  refuses(parse(annotation(1, "[]", R"(,"iscrowd":1)")), "crowd");
  require_objects(parse(annotation(1, "[]")), "f.json");
}

TEST(Coco, SubsetsKeepImagesWithTheirAnnotations) {
  const CocoAnnotations coco =
      parse(annotation(1, "[]") + "," + annotation(2, "[]", R"(,"image_id":30)") + "," +
            annotation(3, "[]", R"(,"image_id":10)"));
  const CocoAnnotations part = subset(coco, {true, false, true});
  ASSERT_EQ(part.images.size(), 2u);
  EXPECT_EQ(part.images[1].id, 30);
  ASSERT_EQ(part.annotations.size(), 2u);
  EXPECT_EQ(part.annotations[0].id, 2);
  EXPECT_THAT(part.of_image(0), ElementsAre(1));
  EXPECT_THAT(part.of_image(1), ElementsAre(0));
  EXPECT_EQ(part.categories, coco.categories);
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

}  // namespace
}  // namespace asmlp::coco_test
