#include "asmlp/torch/detect/data/objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/support/boxes.h"
#include "tests/support/images.h"
#include "tests/support/weight_files.h"

namespace asmlp::detect::objects_test {
namespace {

using Box = std::array<float, 4>;

ImageObject object(Box box, int label = 0, int source = 0) { return {box, label, source}; }

std::vector<Box> boxes(const ObjectImage& image) {
  std::vector<Box> result;
  for (const ImageObject& o : image.objects()) result.push_back(o.box);
  return result;
}

// A bitmap of random blobs.
Image random_bitmap(int height, int width, std::mt19937& random) {
  Image bitmap(height, width, 1);
  for (int i = 0; i < 4; ++i) {
    const int top = int(random() % height), left = int(random() % width);
    const int bottom = top + int(random() % (height - top)) + 1;
    const int right = left + int(random() % (width - left)) + 1;
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) bitmap.row(y)[x] ^= (random() % 8 != 0);
    }
  }
  return bitmap;
}

MaskRle mask_of(const Image& bitmap) {
  return encode_mask({bitmap.pixels, bitmap.height, bitmap.width});
}

torch::Tensor tensor_of(const Image& bitmap) {
  return torch::from_blob(const_cast<uint8_t*>(bitmap.pixels.data()), {bitmap.height, bitmap.width},
                          torch::kUInt8)
      .clone();
}

Image rectangle(int height, int width, const Box& box) {
  Image bitmap(height, width, 1);
  for (int y = int(box[1]); y < int(box[3]); ++y) {
    for (int x = int(box[0]); x < int(box[2]); ++x) bitmap.row(y)[x] = 1;
  }
  return bitmap;
}

// x1, y1, x2, y2 around the set pixels.
Box box_around(const torch::Tensor& mask) {
  const auto ends = [](const torch::Tensor& any) {
    const auto places = any.nonzero().flatten();
    return std::pair{places.min().item<float>(), places.max().item<float>() + 1};
  };
  const auto [left, right] = ends(mask.amax(0));
  const auto [top, bottom] = ends(mask.amax(1));
  return {left, top, right, bottom};
}

TEST(ObjectImage, BoxesByHand) {
  ObjectImage image(Image(40, 60, 3), {object({10, 5, 30, 25}, 3, 7), object({-4, 30, 8, 44}, 1)});
  image.flip_horizontal();
  image.flip_vertical();
  EXPECT_EQ(boxes(image), (std::vector<Box>{{30, 15, 50, 35}, {52, -4, 64, 10}}));
  image.flip_vertical();
  EXPECT_EQ(boxes(image), (std::vector<Box>{{30, 5, 50, 25}, {52, 30, 64, 44}}));
  image.resize({80, 90});  // x 1.5, y 2; clipped
  EXPECT_EQ(boxes(image), (std::vector<Box>{{45, 10, 75, 50}, {78, 60, 90, 80}}));
  image.crop(20, 50, {30, 38});  // the second one is below
  EXPECT_EQ(boxes(image), (std::vector<Box>{{0, 0, 25, 30}}));
  EXPECT_EQ(image.objects()[0].source, 7);
  EXPECT_EQ(image.size(), (CvSize{30, 38}));
  EXPECT_EQ(image.original_size(), (CvSize{40, 60}));
  EXPECT_TRUE(image.boxes().equal(boxes_of({0, 0, 25, 30})));
  EXPECT_TRUE(image.labels().equal(indices_of({3})));
}

TEST(ObjectImage, TheFactorOfBoxesIsRoundedToSinglePrecision) {
  ObjectImage image(Image(480, 640, 3), {object({100.1f, 200.2f, 333.3f, 444.4f})});
  image.resize({800, 1067});
  const float x = float(1067.0 / 640), y = float(800.0 / 480);
  EXPECT_EQ(boxes(image)[0], (Box{100.1f * x, 200.2f * y, 333.3f * x, 444.4f * y}));
}

