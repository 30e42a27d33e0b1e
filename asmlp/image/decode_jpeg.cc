// JPEG by libjpeg-turbo's libjpeg interface, set up as Pillow sets it up: integer "slow" DCT and
// fancy upsampling (the library's defaults). As in Pillow, warnings about corrupt data are
// tolerated as long as the decompression can be finished, truncation is not.
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

// libjpeg's and mozjpeg's progressive files have 6 to 12 scans, scripts that users write some more.
// Each costs a pass over the whole image (4 ns a pixel), but perhaps only some bytes of file.
constexpr int kUsualScans = 20;
// More only for small pictures: 2^26 pixels of passes take 0.3 s.
constexpr int kMaxScans = 100;
constexpr int64_t kMaxScanPixels = int64_t{1} << 26;

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

void on_message(j_common_ptr info, int level) {
  if (level < 0) ++info->err->num_warnings;
}
void on_output(j_common_ptr) {}

// The source of the bytes, and whether all pixels have come: then nothing more need follow.
struct Source {
  jpeg_source_mgr base;
  bool complete;
};

boolean on_end_of_data(j_decompress_ptr info) {
  if (reinterpret_cast<Source*>(info->src)->complete) return FALSE;
  leave(reinterpret_cast<j_common_ptr>(info), ErrorCode::kBadFormat, "the file is truncated");
}

void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<size_t>(count) > info->src->bytes_in_buffer) {
    on_end_of_data(info);
    count = static_cast<long>(info->src->bytes_in_buffer);
  }
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
  Source source{};
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
    jpeg_source_mgr& base = source.base;
    base.next_input_byte = reinterpret_cast<const JOCTET*>(bytes);
    base.bytes_in_buffer = size;
    base.init_source = do_nothing;
    base.fill_input_buffer = on_end_of_data;
    base.skip_input_data = skip_bytes;
    base.resync_to_restart = jpeg_resync_to_restart;
    base.term_source = do_nothing;
    info.src = &base;
    jpeg_read_header(&info, TRUE);
    return true;
  }

  // `divisor` 1, 2, 4, or 8: of a block of 8 x 8 pixels that part of each side comes.
  bool start(J_COLOR_SPACE colors, int divisor) noexcept {
    if (setjmp(errors.escape)) return false;
    info.out_color_space = colors;
    info.scale_num = 1;
    info.scale_denom = static_cast<unsigned>(divisor);
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

  // Every row into `rows`, `stride` bytes apart. Then all that follows up to the end of the image
  // is read, where damage inside of a scan shows: the library fills up the pixels with gray, and
  // what it has not understood comes now. The file may end before the end marker.
  bool read_rows(uint8_t* rows, size_t stride) noexcept {
    if (setjmp(errors.escape)) return false;
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = rows + stride * info.output_scanline;
      jpeg_read_scanlines(&info, &row, 1);
    }
    source.complete = true;
    jpeg_finish_decompress(&info);
    return true;
  }

  // After start(): whether a part of the image can be had as a part of the whole. Where
  // coefficients of a progressive file are missing, the library smooths over block borders, and
  // differently at the edges of a part.
  bool has_parts() const {
    if (info.coef_bits == nullptr) return true;
    for (int c = 0; c < info.num_components; ++c) {
      for (int k = 0; k < DCTSIZE2; ++k) {
        if (info.coef_bits[c][k] != 0) return false;
      }
    }
    return true;
  }
  bool warned() const { return errors.base.num_warnings > 0; }
};

// Pillow and OpenCV take every four-channel JPEG as inverted (Adobe's habit) and know no color
// profile; they round differently.
Image rgb_from_inverted_cmyk(const std::vector<uint8_t>& cmyk, int height, int width,
                             PixelStyle style) {
  Image image(height, width, 3);
  const uint8_t* in = cmyk.data();
  for (size_t i = 0; i < image.pixels.size(); i += 3, in += 4) {
    const uint32_t light = in[3];
    for (int c = 0; c < 3; ++c) {
      const uint32_t ink = 255u - in[c];
      image.pixels[i + c] = static_cast<uint8_t>(
          light - (style == PixelStyle::kPillow ? multiply_255(ink, light) : ink * light >> 8));
    }
  }
  return image;
}

// The largest divisor that leaves a window of at least the wanted size.
int divisor_of(const Window& window, const Scaling& scaling) {
  int divisor = 1;
  while (divisor < 8 && window.height >= 2 * divisor * scaling.height &&
         window.width >= 2 * divisor * scaling.width) {
    divisor *= 2;
  }
  return divisor;
}

