// PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6), with the pixels that Pillow gives, or
// OpenCV where a sample has more than 8 bits.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

bool is_pnm_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// PnmWords of a header or of plain samples. A '#' begins a comment up to the end of its line.
class PnmWords {
 public:
  PnmWords(std::string_view text, const std::string& what) : text_(text), what_(what) {}

  // The next word as a number of 0..limit.
  uint32_t number(uint32_t limit, const char* name) {
    skip();
    const char* begin = text_.data() + at_;
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (begin == text_.data() + text_.size()) fail_truncated();
    require(error == std::errc() && value <= limit, ErrorCode::kBadFormat,
            "{}: the {} at byte {} of the PNM file is no number of 0 to {}", what_, name, at_,
            limit);
    at_ = static_cast<size_t>(end - text_.data());
    require(at_ == text_.size() || is_pnm_space(text_[at_]) || text_[at_] == '#',
            ErrorCode::kBadFormat, "{}: the {} at byte {} of the PNM file is no number", what_,
            name, at_);
    return value;
  }

  // The next digit 0 or 1; plain bits need no space between them.
  bool bit() {
    skip();
    if (at_ == text_.size()) fail_truncated();
    const char c = text_[at_++];
    require(c == '0' || c == '1', ErrorCode::kBadFormat,
            "{}: byte {} of the PBM file is neither 0 nor 1", what_, at_ - 1);
    return c == '1';
  }

  // What follows the one space behind a header.
  std::string_view raw(uint64_t size) {
    if (at_ < text_.size()) ++at_;
    if (size > text_.size() - at_) fail_truncated();
    return text_.substr(at_, size);
  }

 private:
  void skip() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      } else if (is_pnm_space(text_[at_])) {
        ++at_;
      } else {
        break;
      }
    }
  }
  [[noreturn]] void fail_truncated() const {
    fail(ErrorCode::kBadFormat, "{}: the PNM file is truncated", what_);
  }

  std::string_view text_;
  const std::string& what_;
  size_t at_ = 2;
};

// Each sample of 0..maxval as 8 bits. In Pillow, gray of more than 8 bits is a picture of integers
// of 0..65535, which it clips at 255. OpenCV keeps raw samples as they are, of two bytes the high
// one.
std::vector<uint8_t> scale_table(uint32_t maxval, bool gray, PixelStyle style, bool plain) {
  std::vector<uint8_t> table(maxval > 255 ? 65536 : 256);
  const double top = gray && maxval > 255 ? 65535.0 : 255.0;
  for (size_t value = 0; value < table.size(); ++value) {
    double scaled = std::nearbyint(static_cast<double>(value) / maxval * top);
    if (style == PixelStyle::kOpenCv) {
      const auto known = std::min<size_t>(value, maxval);
      scaled = static_cast<double>(maxval > 255 ? value >> 8
                                   : plain      ? known * 255 / maxval
                                                : value);
    }
    table[value] = static_cast<uint8_t>(std::min(scaled, 255.0));
  }
  return table;
}

}  // namespace

Image decode_pnm(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  require(text.size() >= 3 && (is_pnm_space(text[2]) || text[2] == '#'), ErrorCode::kUnsupported,
          "{}: is no image file that is known here", what);
  const int kind = text[1] - '0';
  const bool bits = kind == 1 || kind == 4, plain = kind <= 3;
  const int channels = kind == 3 || kind == 6 ? 3 : 1;
  PnmWords words(text, what);
  const uint32_t width = words.number(INT32_MAX, "width");
  const uint32_t height = words.number(INT32_MAX, "height");
  const uint32_t maxval = bits ? 1 : words.number(65535, "largest sample");
  require(maxval >= 1, ErrorCode::kBadFormat, "{}: a PNM file whose largest sample is 0", what);
  check_image_size(height, width, options.max_pixels, what);
  const uint64_t samples = uint64_t{width} * height * static_cast<uint64_t>(channels);
  const uint64_t sample_bytes = maxval > 255 ? 2 : 1;
  std::string_view raw;
  if (plain) {
    // A plain sample takes two bytes at least, a bit one.
    require(samples <= text.size() * uint64_t{bits ? 1u : 2u}, ErrorCode::kBadFormat,
            "{}: the PNM file is truncated", what);
  } else {
    raw = words.raw(bits ? uint64_t{(width + 7) / 8} * height : samples * sample_bytes);
  }
  const std::vector<uint8_t> table = scale_table(maxval, channels == 1, options.style, plain);
  const auto* in = reinterpret_cast<const uint8_t*>(raw.data());
  Image image(static_cast<int>(height), static_cast<int>(width), 3);
  for (int y = 0; y < image.height; ++y) {
    uint8_t* out = image.row(y);
    const uint8_t* row = bits && !plain ? in + size_t{(width + 7) / 8} * y : nullptr;
    for (int x = 0; x < image.width; ++x, out += 3) {
      if (bits) {
        const bool black = plain ? words.bit() : row[x / 8] >> (7 - x % 8) & 1;
        std::fill_n(out, 3, black ? 0 : 255);
        continue;
      }
      for (int c = 0; c < channels; ++c) {
        uint32_t value = 0;
        if (plain) {
          value = words.number(maxval, "sample");
        } else {
          value = *in++;
          if (sample_bytes == 2) value = value << 8 | *in++;
        }
        out[c] = table[value];
      }
      if (channels == 1) out[1] = out[2] = out[0];
    }
  }
  return image;
}

}  // namespace asmlp