TEST(ObjectImage, ACropKeepsWhatHasAreaInIt) {
  // Left of the window, touching it, over its corner, a line in it, a point, inside, around it.
  const std::vector<ImageObject> objects{object({0, 0, 5, 20}, 0),    object({0, 0, 10, 20}, 1),
                                         object({0, 0, 11, 11}, 2),   object({12, 12, 12, 18}, 3),
                                         object({13, 13, 13, 13}, 4), object({12, 12, 13, 13}, 5),
                                         object({-9, -9, 99, 99}, 6), object({14, 18, 13, 12}, 7)};
  ObjectImage image(Image(30, 30, 3), objects);
  image.crop(10, 10, {10, 10});
  EXPECT_TRUE(image.labels().equal(indices_of({2, 5, 6})));
  EXPECT_EQ(boxes(image), (std::vector<Box>{{0, 0, 1, 1}, {2, 2, 3, 3}, {0, 0, 10, 10}}));
  image.crop(9, 9, {1, 1});
  EXPECT_TRUE(image.labels().equal(indices_of({6})));
  image.crop(0, 0, {1, 1});
  EXPECT_EQ(boxes(image), (std::vector<Box>{{0, 0, 1, 1}}));
}

TEST(ObjectImage, OperationsThatAreNotACropKeepEveryBox) {
  ObjectImage image(Image(8, 8, 3), {object({3, 3, 3, 3}), object({20, 20, 30, 30})});
  image.resize({16, 4});
  EXPECT_EQ(boxes(image), (std::vector<Box>{{1.5, 6, 1.5, 6}, {4, 16, 4, 16}}));
}

TEST(ObjectImage, AFlipOfAFlipIsTheOriginal) {
  std::mt19937 random(4);
  for (int width : {1, 2, 9, 64}) {
    const Image picture = data::noise_image(17, width, 3);
    const Image bitmap = random_bitmap(17, width, random);
    ObjectImage image(picture, {object({0.25f, 1, float(width) - 0.5f, 16})});
    for (int turn = 0; turn < 2; ++turn) {
      image.flip_horizontal();
      image.flip_vertical();
    }
    EXPECT_EQ(image.image().pixels, picture.pixels);
    EXPECT_EQ(boxes(image), (std::vector<Box>{{0.25f, 1, float(width) - 0.5f, 16}}));
    const auto masks = image.masks([&](int) { return mask_of(bitmap); }, 17, width);
    EXPECT_TRUE(masks[0].equal(tensor_of(bitmap)));
  }
}

// Against the operations one by one on pictures, which are OpenCV's (cv_image_test.cc).
TEST(ObjectImage, MasksAreThoseOfTheOperationsOneByOne) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const int height = 1 + int(random() % 60), width = 1 + int(random() % 60);
    const Image bitmap = random_bitmap(height, width, random);
    const Image picture = data::noise_image(height, width, 3, round);
    Image expected_picture = picture, expected = bitmap;
    ObjectImage image(picture, {object({-1e6f, -1e6f, 1e6f, 1e6f}, 0, 11)});
    for (int step = 0; step < 5; ++step) {
      const CvSize now = image.size();
      switch (random() % 4) {
        case 0:
          image.flip_horizontal();
          expected_picture = flip_horizontal(expected_picture);
          expected = flip_horizontal(expected);
          break;
        case 1:
          image.flip_vertical();
          expected_picture = flip_vertical(expected_picture);
          expected = flip_vertical(expected);
          break;
        case 2: {
          const CvSize size{1 + int(random() % 120), 1 + int(random() % 120)};
          image.resize(size);
          expected_picture = resize_bilinear(expected_picture, size);
          expected = resize_nearest(expected, size);
          break;
        }
        default: {
          const int top = int(random() % now.height), left = int(random() % now.width);
          const CvSize size{1 + int(random() % (now.height - top)),
                            1 + int(random() % (now.width - left))};
          image.crop(top, left, size);
          expected_picture = crop(expected_picture, {top, left, size.height, size.width});
          expected = crop(expected, {top, left, size.height, size.width});
        }
      }
    }
    ASSERT_EQ(image.image().pixels, expected_picture.pixels);
    const auto [h, w] = image.size();
    const auto masks = image.masks(
        [&](int source) {
          EXPECT_EQ(source, 11);
          return mask_of(bitmap);
        },
        h + round % 3, w + round % 5);
    ASSERT_EQ(masks.sizes().vec(), (std::vector<int64_t>{1, h + round % 3, w + round % 5}));
    auto padded = torch::zeros_like(masks[0]);
    padded.narrow(0, 0, h).narrow(1, 0, w).copy_(tensor_of(expected));
    ASSERT_TRUE(masks[0].equal(padded)) << "round " << round;
  }
}

