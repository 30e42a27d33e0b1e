#include "asmlp/image/labels/label_png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spng.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"
#include "tests/support/support.h"

namespace asmlp::label_png_test {
namespace {

using test::error_of;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const auto& bytes) { return std::as_bytes(std::span(bytes)); }

Image random_labels(std::mt19937& random, int height, int width, int classes) {
  Image labels(height, width, 1);
  for (uint8_t& label : labels.pixels) label = static_cast<uint8_t>(random() % classes);
  return labels;
}

// An indexed PNG of `depth` bits, as programs write that save room.
std::string indexed_png(const Image& labels, int depth, bool interlaced) {
  spng_ctx* context = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.height = static_cast<uint32_t>(labels.height);
  header.width = static_cast<uint32_t>(labels.width);
  header.bit_depth = static_cast<uint8_t>(depth);
  header.color_type = SPNG_COLOR_TYPE_INDEXED;
  header.interlace_method = interlaced ? SPNG_INTERLACE_ADAM7 : SPNG_INTERLACE_NONE;
  spng_set_ihdr(context, &header);
  spng_plte palette{};
  palette.n_entries = 1u << depth;
  spng_set_plte(context, &palette);  // all black: nobody may look at the colors
  const size_t stride = (static_cast<size_t>(labels.width) * depth + 7) / 8;
  std::vector<uint8_t> raw(stride * labels.height);
  for (int y = 0; y < labels.height; ++y) {
    for (int x = 0; x < labels.width; ++x) {
      raw[stride * y + x * depth / 8] |=
          static_cast<uint8_t>(labels.row(y)[x] << (8 - depth - x * depth % 8));
    }
  }
  EXPECT_EQ(spng_encode_image(context, raw.data(), raw.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE),
            0);
  size_t size = 0;
  int status = 0;
  char* png = static_cast<char*>(spng_get_png_buffer(context, &size, &status));
  std::string bytes(png, size);
  std::free(png);
  spng_ctx_free(context);
  return bytes;
}

TEST(LabelPng, GivesBackEveryLabelAndShowsThePalette) {
  std::mt19937 random(11);
  const test::TemporaryFolder folder;
  for (const int classes : {1, 2, 11, 151, 256}) {
    std::vector<Color> palette(classes);
    for (Color& color : palette) {
      for (uint8_t* part : {&color.r, &color.g, &color.b}) *part = static_cast<uint8_t>(random());
    }
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 9}, {7, 1}, {13, 17}}) {
      SCOPED_TRACE(testing::Message() << classes << " classes, " << height << " x " << width);
      const Image labels = random_labels(random, height, width, classes);
      write_label_png(folder.path() / "gray.png", labels);
      write_label_png(folder.path() / "palette.png", labels, palette);
      for (const char* name : {"gray.png", "palette.png"}) {
        const Image read = read_label_png(folder.path() / name);
        EXPECT_EQ(read.height, height);
        EXPECT_EQ(read.width, width);
        EXPECT_EQ(read.channels, 1);
        EXPECT_EQ(read.pixels, labels.pixels);
      }
      const Image shown = decode_image(folder.path() / "palette.png");
      for (size_t i = 0; i < labels.pixels.size(); ++i) {
        const uint8_t* pixel = shown.pixels.data() + 3 * i;
        EXPECT_EQ((Color{pixel[0], pixel[1], pixel[2]}), palette[labels.pixels[i]]);
      }
    }
  }
}

TEST(LabelPng, ReadsIndicesOfAnyDepth) {
  std::mt19937 random(12);
  for (const int depth : {1, 2, 4, 8}) {
    for (const int width : {1, 3, 8, 9, 16, 21}) {
      const Image labels = random_labels(random, 5, width, 1 << depth);
      const Image read = decode_label_png(bytes_of(indexed_png(labels, depth, false)), "a file");
      EXPECT_EQ(read.pixels, labels.pixels) << depth << " bits, width " << width;
    }
  }
  // Pillow's files: the interlaced one has the same indices as the plain one, and each index one
  // color.
  for (const std::string depth : {"1", "2", "4", "8"}) {
    const auto plain = test::data("images/png_palette" + depth + "_plain.png");
    const Image labels = read_label_png(plain);
    const Image adam7 = read_label_png(test::data("images/png_palette" + depth + "_adam7.png"));
    EXPECT_EQ(labels.pixels, adam7.pixels) << depth;
    const Image colors = decode_image(plain);
    std::map<uint8_t, Color> palette;
    for (size_t i = 0; i < labels.pixels.size(); ++i) {
      const uint8_t* p = &colors.pixels[3 * i];
      const Color color{p[0], p[1], p[2]};
      EXPECT_EQ(palette.try_emplace(labels.pixels[i], color).first->second, color);
    }
    EXPECT_GE(palette.size(), 2u);
  }
}