// The pixels of a picture at 1 / divisor that the window touches, and where it lies in them.
Window touched(const Window& window, int divisor, Box& box) {
  const Window whole{window.top / divisor, window.left / divisor,
                     (window.top + window.height + divisor - 1) / divisor - window.top / divisor,
                     (window.left + window.width + divisor - 1) / divisor - window.left / divisor};
  const double d = divisor;
  box = {window.top / d - whole.top, window.left / d - whole.left, window.height / d,
         window.width / d};
  return whole;
}

}  // namespace

int count_jpeg_scans(std::span<const std::byte> bytes, int most) {
  const auto at = [&](size_t i) { return static_cast<unsigned>(bytes[i]); };
  int scans = 0;
  size_t i = 2;
  while (scans <= most && i + 3 < bytes.size()) {
    const void* found = std::memchr(bytes.data() + i, 0xff, bytes.size() - i - 1);
    if (found == nullptr) break;
    i = static_cast<size_t>(static_cast<const std::byte*>(found) - bytes.data());
    const unsigned marker = at(i + 1);
    if (marker == 0xff) {
      ++i;
      continue;
    }
    if (marker == 0xd9) break;
    // What is below the frame markers has no length: libjpeg refuses it, or looks for the next
    // marker when it has lost its place among restart markers.
    const bool alone = marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8);
    if (marker == 0xda) ++scans;
    i += 2;
    if (!alone && i + 1 < bytes.size()) i += at(i) << 8 | at(i + 1);
  }
  return scans;
}

void check_jpeg_scans(std::span<const std::byte> bytes, int64_t pixels, const std::string& what) {
  const int scans = count_jpeg_scans(bytes, kMaxScans);
  if (scans <= kUsualScans) return;
  require(scans <= kMaxScans, ErrorCode::kTooLarge,
          "{}: a JPEG file of more than {} scans; real ones have about ten", what, kMaxScans);
  require(pixels <= kMaxScanPixels / scans, ErrorCode::kTooLarge,
          "{}: a JPEG file of {} scans; real ones have about ten, and one of {} pixels may have {}",
          what, scans, pixels, std::max<int64_t>(kUsualScans, kMaxScanPixels / pixels));
}

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options, const ChooseWindow& choose, Scaling* scaling) {
  Decoder decoder;
  const auto check = [&](bool good) {
    require(good, decoder.errors.code, "{}: cannot decode the JPEG data: {}", what,
            decoder.errors.text);
  };
  check(decoder.read_header(bytes.data(), bytes.size()));
  check_image_size(decoder.info.image_height, decoder.info.image_width, options.max_pixels, what);
  check_jpeg_scans(bytes, int64_t{decoder.info.image_height} * decoder.info.image_width, what);
  const int height = static_cast<int>(decoder.info.image_height);
  const int width = static_cast<int>(decoder.info.image_width);
  const int components = decoder.info.num_components;
  require(components == 1 || components == 3 || components == 4, ErrorCode::kUnsupported,
          "{}: a JPEG file of {} components; 1, 3 and 4 can be read", what, components);
  const Window window =
      choose ? checked_window(choose, height, width, what) : Window{0, 0, height, width};
  const int divisor =
      choose && scaling != nullptr && components != 4 ? divisor_of(window, *scaling) : 1;
  // libjpeg-turbo repeats gray into RGB itself.
  check(decoder.start(components == 4 ? JCS_CMYK : JCS_RGB, divisor));
  const bool parts = choose && components != 4 && decoder.has_parts();
  if (parts) {
    Box box;
    const Window part = divisor > 1 ? touched(window, divisor, box) : window;
    Image image(part.height, part.width, 3);
    std::vector<uint8_t> row(static_cast<size_t>(width) * 3);
    check(decoder.read_window(part, row.data(), image.pixels.data()));
    if (!decoder.warned()) {
      if (divisor > 1) scaling->box = box;
      return image;
    }
  }
  // Whether a file with warnings is tolerated shows at its end.
  if (parts || divisor > 1) return crop(decode_jpeg(bytes, what, options), window);
  Image image;
  if (components == 4) {
    std::vector<uint8_t> cmyk(static_cast<size_t>(height) * width * 4);
    check(decoder.read_rows(cmyk.data(), static_cast<size_t>(width) * 4));
    image = rgb_from_inverted_cmyk(cmyk, height, width, options.style);
  } else {
    image = Image(height, width, 3);
    check(decoder.read_rows(image.pixels.data(), static_cast<size_t>(width) * 3));
  }
  return choose ? crop(image, window) : image;
}

}  // namespace asmlp