// Where x * width / new width is an integer, rounding decides; all ratios of small sizes.
TEST(ObjectImage, NearestNeighborsAreOpenCvs) {
  for (int size = 1; size <= 40; ++size) {
    Image places(1, size, 1);
    for (int x = 0; x < size; ++x) places.pixels[size_t(x)] = uint8_t(x);
    for (int new_size = 1; new_size <= 130; ++new_size) {
      const Image expected = resize_nearest(places, {1, new_size});
      ObjectImage image(Image(1, size, 3), {object({0, 0, 1, 1})});
      image.resize({1, new_size});
      for (int bit = 0; bit < 6; ++bit) {
        Image bitmap = places;
        for (uint8_t& value : bitmap.pixels) value = value >> bit & 1;
        const auto mask = image.masks([&](int) { return mask_of(bitmap); }, 1, new_size);
        const uint8_t* pixel = mask.data_ptr<uint8_t>();
        for (int x = 0; x < new_size; ++x) {
          ASSERT_EQ(pixel[x], expected.pixels[size_t(x)] >> bit & 1)
              << size << " to " << new_size << " at " << x;
        }
      }
    }
  }
}

// Nearest neighbor moves an edge by less than a pixel, which later resizes magnify.
TEST(ObjectImage, ABoxStaysAroundItsMask) {
  std::mt19937 random(6);
  for (int round = 0; round < 300; ++round) {
    const int height = 20 + int(random() % 60), width = 20 + int(random() % 60);
    const int x1 = int(random() % (width - 8)), y1 = int(random() % (height - 8));
    const Box box{float(x1), float(y1), float(x1 + 8 + int(random() % (width - x1 - 7))),
                  float(y1 + 8 + int(random() % (height - y1 - 7)))};
    const Image bitmap = rectangle(height, width, box);
    ObjectImage image(Image(height, width, 3), {object(box)});
    double tolerance = 0;
    for (int step = 0; step < 4; ++step) {
      const CvSize now = image.size();
      const int choice = int(random() % 4);
      if (choice == 0) {
        image.flip_horizontal();
      } else if (choice == 3) {
        image.flip_vertical();
      } else if (choice == 1) {
        const double factor = 0.6 + double(random() % 100) / 50;
        const CvSize size =
            fitted_size(now.height, now.width, factor * std::min(now.height, now.width), 1e6);
        tolerance = 1 + tolerance * double(size.width) / now.width * 1.1;
        image.resize(size);
      } else if (now.height > 12 && now.width > 12) {
        const int top = int(random() % 5), left = int(random() % 5);
        image.crop(top, left,
                   {now.height - top - int(random() % 5), now.width - left - int(random() % 5)});
      }
    }
    if (image.objects().empty()) continue;
    const auto [h, w] = image.size();
    const auto mask = image.masks([&](int) { return mask_of(bitmap); }, h, w)[0];
    if (mask.count_nonzero().item<int64_t>() == 0) {
      const Box left = boxes(image)[0];  // a sliver that no pixel stands for
      EXPECT_LE(std::min(left[2] - left[0], left[3] - left[1]), 2 * tolerance);
      continue;
    }
    const Box around = box_around(mask);
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_NEAR(around[k], boxes(image)[0][k], tolerance + 1e-3) << "round " << round;
    }
  }
}

