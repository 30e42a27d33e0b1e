// Every file of tests/data/pictures against what Pillow and OpenCV make of it, and EXIF
// orientation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <random>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/exif.h"
#include "asmlp/image/left_out.h"
#include "asmlp/image/orientation.h"
#include "tests/support/files.h"
#include "tests/support/support.h"

namespace asmlp::formats_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path picture(const std::string& name) { return test::data("pictures/" + name); }

// Height, width and CRC-32 of the pixels, or "refused".
std::string result_of(const fs::path& path, const DecodeOptions& options) {
  try {
    const Image image = decode_image(path, options);
    const auto sum = ::crc32(0, image.pixels.data(), static_cast<uInt>(image.pixels.size()));
    return fmt::format("{} {} {:08x}", image.height, image.width, sum);
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::kBadFormat || error.code() == ErrorCode::kUnsupported)
        << error.what();
    return "refused";
  }
}

struct Expected {
  std::string name, pillow, opencv;
};

std::vector<Expected> expected() {
  std::ifstream stream(picture("expected.txt"));
  std::vector<Expected> all;
  for (std::string line; std::getline(stream, line);) {
    const size_t first = line.find(" | "), second = line.rfind(" | ");
    all.push_back({line.substr(0, first), line.substr(first + 3, second - first - 3),
                   line.substr(second + 3)});
  }
  return all;
}

TEST(Formats, EveryFileIsReadAsPillowAndOpenCvReadIt) {
  const std::vector<Expected> files = expected();
  ASSERT_GT(files.size(), 100u);
  for (const Expected& file : files) {
    EXPECT_EQ(result_of(picture(file.name), {}), file.pillow) << file.name;
    const std::string opencv = result_of(picture(file.name), {.style = PixelStyle::kOpenCv});
    const std::string& other = file.pillow == "refused" ? file.pillow : file.opencv;
    if (other != "-") {
      EXPECT_EQ(opencv, other) << file.name;
    }
  }
}

TEST(Formats, EightOrientationsOfAPictureAreOnePicture) {
  for (const char* extension : {".png", ".tif", ".webp"}) {
    const auto name = [&](int o) { return fmt::format("turned_{}{}", o, extension); };
    const Image upright = decode_image(picture(name(1)));
    for (int o = 2; o <= 8; ++o) {
      EXPECT_TRUE(decode_image(picture(name(o))).pixels == upright.pixels) << name(o);
      const Image stored = decode_image(picture(name(o)), {.exif = Exif::kIgnore});
      EXPECT_FALSE(stored.pixels == upright.pixels) << name(o);
      EXPECT_EQ(stored.height, o < 5 ? upright.height : upright.width) << name(o);
    }
  }
}

TEST(Formats, WindowsOfTurnedPicturesAreCropsOfTheWhole) {
  std::mt19937 random(8);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const Expected& file : expected()) {
    if (file.pillow == "refused") continue;
    const std::string bytes = read_file(picture(file.name));
    const auto span = std::as_bytes(std::span(bytes));
    const Image whole = decode_image(span, file.name);
    for (int trial = 0; trial < 8; ++trial) {
      Window window{below(whole.height), below(whole.width), 0, 0};
      window.height = 1 + below(whole.height - window.top);
      window.width = 1 + below(whole.width - window.left);
      const Image part = decode_image_window(span, file.name, [&](int, int) { return window; });
      ASSERT_TRUE(part.pixels == crop(whole, window).pixels) << file.name;
    }
  }
}

// Upright, then as stored again: each of the eight turns has its inverse.
TEST(Orientation, EveryTurnHasItsInverse) {
  std::mt19937 random(9);
  for (const int channels : {1, 3}) {
    Image image(37, 70, channels);
    for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random());
    for (int o = 1; o <= 8; ++o) {
      const int inverse = o == 6 ? 8 : o == 8 ? 6 : o;
      const Image turned = upright(image, o);
      EXPECT_EQ(turned.height, swaps_sides(o) ? image.width : image.height);
      EXPECT_TRUE(upright(turned, inverse).pixels == image.pixels) << o;
      const Window window{3, 5, 11, 17};
      const Window at = stored_window(window, o, image.height, image.width);
      EXPECT_TRUE(upright(crop(image, at), o).pixels == crop(turned, window).pixels) << o;
    }
  }
  EXPECT_THROW(upright(Image(1, 1, 3), 9), Error);
}

TEST(Exif, DamagedBlocksAreNoOrientationAndNoCrash) {
  std::mt19937 random(10);
  for (const char* name : {"exif_6.jpg", "turned_6.png", "turned_6.webp", "turned_6.tif"}) {
    const std::string whole = read_file(picture(name));
    EXPECT_EQ(file_orientation(std::as_bytes(std::span(whole)), PixelStyle::kPillow), 6) << name;
    for (int trial = 0; trial < 3000; ++trial) {
      std::string bytes = whole;
      for (int i = 0; i <= trial % 4; ++i) {
        bytes[random() % std::min<size_t>(bytes.size(), 200)] = static_cast<char>(random());
      }
      if (trial % 5 == 0) bytes.resize(random() % bytes.size());
      const int o = file_orientation(std::as_bytes(std::span(bytes)), PixelStyle::kPillow);
      ASSERT_TRUE(o >= 1 && o <= 8) << name;
    }
  }
}

