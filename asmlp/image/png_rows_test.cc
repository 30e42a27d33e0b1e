#include "asmlp/image/png_rows.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <random>
#include <string>

namespace asmlp::png_rows_test {
namespace {

uint8_t paeth(int a, int b, int c) {
  const int p = a + b - c, pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
  return static_cast<uint8_t>(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

// Every filter of the specification, byte by byte, for every size of pixels.
TEST(PngRows, UndoesTheFiltersOfTheSpecification) {
  std::mt19937 random(8);
  for (const size_t pixel : {1, 2, 3, 4, 6, 8}) {
    for (int filter = 0; filter <= 4; ++filter) {
      for (const bool first : {false, true}) {
        const size_t count = pixel * (1 + random() % 40), total = count + 1 + kPngSlack;
        std::vector<uint8_t> raw(total), above(total);
        // Extremes often: differences then wrap around.
        for (uint8_t& byte : raw) byte = uint8_t(random() % 3 == 0 ? random() % 2 * 255 : random());
        for (uint8_t& byte : above) byte = uint8_t(random());
        raw[0] = uint8_t(filter);
        std::vector<uint8_t> expected = raw;
        for (size_t i = 0; i < count; ++i) {
          const int a = i >= pixel ? expected[1 + i - pixel] : 0, b = first ? 0 : above[i];
          const int c = i >= pixel && !first ? above[i - pixel] : 0;
          const int guess = filter == 1   ? a
                            : filter == 2 ? b
                            : filter == 3 ? (a + b) / 2
                            : filter == 4 ? paeth(a, b, c)
                                          : 0;
          expected[1 + i] = uint8_t(raw[1 + i] + guess);
        }
        ASSERT_TRUE(unfilter_png_row(raw.data(), first ? nullptr : above.data(), count, pixel));
        EXPECT_EQ(raw, expected) << "pixels of " << pixel << ", filter " << filter;
      }
    }
  }
  std::vector<uint8_t> row(20);
  row[0] = 5;
  EXPECT_FALSE(unfilter_png_row(row.data(), nullptr, 9, 3));
}

std::string packed(const std::string& text, int level) {
  uLongf size = compressBound(uLong(text.size()));
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(text.data()), uLong(text.size()), level);
  out.resize(size);
  return out;
}

TEST(PngRows, UnpacksWholeStreamsOnly) {
  std::mt19937 random(9);
  std::string text(100'000, '\0');
  for (char& c : text) c = char(random() % 7);
  for (const int level : {0, 1, 9}) {
    const std::string stream = packed(text, level);
    std::vector<uint8_t> rows(text.size());
    const std::string_view all = stream;
    const std::vector<std::string_view> parts{
        all.substr(0, 1), all.substr(1, 5000), {}, all.substr(5001)};
    EXPECT_TRUE(unpack_png_rows(parts, rows));
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), text.begin(),
                           [](uint8_t a, char b) { return a == uint8_t(b); }));
    std::vector<uint8_t> fewer(text.size() - 1), more(text.size() + 1);
    EXPECT_FALSE(unpack_png_rows(parts, fewer));
    EXPECT_FALSE(unpack_png_rows(parts, more));
    const std::vector<std::string_view> cut{all.substr(0, all.size() - 1)};
    EXPECT_FALSE(unpack_png_rows(cut, rows));
    std::string damaged = stream;
    damaged.back() ^= 1;  // the checksum
    const std::vector<std::string_view> wrong{damaged};
    EXPECT_FALSE(unpack_png_rows(wrong, rows));
  }
  EXPECT_FALSE(unpack_png_rows({}, {}));
}

}  // namespace
}  // namespace asmlp::png_rows_test
