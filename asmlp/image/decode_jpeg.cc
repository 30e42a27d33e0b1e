// JPEG by libjpeg-turbo's libjpeg interface, set up as Pillow sets it up: integer "slow" DCT and
// fancy upsampling (the library's defaults), warnings about corrupt data tolerated, truncation not.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

// jpeglib.h needs FILE and size_t from the headers above.
#include <jerror.h>
#include <jpeglib.h>

#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

// A real progressive file has about ten scans. Each costs a pass over the whole image but only some
// bytes of file, so thousands of them would be a bomb.
constexpr int kMaxScans = 500;

// Columns and rows beyond the window that are decoded with it: libjpeg-turbo upsamples color at
// the edges of what it decodes as at the edges of an image.
constexpr int kMargin = 4;

// libjpeg calls back with pointers to its own structures; each of ours begins with one of those.
struct Errors {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char text[JMSG_LENGTH_MAX];
  ErrorCode code;
};

[[noreturn]] void leave(j_common_ptr info, ErrorCode code, const char* text) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  errors->code = code;
  std::snprintf(errors->text, sizeof errors->text, "%s", text);
  std::longjmp(errors->escape, 1);
}

void on_error(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  leave(info, ErrorCode::kBadFormat, text);
}

void on_message(j_common_ptr, int) {}
void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number > kMaxScans) {
    leave(info, ErrorCode::kTooLarge, "more than 500 scans");
  }
}

boolean on_end_of_data(j_decompress_ptr info) {
  leave(reinterpret_cast<j_common_ptr>(info), ErrorCode::kBadFormat, "the file is truncated");
}

void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<size_t>(count) > info->src->bytes_in_buffer) on_end_of_data(info);
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= static_cast<size_t>(count);
}

void do_nothing(j_decompress_ptr) {}

// One decompression. The member functions that call libjpeg return false after an error, of which
// the text and the code are in `errors`; because longjmp must not skip destructors, no object that
// has one lives in them.
struct Decoder {
  jpeg_decompress_struct info{};
  Errors errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  bool created = false;

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (created) jpeg_destroy_decompress(&info);
  }

  bool read_header(const std::byte* bytes, size_t size) noexcept {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_error;
    errors.base.emit_message = on_message;
    errors.base.output_message = on_output;
    if (setjmp(errors.escape)) return false;
    jpeg_create_decompress(&info);
    created = true;
    source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes);
    source.bytes_in_buffer = size;
    source.init_source = do_nothing;
    source.fill_input_buffer = on_end_of_data;
    source.skip_input_data = skip_bytes;
    source.resync_to_restart = jpeg_resync_to_restart;
    source.term_source = do_nothing;
    info.src = &source;
    progress.progress_monitor = on_progress;
    info.progress = &progress;
    jpeg_read_header(&info, TRUE);
    return true;
  }

  bool start(J_COLOR_SPACE colors) noexcept {
    if (setjmp(errors.escape)) return false;
    info.out_color_space = colors;
    jpeg_start_decompress(&info);
    return true;
  }

  // The window of an RGB image after start(); `row` holds a row of the whole image.
  bool read_window(const Window& window, uint8_t* row, uint8_t* pixels) noexcept {
    if (setjmp(errors.escape)) return false;
    const int width = static_cast<int>(info.output_width);
    const int left = std::max(window.left - kMargin, 0);
    const int right = std::min(window.left + window.width + kMargin, width);
    JDIMENSION first = 0;
    if (right - left < width) {
      // The library moves `first` left to where a block begins.
      JDIMENSION columns = static_cast<JDIMENSION>(right - left);
      first = static_cast<JDIMENSION>(left);
      jpeg_crop_scanline(&info, &first, &columns);
    }
    const int above = std::max(window.top - kMargin, 0);
    if (above > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(above));
    const size_t bytes = static_cast<size_t>(window.width) * 3;
    const size_t offset = (static_cast<size_t>(window.left) - first) * 3;
    const int bottom = window.top + window.height;
    for (int y = above; y < bottom; ++y) {
      JSAMPROW rows = row;
      jpeg_read_scanlines(&info, &rows, 1);
      if (y >= window.top) {
        std::memcpy(pixels + bytes * static_cast<size_t>(y - window.top), row + offset, bytes);
      }
    }
    return true;
  }

  // Every row into `rows`, `stride` bytes apart. What follows the last row does not matter.
  bool read_rows(uint8_t* rows, size_t stride) noexcept {
    if (setjmp(errors.escape)) return false;
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = rows + stride * info.output_scanline;
      jpeg_read_scanlines(&info, &row, 1);
    }
    return true;
  }
};

// round(a * b / 255), the way Pillow rounds it.
uint32_t multiply_255(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Pillow takes every four-channel JPEG as inverted (Adobe's habit) and knows no color profile.
Image rgb_from_inverted_cmyk(const std::vector<uint8_t>& cmyk, int height, int width) {
  Image image(height, width, 3);
  const uint8_t* in = cmyk.data();
  for (size_t i = 0; i < image.pixels.size(); i += 3, in += 4) {
    const uint32_t light = in[3];
    for (int c = 0; c < 3; ++c) {
      image.pixels[i + c] = static_cast<uint8_t>(light - multiply_255(255u - in[c], light));
    }
  }
  return image;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& what, int64_t max_pixels,
                  const ChooseWindow& choose) {
  Decoder decoder;
  const auto check = [&](bool good) {
    require(good, decoder.errors.code, "{}: cannot decode the JPEG data: {}", what,
            decoder.errors.text);
  };
  check(decoder.read_header(bytes.data(), bytes.size()));
  check_image_size(decoder.info.image_height, decoder.info.image_width, max_pixels, what);
  const int height = static_cast<int>(decoder.info.image_height);
  const int width = static_cast<int>(decoder.info.image_width);
  const int components = decoder.info.num_components;
  require(components == 1 || components == 3 || components == 4, ErrorCode::kUnsupported,
          "{}: a JPEG file of {} components; 1, 3 and 4 can be read", what, components);
  if (components == 4) {
    check(decoder.start(JCS_CMYK));
    std::vector<uint8_t> cmyk(static_cast<size_t>(height) * width * 4);
    check(decoder.read_rows(cmyk.data(), static_cast<size_t>(width) * 4));
    const Image image = rgb_from_inverted_cmyk(cmyk, height, width);
    return choose ? crop(image, checked_window(choose, height, width, what)) : image;
  }
  // libjpeg-turbo repeats gray into RGB itself.
  if (choose) {
    const Window window = checked_window(choose, height, width, what);
    check(decoder.start(JCS_RGB));
    Image image(window.height, window.width, 3);
    std::vector<uint8_t> row(static_cast<size_t>(width) * 3);
    check(decoder.read_window(window, row.data(), image.pixels.data()));
    return image;
  }
  check(decoder.start(JCS_RGB));
  Image image(height, width, 3);
  check(decoder.read_rows(image.pixels.data(), static_cast<size_t>(width) * 3));
  return image;
}

}  // namespace asmlp