TEST(LabelPng, RefusesWhatHoldsNoLabels) {
  const std::map<std::string, std::string> what = {
      {"png_grey16_plain.png", "16-bit gray"},    {"png_grey16_adam7.png", "16-bit gray"},
      {"png_grey1_plain.png", "1-bit gray"},      {"png_grey4_plain.png", "4-bit gray"},
      {"png_rgb8_plain.png", "8-bit RGB"},        {"png_rgb16_plain.png", "16-bit RGB"},
      {"png_rgba8_plain.png", "8-bit RGBA"},      {"png_la8_plain.png", "8-bit gray with alpha"},
      {"png_la16_plain.png", "16-bit gray with"}, {"jpeg_grey.jpg", "is no PNG file"},
      {"refused_gif.png", "is no PNG file"},      {"webp_lossless.webp", "is no PNG file"}};
  for (const auto& [name, message] : what) {
    const Error error = error_of([&name = name] { read_label_png(test::data("images/" + name)); });
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << name;
    EXPECT_THAT(error.what(), HasSubstr(name));
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
  EXPECT_EQ(error_of([] { read_label_png("/nonexistent/label.png"); }).code(),
            ErrorCode::kNotFound);
}

TEST(LabelPng, RefusesToWriteWhatIsNoLabelMap) {
  Image labels(2, 2, 1);
  labels.pixels[3] = 2;
  const std::vector<Color> two(2), many(257);
  EXPECT_THAT(error_of([&] { encode_label_png(labels, two); }).what(), HasSubstr("labels up to 2"));
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { encode_label_png(labels, many); }, [&] { encode_label_png(Image(2, 2, 3)); },
           [&] { encode_label_png(Image(0, 2, 1)); },
           [&] { encode_label_png(Image(2, 0, 1), two); }}) {
    EXPECT_EQ(error_of(call).code(), ErrorCode::kInvalidArgument);
  }
}

// Cut short or damaged anywhere: an Error that names the file, or labels of the right size.
TEST(LabelPng, DamagedFilesAreHarmless) {
  std::mt19937 random(13);
  const Image labels = random_labels(random, 9, 14, 16);
  const std::vector<uint8_t> gray = encode_label_png(labels);
  for (const std::string& good :
       {std::string(gray.begin(), gray.end()), indexed_png(labels, 4, false)}) {
    // Nobody needs the bytes after the last pixel.
    size_t whole = 0;
    for (size_t size = 0; size < good.size(); ++size) {
      try {
        const Image read = decode_label_png(bytes_of(good.substr(0, size)), "cut.png");
        EXPECT_EQ(read.pixels, labels.pixels);
        ++whole;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("cut.png"));
      }
    }
    EXPECT_LE(whole, 24u);
    for (int trial = 0; trial < 2000; ++trial) {
      std::string bad = good;
      for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
      try {
        const Image image = decode_label_png(bytes_of(bad), "bad.png", {.max_pixels = 1 << 16});
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.height) * image.width);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("bad.png"));
      }
    }
    EXPECT_EQ(error_of([&] { decode_label_png(bytes_of(good), "x", {.max_pixels = 125}); }).code(),
              ErrorCode::kTooLarge);
    EXPECT_EQ(
        error_of([&] { decode_label_png(bytes_of(good), "x", {.max_file_bytes = 50}); }).code(),
        ErrorCode::kTooLarge);
  }
}

}  // namespace
}  // namespace asmlp::label_png_test