TEST(Exif, AWrittenJpegKeepsItsOrientation) {
  Image image(16, 24, 3);
  for (int o = 1; o <= 8; ++o) {
    const std::string bytes = encode_jpeg(image, 90, o);
    EXPECT_EQ(file_orientation(std::as_bytes(std::span(bytes)), PixelStyle::kOpenCv), o);
    EXPECT_EQ(decode_image(std::as_bytes(std::span(bytes)), "a file").height, o < 5 ? 16 : 24);
  }
}

TEST(LabeledImage, TheSizeOfTheLabelsDecides) {
  const auto height = [](int rows, int columns, Exif exif, bool& stored) {
    return decode_labeled_image(picture("turned_6.png"), rows, columns, {.exif = exif}, &stored)
        .height;
  };
  bool stored = true;
  EXPECT_EQ(height(11, 13, Exif::kApply, stored), 11);  // labels of the upright picture
  EXPECT_FALSE(stored);
  EXPECT_EQ(height(13, 11, Exif::kApply, stored), 13);  // of the stored one
  EXPECT_TRUE(stored);
  EXPECT_EQ(height(13, 11, Exif::kIgnore, stored), 13);
  EXPECT_FALSE(stored);
  EXPECT_EQ(height(5, 5, Exif::kApply, stored), 11);  // of neither: the caller sees it
  EXPECT_FALSE(stored);
}

TEST(Formats, AMarkerInsideOfAScanIsAnErrorAndAMissingScanIsNot) {
  const auto file = [](const char* name) { return picture(name); };
  EXPECT_EQ(result_of(file("cases/whole.jpg"), {}).substr(0, 3), "64 ");
  EXPECT_EQ(result_of(file("cases/marker_inside_scan.jpg"), {}), "refused");
  EXPECT_NE(result_of(file("cases/progressive_first_scan_only.jpg"), {}), "refused");
}

// The smoothing of a progressive file whose scans are missing reaches over block borders.
TEST(Formats, WindowsOfAProgressiveJpegWithMissingScans) {
  const std::string bytes = read_file(picture("cases/progressive_first_scan_only.jpg"));
  const auto span = std::as_bytes(std::span(bytes));
  const Image whole = decode_image(span, "a file");
  for (int top = 0; top + 30 <= whole.height; top += 7) {
    for (int left = 0; left + 30 <= whole.width; left += 7) {
      const Window window{top, left, 30, 30};
      const Image part = decode_image_window(span, "a file", [&](int, int) { return window; });
      ASSERT_TRUE(part.pixels == crop(whole, window).pixels) << top << ' ' << left;
    }
  }
}

TEST(Formats, NamesWhatMustBeConverted) {
  const auto message = [](const std::string& bytes) {
    return test::error_of(ErrorCode::kUnsupported,
                          [&] { decode_image(std::as_bytes(std::span(bytes)), "a file"); });
  };
  EXPECT_THAT(message(std::string("\0\0\0\x18"
                                  "ftypheic\0\0",
                                  14)),
              HasSubstr("HEIC"));
  EXPECT_THAT(message(std::string("\0\0\0\x18"
                                  "ftypavif\0\0",
                                  14)),
              HasSubstr("AVIF"));
  EXPECT_THAT(message("GIF89a..."), HasSubstr("GIF"));
  EXPECT_THAT(message("<?xml version='1.0'?><svg>"), HasSubstr("SVG"));
  EXPECT_THAT(message("GIF89a..."), HasSubstr("convert it"));
}

TEST(LeftOut, CountsByKind) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.heic", "b.HEIC", "c.txt", ".hidden.jpg", "README", "d.jpg"}) {
    test::write_bytes(folder.path() / name, "x");
  }
  test::write_bytes(folder.path() / "empty.png", "");
  LeftOut left_out;
  int taken = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) taken += left_out.takes(entry);
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(left_out.text(), "2 .heic, 1 .txt, 1 empty, 1 hidden, 1 without extension");
  EXPECT_EQ(left_out.note("photos"), "left out of photos/: " + left_out.text());
  EXPECT_EQ(LeftOut().note("photos"), "");
}

TEST(Options, ALimitOfPixelsMakesRoomForTheFile) {
  EXPECT_EQ(with_max_pixels({}, 100).max_pixels, 100);
  EXPECT_GE(with_max_pixels({}, int64_t{1} << 32).max_file_bytes, size_t{1} << 33);
  EXPECT_EQ(
      test::error_of([] { decode_image(picture("tiff_rgb16.tif"), {.max_pixels = 142}); }).code(),
      ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace asmlp::formats_test
