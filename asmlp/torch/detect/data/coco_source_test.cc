#include "asmlp/torch/detect/data/coco_source.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "asmlp/dataset/coco/coco_set.h"
#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/torch/data/dense_input.h"
#include "tests/support/dense_input.h"
#include "tests/support/idx_files.h"
#include "tests/support/images.h"
#include "tests/support/weight_files.h"

namespace asmlp::detect::coco_source_test {
namespace {

namespace fs = std::filesystem;
using data::Random;
using data::TensorSample;
using test::plain_input;

// Every image as it is: nothing is drawn, resized, normalized or padded.
TrainTransformOptions plain_options(int short_side) {
  TrainTransformOptions options;
  options.hflip = options.crop_prob = 0;
  options.short_sides = {short_side};
  options.long_side = 10000;
  return options;
}

torch::Tensor tensor_of(const Image& image) {
  return torch::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, 3},
                          torch::kUInt8)
      .permute({2, 0, 1})
      .to(torch::kFloat);
}

// Images of 40 rows: a wide one, a high one, a square one, one that is too small, one without
// annotations. The wide one has a triangle, a mask of runs that leaves the image, a crowd, a box
// without width.
constexpr const char* kAnnotations = R"({
 "images": [
  {"id": 1, "file_name": "wide.png", "height": 40, "width": 50},
  {"id": 2, "file_name": "high.png", "height": 40, "width": 36},
  {"id": 3, "file_name": "square.png", "height": 40, "width": 40},
  {"id": 4, "file_name": "small.png", "height": 31, "width": 90},
  {"id": 5, "file_name": "nothing.png", "height": 40, "width": 60}],
 "categories": [{"id": 9, "name": "nine"}, {"id": 4, "name": "four"}],
 "annotations": [
  {"id": 11, "image_id": 1, "category_id": 9, "bbox": [10.5, 5, 20, 30.25], "area": 300,
   "iscrowd": 0, "segmentation": [[10.5, 5, 30.5, 5, 30.5, 35.25]]},
  {"id": 12, "image_id": 1, "category_id": 4, "bbox": [45, 30, 10, 20], "area": 50, "iscrowd": 0,
   "segmentation": {"size": [40, 50], "counts": [1950, 50]}},
  {"id": 13, "image_id": 1, "category_id": 4, "bbox": [0, 0, 50, 40], "area": 2000, "iscrowd": 1,
   "segmentation": {"size": [40, 50], "counts": [0, 2000]}},
  {"id": 14, "image_id": 1, "category_id": 4, "bbox": [3, 3, 0, 9], "area": 5, "iscrowd": 0,
   "segmentation": [[3, 3, 3, 12, 4, 12]]},
  {"id": 15, "image_id": 2, "category_id": 4, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0,
   "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]},
  {"id": 16, "image_id": 3, "category_id": 4, "bbox": [0, 0, 40, 40], "area": 9, "iscrowd": 1,
   "segmentation": {"size": [40, 40], "counts": [0, 1600]}},
  {"id": 17, "image_id": 4, "category_id": 4, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0,
   "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]}]})";

class CocoSourceTest : public testing::Test {
 protected:
  CocoSourceTest() {
    for (const CocoImage& image : annotations_.images) {
      pictures_.push_back(data::noise_image(image.height, image.width, 3, uint64_t(image.id)));
      write_png(root() / image.file_name, pictures_.back());
    }
  }
  fs::path root() const { return folder_.path(); }
  CocoTrainingSource plain_source() const {
    return {root(), annotations_, plain_options(40), plain_input(), ObjectMasks::kDrawn};
  }

  test::TemporaryFolder folder_;
  CocoAnnotations annotations_ = parse_coco(kAnnotations, "annotations");
  std::vector<Image> pictures_;
};

TEST_F(CocoSourceTest, TrainsOnUsableImagesInTwoGroups) {
  const CocoTrainingSource source = plain_source();
  ASSERT_EQ(source.size(), 3);
  EXPECT_EQ(source.group(0), 1);
  EXPECT_EQ(source.group(1), 0);
  EXPECT_EQ(source.group(2), 0);  // a square is not wide
  EXPECT_EQ(source.images()[2].image, 2);
}

TEST_F(CocoSourceTest, ItemsHoldPictureAndObjects) {
  const CocoTrainingSource source = plain_source();
  Random random(1);
  const TensorSample wide = source.get(0, random);
  EXPECT_TRUE(wide.image.equal(tensor_of(pictures_[0])));
  EXPECT_TRUE(wide.info.boxes.equal(
      torch::tensor({{10.5f, 5.0f, 30.5f, 35.25f}, {45.0f, 30.0f, 50.0f, 40.0f}})));
  EXPECT_TRUE(wide.info.labels.equal(torch::tensor({1, 0}, torch::kInt64)));  // by rising id
  ASSERT_EQ(wide.info.masks.sizes().vec(), (std::vector<int64_t>{2, 40, 50}));
  for (int i = 0; i < 2; ++i) {
    const auto pixels =
        decode_mask(coco_mask(annotations_.annotations[size_t(i)], annotations_.images[0]));
    const auto expected = torch::tensor(pixels, torch::kUInt8).view({40, 50});
    EXPECT_TRUE(wide.info.masks[i].equal(expected));
  }
  EXPECT_EQ(wide.info.original_width, 50);
  // An image whose only object is a crowd is trained on as background.
  const TensorSample square = source.get(2, random);
  EXPECT_TRUE(square.image.equal(tensor_of(pictures_[2])));
  EXPECT_EQ(square.info.boxes.sizes().vec(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(square.info.masks.sizes().vec(), (std::vector<int64_t>{0, 40, 40}));
}

TEST_F(CocoSourceTest, TheSameSeedGivesTheSameItem) {
  TrainTransformOptions options;
  options.short_sides = {48, 60, 72};
  options.crop_short_sides = {40, 50};
  options.crop_size = {20, 45};
  const CocoTrainingSource source(root(), annotations_, options, {}, ObjectMasks::kDrawn);
  std::set<double> sums;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random one(seed), two(seed);
    const TensorSample a = source.get(0, one), b = source.get(0, two);
    EXPECT_TRUE(a.image.equal(b.image));
    EXPECT_TRUE(a.info.masks.equal(b.info.masks));
    sums.insert(a.image.sum().item<double>());
  }
  EXPECT_GT(sums.size(), 10u);
}

TEST_F(CocoSourceTest, TestsSeeEveryImage) {
  const CocoTestSource source(root(), annotations_, {});
  ASSERT_EQ(source.size(), 5);
  Random random(1);
  for (int64_t i = 0; i < 5; ++i) {
    const TensorSample sample = source.get(i, random),
                       expected = data::test_sample(pictures_[size_t(i)], {});
    EXPECT_TRUE(sample.image.equal(expected.image));
    EXPECT_EQ(sample.info.width, expected.info.width);
    EXPECT_FALSE(sample.info.boxes.defined());
  }
}

// A picture of 11 x 13 pixels that is stored as 13 x 11: the size in the annotations says of which
// pixels they are.
TEST_F(CocoSourceTest, TheSizeInTheAnnotationsDecidesWhetherAPictureIsTurned) {
  Random random(1);
  for (const bool upright : {true, false}) {
    const auto text = [&](int height, int width) {
      return fmt::format(
          R"({{"categories": [{{"id": 1, "name": "a"}}], "annotations": [], "images":
              [{{"id": 1, "file_name": "turned_6.png", "height": {}, "width": {}}}]}})",
          height, width);
    };
    const CocoAnnotations annotations =
        parse_coco(upright ? text(11, 13) : text(13, 11), "annotations");
    const CocoTestSource source(test::data("pictures"), annotations, {});
    const TensorSample sample = source.get(0, random);
    EXPECT_EQ(sample.info.original_height, upright ? 11 : 13);
    EXPECT_EQ(source.stored(), upright ? 0 : 1);
  }
}

TEST_F(CocoSourceTest, ErrorsNameTheFile) {
  const CocoTrainingSource source = plain_source();
  const CocoTestSource tests(root(), annotations_, {});
  Random random(1);
  write_png(root() / "wide.png", data::noise_image(50, 40, 3));  // turned
  for (const data::SampleSource* s : {static_cast<const data::SampleSource*>(&source),
                                      static_cast<const data::SampleSource*>(&tests)}) {
    test::expect_words(test::error_of(ErrorCode::kMismatch, [&] { s->get(0, random); }),
                       {(root() / "wide.png").string(), "50 x 40", "40 x 50"});
  }
  test::write_bytes(root() / "high.png", "no picture");
  test::expect_words(test::error_of(ErrorCode::kUnsupported, [&] { source.get(1, random); }),
                     {"high.png"});
  fs::remove(root() / "square.png");
  test::expect_words(test::error_of(ErrorCode::kNotFound, [&] { source.get(2, random); }),
                     {"square.png"});
  for (const int64_t index : {-1, 3}) {
    test::error_of(ErrorCode::kInvalidArgument, [&] { source.get(index, random); });
    test::error_of(ErrorCode::kInvalidArgument, [&] { source.group(index); });
  }
  // The loader goes on with what is left, and reports.
  data::LoaderOptions options;
  options.workers = 0;
  options.batch_size = 5;
  const auto batch = data::Loader(tests, options).start(0).next();
  ASSERT_EQ(batch->infos.size(), 2u);
  EXPECT_EQ(batch->infos[0].index, 3);
  EXPECT_EQ(batch->bad.size(), 3u);
}

// Masks are drawn of the objects that have an outline, and of none where nobody trains them.
TEST_F(CocoSourceTest, ObjectsWithoutOutlineAreBoxes) {
  Random random(1);
  const TensorSample whole = plain_source().get(0, random);
  EXPECT_TRUE(whole.info.mask_rows.equal(torch::tensor({0, 1}, torch::kInt64)));
  annotations_.annotations[0].polygons = {};
  const CocoTrainingSource mixed = plain_source();
  EXPECT_EQ(mixed.objects(), 3);
  EXPECT_EQ(mixed.outlined(), 2);
  const TensorSample sample = mixed.get(0, random);
  EXPECT_TRUE(sample.info.boxes.equal(whole.info.boxes));
  EXPECT_TRUE(sample.info.mask_rows.equal(torch::tensor({-1, 0}, torch::kInt64)));
  EXPECT_TRUE(sample.info.masks.equal(whole.info.masks.slice(0, 1)));

  const CocoTrainingSource boxes(root(), annotations_, plain_options(40), plain_input(),
                                 ObjectMasks::kLeftOut);
  const TensorSample box_sample = boxes.get(0, random);
  EXPECT_TRUE(box_sample.info.boxes.equal(whole.info.boxes));
  EXPECT_FALSE(box_sample.info.masks.defined());
  EXPECT_FALSE(box_sample.info.mask_rows.defined());
}

TEST_F(CocoSourceTest, RefusesWrongOptions) {
  test::error_of(ErrorCode::kInvalidArgument, [&] {
    CocoTrainingSource(root(), annotations_, plain_options(0), plain_input(), ObjectMasks::kDrawn);
  });
  DenseInput gray = plain_input();
  gray.mean = gray.std = {1};
  test::error_of(ErrorCode::kInvalidArgument, [&] { CocoTestSource(root(), annotations_, gray); });
}

// A polygon that crosses more columns than are possible is found when it is drawn.
TEST_F(CocoSourceTest, AnErrorOfAMaskNamesFileAndAnnotation) {
  std::vector<double> zigzag;
  for (int i = 0; i < 400'000; ++i) zigzag.insert(zigzag.end(), {i % 2 * 50.0, i % 40 + 0.0});
  annotations_.annotations[0].polygons = {};
  annotations_.annotations[0].polygons.add(zigzag);
  const CocoTrainingSource source = plain_source();
  Random random(1);
  test::expect_words(test::error_of(ErrorCode::kTooLarge, [&] { source.get(0, random); }),
                     {"wide.png", "annotation 11"});
}

// From the command's data set to batches.
TEST(CocoSource, ReadsSyntheticScenes) {
  const test::TemporaryFolder folder;
  test::write_discs(folder.path() / "items");
  ScenesOptions scenes;
  scenes.scene = {.height = 48, .width = 72, .min_items = 1, .max_items = 5};
  scenes.train = 7;
  scenes.val = 4;
  scenes.threads = 1;
  const fs::path root = folder.path() / "scenes";
  write_scenes(folder.path() / "items", root, scenes);
  const CocoSet train = open_coco(find_coco(root, "train")),
                val = open_coco(find_coco(root, "validation"));
  const CocoTrainingSource source(train.images, train.annotations, plain_options(96), {},
                                  ObjectMasks::kDrawn);
  data::LoaderOptions options;
  options.batch_size = 2;
  options.order = data::Order::kGrouped;
  options.remainder = data::Remainder::kRepeat;
  const data::Loader loader(source, options);
  data::BatchStream stream = loader.start(0);
  int64_t images = 0;
  while (const auto batch = stream.next()) {
    EXPECT_TRUE(batch->bad.empty());
    ASSERT_EQ(batch->images.sizes().vec(), (std::vector<int64_t>{2, 3, 96, 160}));
    for (const data::ImageInfo& info : batch->infos) {
      ++images;
      EXPECT_EQ(info.height, 96);
      EXPECT_EQ(info.width, 144);
      ASSERT_GE(info.boxes.size(0), 1);
      // Doubled in size, every box is around its mask.
      for (int64_t i = 0; i < info.boxes.size(0); ++i) {
        const auto rows = info.masks[i].amax(1).nonzero(),
                   columns = info.masks[i].amax(0).nonzero();
        const auto around =
            torch::stack({columns.min(), rows.min(), columns.max() + 1, rows.max() + 1})
                .to(torch::kFloat);
        EXPECT_TRUE(info.boxes[i].equal(around));
      }
    }
  }
  EXPECT_EQ(images, loader.images());
  EXPECT_EQ(CocoTestSource(val.images, val.annotations, {}).size(), 4);
}

}  // namespace
}  // namespace asmlp::detect::coco_source_test