TEST(ObjectImage, MasksOfSeveralObjectsAndOfNone) {
  std::mt19937 random(7);
  std::vector<Image> bitmaps;
  std::vector<ImageObject> objects;
  for (int i = 0; i < 5; ++i) {
    bitmaps.push_back(i == 3 ? Image(20, 30, 1) : random_bitmap(20, 30, random));  // one is empty
    objects.push_back(object({0, 0, i == 1 ? 5.0f : 30.0f, 20}, i, 10 + i));
  }
  ObjectImage image(Image(20, 30, 3), objects);
  image.crop(0, 10, {20, 20});  // loses the object 1
  std::vector<int> asked;
  const auto masks = image.masks(
      [&](int source) {
        asked.push_back(source);
        return mask_of(bitmaps[size_t(source - 10)]);
      },
      32, 32);
  EXPECT_EQ(asked, (std::vector<int>{10, 12, 13, 14}));
  ASSERT_EQ(masks.sizes().vec(), (std::vector<int64_t>{4, 32, 32}));
  for (size_t i = 0; i < 4; ++i) {
    auto expected = torch::zeros({32, 32}, torch::kUInt8);
    expected.narrow(0, 0, 20).narrow(1, 0, 20).copy_(
        tensor_of(bitmaps[size_t(asked[i] - 10)]).narrow(1, 10, 20));
    EXPECT_TRUE(masks[int64_t(i)].equal(expected));
  }
  ObjectImage empty(Image(20, 30, 3), {});
  empty.flip_horizontal();
  empty.flip_vertical();
  empty.crop(0, 0, {3, 3});
  EXPECT_EQ(empty.boxes().sizes().vec(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(empty.labels().sizes().vec(), (std::vector<int64_t>{0}));
  EXPECT_EQ(empty.masks([](int) { return MaskRle(); }, 32, 32).sizes().vec(),
            (std::vector<int64_t>{0, 32, 32}));
}

TEST(ObjectImage, ThinAndLongImages) {
  for (auto [height, width] : {std::pair{1, 10000}, {10000, 1}, {1, 1}, {2, 10000}}) {
    const Box box{0, 0, float(width), float(height)};
    const Image bitmap = rectangle(height, width, box);
    ObjectImage image(data::noise_image(height, width, 3), {object(box)});
    image.flip_horizontal();
    for (const double short_side : {400.0, 800.0}) {
      image.resize(fitted_size(image.size().height, image.size().width, short_side, 1333));
      EXPECT_LE(std::max(image.size().height, image.size().width), 1333);
    }
    const auto [h, w] = image.size();
    const auto all = boxes_of({0, 0, float(w), float(h)});
    EXPECT_TRUE(image.boxes().allclose(all, 1e-6, 1e-3));  // the factors are rounded
    const auto masks = image.masks([&](int) { return mask_of(bitmap); }, h, w);
    EXPECT_EQ(masks.min().item<int>(), 1);
  }
}

TEST(ObjectImage, RefusesWhatHasNoMeaning) {
  const auto code = ErrorCode::kInvalidArgument;
  test::error_of(code, [] { ObjectImage(Image(0, 5, 3), {}); });
  ObjectImage image(Image(4, 5, 3), {object({0, 0, 4, 4}, 0, 42)});
  test::error_of(code, [&] { image.resize({0, 5}); });
  test::error_of(code, [&] { image.crop(0, 0, {0, 5}); });
  test::error_of(code, [&] { image.crop(2, 0, {3, 5}); });
  test::error_of(code, [&] { image.masks([](int) { return MaskRle(); }, 3, 5); });
  test::expect_words(
      test::error_of(ErrorCode::kMismatch,
                     [&] { image.masks([](int) { return mask_of(Image(5, 4, 1)); }, 4, 5); }),
      {"object 42", "5 x 4", "4 x 5"});
}

}  // namespace
}  // namespace asmlp::detect::objects_test
