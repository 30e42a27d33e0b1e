// A Segmentor gives what the engine gives that it is made of, however images come.
#include "asmlp/engine/heads/segmentor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "asmlp/engine/heads/detector.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/image/preprocess.h"
#include "tests/support/files.h"
#include "tests/support/model_files.h"
#include "tests/support/support.h"

namespace asmlp::segmentor_test {
namespace {

using test::data;

// A gray picture of 16 bits, which Pillow's style clips to white.
TEST(Segmentor, ReadsFilesWithOpenCvsPixels) {
  const Image gray = to_gray(decode_image(scene_files().front()));
  std::string bytes = fmt::format("P5\n{} {}\n65535\n", gray.width, gray.height);
  for (const std::uint8_t value : gray.pixels) bytes += std::string(2, static_cast<char>(value));
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "gray16.pgm";
  test::write_bytes(file, bytes);
  const Image rgb = to_rgb(gray);
  EXPECT_EQ(read_image(file, {}, PixelStyle::kOpenCv).pixels, rgb.pixels);
  EXPECT_NE(read_image(file).pixels, rgb.pixels);
  SegmentorEngine engine(trained_model("upernet_scenes")->segmentor(), {.threads = 1});
  EXPECT_EQ(Segmentor(trained_model("upernet_scenes")).segment(file).labels,
            engine.segment(rgb).pixels);
  DetectorEngine detector(trained_model("mask_rcnn_scenes")->detector(), {.threads = 1});
  const auto expected = detector.detect(rgb);
  const auto found = Detector(trained_model("mask_rcnn_scenes")).detect(file);
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_FALSE(found.empty());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].score, expected[i].score);
}

TEST(Segmentor, GivesTheEnginesLabels) {
  SegmentorEngine engine(trained_model("upernet_scenes")->segmentor(), {.threads = 1});
  Segmentor segmentor(trained_model("upernet_scenes"));
  std::vector<DecodedImage> images;
  std::vector<ImageView> views;
  for (const auto& file : {scene_files().front(), data("photos/chelsea.png")}) {
    const Image expected = engine.segment(to_rgb(decode_image(file)));
    images.push_back(read_image(file));
    for (const Segmentation& found :
         {segmentor.segment(file), segmentor.segment(images.back().view())}) {
      EXPECT_EQ(found.height, expected.height);
      EXPECT_EQ(found.width, expected.width);
      EXPECT_EQ(found.labels, expected.pixels);
      double sum = 0;
      ASSERT_FALSE(found.shares.empty());
      for (size_t i = 0; i < found.shares.size(); ++i) {
        const ClassShare& share = found.shares[i];
        const auto pixels = std::ranges::count(found.labels, share.label);
        EXPECT_DOUBLE_EQ(share.share, double(pixels) / double(found.labels.size()));
        EXPECT_EQ(share.name, trained_model("upernet_scenes")->info().classes[size_t(share.label)]);
        if (i > 0) {
          EXPECT_LE(share.share, found.shares[i - 1].share);
        }
        sum += share.share;
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
    // Into rows that are apart.
    const ptrdiff_t apart = expected.width + 9;
    std::vector<std::uint8_t> rows(size_t(apart * expected.height), 254);
    segmentor.segment(images.back().view(), {rows.data(), expected.height, expected.width, apart});
    for (int y = 0; y < expected.height; ++y) {
      EXPECT_TRUE(
          std::equal(expected.row(y), expected.row(y) + expected.width, rows.begin() + y * apart));
      EXPECT_EQ(rows[size_t(y * apart + expected.width)], 254);
    }
  }
  for (const DecodedImage& image : images) views.push_back(image.view());
  const std::vector<Segmentation> together = segmentor.segment(views);
  ASSERT_EQ(together.size(), 2u);
  EXPECT_EQ(together[0].labels, segmentor.segment(views[0]).labels);
  EXPECT_EQ(together[1].labels, segmentor.segment(views[1]).labels);
}

TEST(Segmentor, OptionsReachTheEngine) {
  const auto file = data("photos/chelsea.png");
  const Image image = to_rgb(decode_image(file));
  SegmentorEngine engine(trained_model("upernet_scenes")->segmentor());
  SegmentOptions options;
  options.flip = options.multi_scale = true;
  options.short_side = options.long_side = 80;
  DenseInput input = trained_model("upernet_scenes")->segmentor()->spec().preprocessing;
  input.short_side = input.long_side = 80;
  EXPECT_EQ(Segmentor(trained_model("upernet_scenes"), options).segment(file).labels,
            engine.segment(image, input, {.multi_scale = true, .flip = true}).pixels);
  options = {};
  options.window = 64;
  options.full_size = true;
  EXPECT_EQ(
      Segmentor(trained_model("upernet_scenes"), options).segment(file).labels,
      engine.segment(image, {.full_size = true, .sliding = segment::SlidingWindow{64, 42}}).pixels);
}

TEST(Segmentor, TakesTensors) {
  const DenseInput& input = trained_model("upernet_scenes")->segmentor()->spec().preprocessing;
  const Image image = to_rgb(decode_image(scene_files().front()));
  const size_t length = image.pixels.size();
  std::vector<float> values(2 * length);
  normalize_into(image, input, image.height, image.width, std::span(values).first(length));
  SegmentorEngine engine(trained_model("upernet_scenes")->segmentor());
  DenseInput own_size = input;
  own_size.pad_multiple = 1;
  const auto expected = engine.segment(image, own_size, {.full_size = true}).pixels;
  const auto found = Segmentor(trained_model("upernet_scenes"))
                         .segment(TensorView{values.data(), 2, 3, image.height, image.width});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].labels, expected);
  EXPECT_EQ(found[1].labels.size(), expected.size());
}

TEST(Segmentor, RefusesWhatIsOutOfRange) {
  const auto refused = [](const auto& change) {
    SegmentOptions options;
    change(options);
    return error_of([&] { Segmentor segmentor(trained_model("upernet_scenes"), options); });
  };
  const auto kInvalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& o) { o.threads = 257; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.short_side = 16385; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.window = -1; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.window_stride = 5; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.window = 32, o.window_stride = 33; }), kInvalid);
  Segmentor segmentor(trained_model("upernet_scenes"));
  const std::uint8_t pixels[12]{};
  std::uint8_t labels[4];
  const ImageView view{pixels, 2, 2};
  EXPECT_EQ(error_of([&] { segmentor.segment(view, {labels, 2, 1}); }), ErrorCode::kMismatch);
  EXPECT_EQ(error_of([&] { segmentor.segment(view, {nullptr, 2, 2}); }), kInvalid);
  EXPECT_EQ(error_of([&] { segmentor.segment(view, {labels, 2, 2, 1}); }), kInvalid);
  EXPECT_EQ(error_of([&] { segmentor.segment(ImageView{nullptr, 2, 2}); }), kInvalid);
  EXPECT_EQ(error_of([&] { segmentor.segment("/nowhere.jpg"); }), ErrorCode::kNotFound);
  EXPECT_EQ(segmentor.segment(view).labels.size(), 4u);  // and goes on
}

}  // namespace
}  // namespace asmlp::segmentor_test
