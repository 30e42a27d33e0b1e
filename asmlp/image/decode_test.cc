// What decode_image refuses, and that no damaged file does worse than an Error. That the pixels are
// Pillow's is shown in tests/parity/image_test.cc.
#include "asmlp/image/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <climits>
#include <fstream>
#include <functional>
#include <random>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"
#include "tests/support/support.h"

namespace asmlp::decode_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Image decode(const std::string& bytes, const DecodeOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes)), "a file", options);
}

// The error of decoding `bytes`; kInterrupted, which decoding never gives, if there was none.
Error error_of(const std::string& bytes, const DecodeOptions& options = {}) {
  try {
    decode(bytes, options);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kInterrupted, "decoded");
}

std::string fixture(const std::string& name) { return read_file(test::data("images/" + name)); }

std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::data("images"))) {
    if (has_image_extension(entry.path())) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

// PNG's checksum, bit by bit.
uint32_t png_crc(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

// `png` with another size in its (valid) header.
std::string with_png_size(std::string png, uint32_t width, uint32_t height) {
  png.replace(16, 8, big_endian(width) + big_endian(height));
  return png.replace(29, 4, big_endian(png_crc(png.substr(12, 17))));
}

std::string with_jpeg_size(std::string jpeg, uint16_t width, uint16_t height) {
  const size_t frame = jpeg.find("\xff\xc0");
  return jpeg.replace(frame + 5, 4, big_endian(uint32_t{height} << 16 | width));
}

TEST(Decode, RefusesGiantsBeforeAllocating) {
  const std::string png = fixture("png_rgb8_plain.png");
  EXPECT_EQ(error_of(with_png_size(png, 60000, 60000)).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(with_png_size(png, 0x7fffffff, 0x7fffffff)).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(with_jpeg_size(fixture("jpeg_420.jpg"), 60000, 60000)).code(),
            ErrorCode::kTooLarge);
  std::string webp = fixture("webp_lossless.webp");  // sizes - 1 in 14 bits each, here all ones
  webp.replace(webp.find("VP8L") + 9, 4, "\xff\xff\xff\x0f");
  EXPECT_EQ(error_of(webp).code(), ErrorCode::kTooLarge);
  // Within the limit, but 600 bytes of deflate data cannot fill 80 million pixels.
  EXPECT_EQ(error_of(with_png_size(png, 8000, 10000)).code(), ErrorCode::kBadFormat);
  // The limits themselves.
  EXPECT_EQ(decode(png, {.max_pixels = 21 * 29}).width, 29);
  EXPECT_EQ(error_of(png, {.max_pixels = 21 * 29 - 1}).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(png, {.max_file_bytes = png.size() - 1}).code(), ErrorCode::kTooLarge);
}

TEST(Decode, RefusesAProgressiveBomb) {
  std::string jpeg = fixture("jpeg_progressive.jpg");
  const size_t last_scan = jpeg.rfind("\xff\xda");
  const std::string scan = jpeg.substr(last_scan, jpeg.size() - 2 - last_scan);
  for (int i = 0; i < 600; ++i) jpeg.insert(last_scan, scan);
  const Error error = error_of(jpeg);
  EXPECT_EQ(error.code(), ErrorCode::kTooLarge);
  EXPECT_THAT(error.what(), HasSubstr("scans"));
}

// The scans of a progressive file, the last of them some times more, with the size of a large
// picture in the header. Only what is refused is not decoded: so the pixels need not be there.
std::string with_scans(int more, uint16_t side) {
  std::string jpeg = fixture("jpeg_progressive.jpg");
  const size_t last_scan = jpeg.rfind("\xff\xda");
  const std::string scan = jpeg.substr(last_scan, jpeg.size() - 2 - last_scan);
  for (int i = 0; i < more; ++i) jpeg.insert(last_scan, scan);
  const size_t frame = jpeg.find("\xff\xc2");
  return side == 0 ? jpeg : jpeg.replace(frame + 5, 4, big_endian(uint32_t{side} << 16 | side));
}

TEST(Decode, TheMoreScansTheFewerPixels) {
  EXPECT_EQ(error_of(with_scans(60, 0)).what(), std::string("decoded"));  // of a small picture
  EXPECT_EQ(error_of(with_scans(30, 9000)).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(with_scans(60, 3000)).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(with_scans(0, 1000)).what(), std::string("decoded"));
  // A scan behind what looks like a segment, which libjpeg would not pass over.
  std::string hidden = with_scans(60, 3000);
  for (size_t at = hidden.find("\xff\xda", hidden.find("\xff\xda") + 2); at != std::string::npos;
       at = hidden.find("\xff\xda", at + 6)) {
    hidden.insert(at, "\xff\x05\xff\xff");
  }
  EXPECT_THAT(error_of(hidden).what(), HasSubstr("scans"));
}

std::string png_chunk(const std::string& type, const std::string& content, uint32_t wrong = 0) {
  return big_endian(static_cast<uint32_t>(content.size())) + type + content +
         big_endian(png_crc(type + content) ^ wrong);
}

// 4 MB of zeros in the pixels of a small picture, whose checksum is wrong: nothing behind the
// pixels is unpacked.
TEST(Decode, UnpacksNoMoreOfADamagedPngThanThePixels) {
  std::string packed(200'000, '\0');
  uLongf size = packed.size();
  const std::vector<Bytef> zeros(4'000'000);
  ASSERT_EQ(
      compress2(reinterpret_cast<Bytef*>(packed.data()), &size, zeros.data(), zeros.size(), 9),
      Z_OK);
  packed.resize(size);
  // What follows is no deflate data, and would be refused.
  packed.replace(packed.size() / 2, 1000, 1000, '\xff');
  const std::string header = big_endian(8) + big_endian(8) + std::string("\x08\x02\0\0\0", 5);
  const std::string png = "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) +
                          png_chunk("IDAT", packed, 1) + png_chunk("IEND", "");
  EXPECT_EQ(decode(png).width, 8);
}

// A TIFF file of one byte a pixel in deflated tiles, which all lie at the same place.
std::string tiff_of_tiles(uint32_t width, uint32_t height, uint32_t tile_width,
                          uint32_t tile_height, uint32_t tiles, const std::string& packed) {
  std::string file = std::string("II*\0", 4), ends;
  const auto number = [](uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 255);
    return text;
  };
  const auto data = static_cast<uint32_t>(8 + packed.size() + packed.size() % 2);
  file += number(data, 4) + packed + std::string(packed.size() % 2, '\0');
  constexpr int kFields = 10;
  const uint32_t lists = data + 2 + 12 * kFields + 4;
  file += number(kFields, 2);
  const auto field = [&](uint32_t tag, uint32_t count, uint32_t value) {
    file += number(tag, 2) + number(4, 2) + number(count, 4);
    file += number(count == 1 ? value : lists + static_cast<uint32_t>(ends.size()), 4);
    for (uint32_t i = 0; count > 1 && i < count; ++i) ends += number(value, 4);
  };
  for (const auto& [tag, value] : {std::pair(256u, width),
                                   {257, height},
                                   {258, 8},
                                   {259, 8},
                                   {262, 1},
                                   {277, 1},
                                   {322, tile_width},
                                   {323, tile_height}}) {
    field(tag, 1, value);
  }
  field(324, tiles, 8);
  field(325, tiles, static_cast<uint32_t>(packed.size()));
  return file + number(0, 4) + ends;
}

TEST(Decode, RefusesTiffTilesThatAreFarLargerThanTheImage) {
  std::string packed(4096, '\0');
  uLongf size = packed.size();
  const std::vector<Bytef> zeros(64 * 64);
  ASSERT_EQ(
      compress2(reinterpret_cast<Bytef*>(packed.data()), &size, zeros.data(), zeros.size(), 9),
      Z_OK);
  packed.resize(size);
  EXPECT_EQ(decode(tiff_of_tiles(100, 90, 64, 64, 4, packed)).width, 100);
  EXPECT_EQ(decode(tiff_of_tiles(1, 1, 64, 64, 1, packed)).width, 1);
  EXPECT_EQ(error_of(tiff_of_tiles(1, 1, 27008, 27008, 1, packed)).code(), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of(tiff_of_tiles(1000, 1000, 16, 40'000'000, 63, packed)).code(),
            ErrorCode::kTooLarge);
  // Unpacked once for every tile.
  const std::string noise(1'000'000, 'x');
  EXPECT_EQ(error_of(tiff_of_tiles(64, 64 * 2000, 64, 64, 2000, packed + noise)).code(),
            ErrorCode::kTooLarge);
}

TEST(Decode, NamesWhatItCannotRead) {
  EXPECT_EQ(error_of("").code(), ErrorCode::kBadFormat);
  EXPECT_EQ(error_of("hello").code(), ErrorCode::kUnsupported);
  for (const auto& [name, word] :
       {std::pair{"refused_gif.png", "GIF"}, std::pair{"refused_animated.webp", "animated"}}) {
    const Error error = error_of(fixture(name));
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << name;
    EXPECT_THAT(error.what(), HasSubstr(word));
  }
  try {
    decode_image(fs::path("/nonexistent/cat.jpg"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("cat.jpg"));
  }
}

TEST(Decode, TellsFormatsByContent) {
  const test::TemporaryFolder folder;
  fs::copy_file(test::data("images/jpeg_grey.jpg"), folder.path() / "cat.png");
  EXPECT_EQ(decode_image(folder.path() / "cat.png").pixels,
            decode(fixture("jpeg_grey.jpg")).pixels);
}

TEST(Decode, ATruncatedFileIsAnErrorOrWhole) {
  for (const std::string& name : fixture_names()) {
    if (name.starts_with("refused")) continue;
    const std::string bytes = fixture(name);
    const Image whole = decode(bytes);
    const size_t step = std::max<size_t>(1, bytes.size() / 200);
    for (size_t size = 0; size < bytes.size(); size += size + 20 < bytes.size() ? step : 1) {
      const std::string part = bytes.substr(0, size);
      const Error error = error_of(part);
      if (error.code() != ErrorCode::kInterrupted) {
        EXPECT_TRUE(error.code() == ErrorCode::kBadFormat ||
                    (size < 12 && error.code() == ErrorCode::kUnsupported))
            << name << " cut to " << size << ": " << error.what();
        EXPECT_THAT(error.what(), HasSubstr("a file"));
        continue;
      }
      // Only PNG has bytes after its last pixel that nobody needs, and JPEG its end marker.
      EXPECT_TRUE(name.starts_with("png") || (name.starts_with("jpeg") && size + 2 >= bytes.size()))
          << name << " cut to " << size;
      EXPECT_EQ(decode(part).pixels, whole.pixels) << name << " cut to " << size;
    }
  }
}

TEST(Decode, ADamagedFileIsAnErrorOrAnImage) {
  std::mt19937 random(5);
  const DecodeOptions options{.max_pixels = 1 << 16};
  for (const std::string& name : fixture_names()) {
    const std::string bytes = fixture(name);
    for (int trial = 0; trial < 150; ++trial) {
      std::string damaged = bytes;
      for (int i = 0; i <= trial % 3; ++i) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      try {
        const Image image = decode(damaged, options);
        EXPECT_EQ(image.channels, 3);
        EXPECT_EQ(image.pixels.size(), size_t(image.height) * image.width * 3);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == ErrorCode::kBadFormat || error.code() == ErrorCode::kTooLarge ||
                    error.code() == ErrorCode::kUnsupported)
            << name << ": " << error.what();
      }
    }
  }
}

TEST(Extensions, AnyCase) {
  for (const char* name : {"a.jpg", "a.JPEG", "b/c.PnG", "x.y.webp"}) {
    EXPECT_TRUE(has_image_extension(name)) << name;
  }
  for (const char* name : {"a", "jpg", ".jpg", "a.gif", "a.jpg.txt", "a.png/b"}) {
    EXPECT_FALSE(has_image_extension(name)) << name;
  }
}

TEST(EncodePng, DecodesToTheSamePixels) {
  std::mt19937 random(6);
  for (const auto& [height, width] : {std::pair{1, 1}, std::pair{13, 7}, std::pair{64, 100}}) {
    for (const int channels : {1, 3}) {
      Image image(height, width, channels);
      for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random());
      const test::TemporaryFolder folder;
      const fs::path path = folder.path() / "image.png";
      write_png(path, image);
      const Image read = decode_image(path);
      ASSERT_EQ(read.height, height);
      ASSERT_EQ(read.width, width);
      for (size_t i = 0; i < read.pixels.size(); ++i) {
        ASSERT_EQ(read.pixels[i], image.pixels[channels == 1 ? i / 3 : i]);
      }
    }
  }
  EXPECT_THROW(encode_png(Image(0, 4, 3)), Error);
  EXPECT_THROW(write_png("/nonexistent/folder/a.png", Image(1, 1, 3)), Error);
}

// Any window of any file is what decoding everything and cropping gives, to the byte: color is
// upsampled from neighbors, so the edges of the window are where it would go wrong.
TEST(DecodeWindow, EqualsTheCropOfTheWholeImage) {
  std::mt19937 random(3);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<std::string> names = fixture_names();
  for (std::string& name : names) name = "images/" + name;
  names.insert(names.end(), {"photos/grace_hopper.jpg", "photos/china.jpg"});
  int windows = 0;
  for (const std::string& name : names) {
    if (name.find("refused") != std::string::npos) continue;
    const std::string bytes = read_file(test::data(name));
    const Image whole = decode(bytes);
    const bool photo = name.starts_with("photos");
    for (int trial = 0; trial < (photo ? 25 : 60); ++trial) {
      Window window{below(whole.height), below(whole.width), 0, 0};
      window.height = 1 + below(whole.height - window.top);
      window.width = 1 + below(whole.width - window.left);
      if (trial == 0) window = {0, 0, whole.height, whole.width};
      std::pair<int, int> seen;
      const Image part =
          decode_image_window(std::as_bytes(std::span(bytes)), name, [&](int height, int width) {
            seen = {height, width};
            return window;
          });
      ASSERT_EQ(seen, std::pair(whole.height, whole.width));
      ASSERT_TRUE(part.pixels == crop(whole, window).pixels)
          << name << " window " << window.height << "x" << window.width << " at " << window.top
          << "," << window.left;
      ++windows;
    }
  }
  EXPECT_GT(windows, 2000);
}

TEST(DecodeWindow, RefusesWindowsOutsideAndDamage) {
  const std::string bytes = fixture("jpeg_420.jpg"), png = fixture("png_rgb8_plain.png");
  const auto error = [](const std::string& file, const Window& window) {
    try {
      decode_image_window(std::as_bytes(std::span(file)), "a file",
                          [&](int, int) { return window; });
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::kInterrupted;
  };
  for (const Window& window : {Window{0, 0, 0, 5}, Window{-1, 0, 5, 5}, Window{0, 1, 5, 51},
                               Window{30, 0, 30, 5}, Window{0, INT_MAX, 5, 5}}) {
    EXPECT_EQ(error(bytes, window), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error(png, window), ErrorCode::kInvalidArgument);
  }
  for (size_t length = 0; length + 40 < bytes.size(); length += 7) {
    EXPECT_NE(error(bytes.substr(0, length), {20, 10, 17, 20}), ErrorCode::kInterrupted) << length;
  }
}

}  // namespace
}  // namespace asmlp::decode_test
