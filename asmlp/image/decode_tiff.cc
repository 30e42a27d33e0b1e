// TIFF by libtiff: the first page, in strips or tiles, of every compression that the library knows.
// In Pillow's style the samples are brought to 8 bits as Pillow does it, in OpenCV's the library
// makes RGBA of them, which is what OpenCV shows.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

// Room for what the library allocates at once beside pixels: directories, tables of strips.
constexpr int64_t kTiffOverhead = int64_t{16} << 20;

// Tiles reach over the edges of an image: a column and a row of tiles, of an image that is larger
// than one tile three times the image. One that is smaller may be in a tile of 4096 x 4096 pixels.
constexpr uint64_t kMaxTilePadding = 4;
constexpr uint64_t kMaxPiece = uint64_t{64} << 20;

// The file in memory as libtiff reads it, and the first error.
struct TiffSource {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
  std::string error;
};

TiffSource& source_of(thandle_t handle) { return *static_cast<TiffSource*>(handle); }

tmsize_t tiff_read(thandle_t handle, void* to, tmsize_t size) {
  TiffSource& source = source_of(handle);
  const uint64_t there = source.at < source.bytes.size() ? source.bytes.size() - source.at : 0;
  const auto count = std::min<uint64_t>(static_cast<uint64_t>(std::max<tmsize_t>(size, 0)), there);
  if (count > 0) std::memcpy(to, source.bytes.data() + source.at, count);
  source.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t tiff_write(thandle_t, void*, tmsize_t) { return 0; }
toff_t tiff_seek(thandle_t handle, toff_t offset, int from) {
  TiffSource& source = source_of(handle);
  const uint64_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? source.at : source.bytes.size();
  return source.at = base + offset;
}
int tiff_close(thandle_t) { return 0; }
toff_t tiff_size(thandle_t handle) { return source_of(handle).bytes.size(); }
int tiff_map(thandle_t handle, void** base, toff_t* size) {
  // libtiff only reads what it has mapped.
  *base = const_cast<std::byte*>(source_of(handle).bytes.data());
  *size = source_of(handle).bytes.size();
  return 1;
}
void tiff_unmap(thandle_t, void*, toff_t) {}

// Keeps the first message; 1 says that nobody else need hear of it.
int on_tiff_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  std::string& error = static_cast<TiffSource*>(user)->error;
  if (!error.empty()) return 1;
  char text[256];
  std::vsnprintf(text, sizeof text, format, arguments);
  error = text;
  return 1;
}
int on_tiff_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
struct FreeOptions {
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};

// How a sample becomes 8 bits.
enum class Reduce {
  kScale,  // 1 to 8 bits: 0..255
  kIndex,  // 1 to 8 bits: as it is
  kHigh,   // 16 bits: the high byte
  kClipU16,
  kClipS16,
  kClipU32,
  kClipS32,
  kClipFloat
};

template <typename T>
T value_at(const uint8_t* row, size_t index) {
  T value;
  std::memcpy(&value, row + index * sizeof value, sizeof value);
  return value;
}

template <typename T>
uint8_t clipped(T value) {
  return value > T{0} ? static_cast<uint8_t>(std::min(value, T{255})) : uint8_t{0};
}

// What is known of the page.
struct TiffPage {
  uint32_t width = 0, height = 0;
  uint16_t photometric = PHOTOMETRIC_MINISWHITE;  // where nothing is said, as in Pillow
  uint16_t bits = 1, samples = 1, format = SAMPLEFORMAT_UINT;
  uint16_t planar = PLANARCONFIG_CONTIG, compression = COMPRESSION_NONE;
  bool premultiplied = false;
  int wanted = 1;  // samples that matter: 1 (gray, palette), 3 (RGB), 4 (CMYK, premultiplied RGBA)
  Reduce reduce = Reduce::kScale;

  uint8_t sample(const uint8_t* row, size_t index) const {
    switch (reduce) {
      case Reduce::kHigh:
        return static_cast<uint8_t>(value_at<uint16_t>(row, index) >> 8);
      case Reduce::kClipU16:
        return clipped(value_at<uint16_t>(row, index));
      case Reduce::kClipS16:
        return clipped(value_at<int16_t>(row, index));
      case Reduce::kClipU32:
        // Pillow reads them as signed.
      case Reduce::kClipS32:
        return clipped(value_at<int32_t>(row, index));
      case Reduce::kClipFloat:
        return clipped(value_at<float>(row, index));
      case Reduce::kScale:
      case Reduce::kIndex:
        break;
    }
    const size_t bit = index * bits;
    const int highest = (1 << bits) - 1;
    int value = row[bit / 8] >> (8 - bits - static_cast<int>(bit % 8)) & highest;
    if (reduce == Reduce::kIndex) return static_cast<uint8_t>(value);
    if (photometric == PHOTOMETRIC_MINISWHITE) value = highest - value;
    return static_cast<uint8_t>(value * (255 / highest));
  }
};

class TiffDecoder {
 public:
  TiffDecoder(std::span<const std::byte> bytes, const std::string& what,
              const DecodeOptions& options)
      : what_(what), options_(options) {
    source_.bytes = bytes;
    const std::unique_ptr<TIFFOpenOptions, FreeOptions> open(TIFFOpenOptionsAlloc());
    require(open != nullptr, ErrorCode::kTooLarge, "{}: no memory to decode it", what);
    TIFFOpenOptionsSetMaxSingleMemAlloc(open.get(), limit());
    TIFFOpenOptionsSetErrorHandlerExtR(open.get(), on_tiff_error, &source_);
    TIFFOpenOptionsSetWarningHandlerExtR(open.get(), on_tiff_warning, &source_);
    tiff_.reset(TIFFClientOpenExt("image", "r", &source_, tiff_read, tiff_write, tiff_seek,
                                  tiff_close, tiff_size, tiff_map, tiff_unmap, open.get()));
    check(tiff_ != nullptr);
    read_page();
  }

  Image decode() {
    check_work();
    const bool rgb_of_library = options_.style == PixelStyle::kOpenCv ||
                                page_.photometric == PHOTOMETRIC_YCBCR ||
                                page_.compression == COMPRESSION_OJPEG;
    if (rgb_of_library && !decodes_to_rgb()) return by_library();
    return by_samples();
  }

 private:
  tmsize_t limit() const { return static_cast<tmsize_t>(options_.max_pixels * 8 + kTiffOverhead); }

  void check(bool good) const {
    require(good, ErrorCode::kBadFormat, "{}: cannot decode the TIFF data: {}", what_,
            source_.error.empty() ? "the file is damaged" : source_.error);
  }

  template <typename T>
  void get(uint32_t tag, T& value) {
    T found{};
    if (TIFFGetFieldDefaulted(tiff_.get(), tag, &found) == 1) value = found;
  }

  // JPEG's own YCbCr, which comes out as RGB.
  bool decodes_to_rgb() const {
    return options_.style == PixelStyle::kPillow && page_.photometric == PHOTOMETRIC_YCBCR &&
           page_.compression == COMPRESSION_JPEG && page_.planar == PLANARCONFIG_CONTIG;
  }

  void read_page() {
    get(TIFFTAG_IMAGEWIDTH, page_.width);
    get(TIFFTAG_IMAGELENGTH, page_.height);
    check_image_size(page_.height, page_.width, options_.max_pixels, what_);
    uint16_t photometric = 0;
    if (TIFFGetField(tiff_.get(), TIFFTAG_PHOTOMETRIC, &photometric) == 1) {
      page_.photometric = photometric;
    }
    get(TIFFTAG_BITSPERSAMPLE, page_.bits);
    get(TIFFTAG_SAMPLESPERPIXEL, page_.samples);
    get(TIFFTAG_SAMPLEFORMAT, page_.format);
    get(TIFFTAG_PLANARCONFIG, page_.planar);
    get(TIFFTAG_COMPRESSION, page_.compression);
    uint16_t extra_count = 0;
    const uint16_t* extra = nullptr;
    if (TIFFGetField(tiff_.get(), TIFFTAG_EXTRASAMPLES, &extra_count, &extra) == 1) {
      page_.premultiplied = extra_count > 0 && extra[0] == EXTRASAMPLE_ASSOCALPHA;
    }
    require(TIFFIsCODECConfigured(page_.compression) == 1, ErrorCode::kUnsupported,
            "{}: a TIFF file of compression {}, which is not known here", what_, page_.compression);
  }

  // What there is to unpack, before anything is: the pieces of a small file may each be larger than
  // the image, lie at the same place, or be JPEG data of many scans.
  void check_work() {
    TIFF* tiff = tiff_.get();
    const bool tiled = TIFFIsTiled(tiff) != 0;
    const uint64_t pieces = tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
    const uint64_t piece = tiled ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
    check(pieces > 0 && piece > 0);
    // Each has an entry in a table.
    require(pieces <= source_.bytes.size(), ErrorCode::kBadFormat,
            "{}: {} bytes cannot hold the {} pieces of the TIFF file; it is truncated", what_,
            source_.bytes.size(), pieces);
    const uint64_t pixels = uint64_t{page_.width} * page_.height;
    const uint64_t image = pixels * ((uint64_t{page_.samples} * page_.bits + 7) / 8);
    const uint64_t most = std::min<uint64_t>(kMaxTilePadding * image + kMaxPiece, 2 * limit());
    require(piece <= most / pieces, ErrorCode::kTooLarge,
            "{}: a TIFF file of {} x {} pixels in {} pieces of {} bytes", what_, page_.width,
            page_.height, pieces, piece);
    if (page_.compression == COMPRESSION_NONE) return;
    uint64_t packed = 0;
    for (uint64_t i = 0; i < pieces; ++i) {
      const uint64_t at = TIFFGetStrileOffset(tiff, static_cast<uint32_t>(i));
      const uint64_t size = TIFFGetStrileByteCount(tiff, static_cast<uint32_t>(i));
      packed += std::min<uint64_t>(size, source_.bytes.size());
      require(packed <= source_.bytes.size() + 2 * pieces * piece, ErrorCode::kTooLarge,
              "{}: the pieces of the TIFF file are larger than the image", what_);
      if (page_.compression != COMPRESSION_JPEG || at >= source_.bytes.size()) continue;
      const auto rest = source_.bytes.subspan(at);
      check_jpeg_scans(rest.first(std::min<uint64_t>(size, rest.size())),
                       static_cast<int64_t>(std::min(pixels, piece) * pieces), what_);
    }
  }

  // Decides how samples become RGB; Error(kUnsupported) for what Pillow does not show either.
  void plan_samples() {
    const bool small = page_.bits <= 8 && (page_.bits & (page_.bits - 1)) == 0 && page_.bits > 0;
    const bool color = page_.photometric == PHOTOMETRIC_RGB ||
                       page_.photometric == PHOTOMETRIC_SEPARATED || decodes_to_rgb();
    bool known = false;
    if (color) {
      page_.premultiplied =
          page_.premultiplied && page_.photometric == PHOTOMETRIC_RGB && page_.samples >= 4;
      page_.wanted = page_.photometric == PHOTOMETRIC_SEPARATED || page_.premultiplied ? 4 : 3;
      known = page_.format == SAMPLEFORMAT_UINT && (page_.bits == 8 || page_.bits == 16) &&
              page_.samples >= page_.wanted;
      page_.reduce = page_.bits == 16 ? Reduce::kHigh : Reduce::kIndex;
    } else if (page_.photometric == PHOTOMETRIC_PALETTE) {
      known = small;
      page_.reduce = Reduce::kIndex;
    } else if (page_.photometric == PHOTOMETRIC_MINISBLACK ||
               page_.photometric == PHOTOMETRIC_MINISWHITE) {
      known = true;
      if (small) {
        page_.reduce = Reduce::kScale;
      } else if (page_.bits == 16 && page_.format != SAMPLEFORMAT_IEEEFP) {
        page_.reduce = page_.format == SAMPLEFORMAT_INT ? Reduce::kClipS16 : Reduce::kClipU16;
      } else if (page_.bits == 32) {
        page_.reduce = page_.format == SAMPLEFORMAT_IEEEFP ? Reduce::kClipFloat
                       : page_.format == SAMPLEFORMAT_INT  ? Reduce::kClipS32
                                                           : Reduce::kClipU32;
      } else {
        known = false;
      }
    }
    require(known, ErrorCode::kUnsupported,
            "{}: a TIFF file of {} samples of {} bits (photometric interpretation {}, sample "
            "format {}), which cannot be read; convert it to RGB of 8 bits",
            what_, page_.samples, page_.bits, page_.photometric, page_.format);
  }

  // Calls row(y, x, count, plane, samples, data) for each piece of a row of each plane that
  // matters: `samples` interleaved samples a pixel in `data`, of which the first belongs to sample
  // number `plane`.
  using OnRow = std::function<void(uint32_t y, uint32_t x, uint32_t count, uint16_t plane,
                                   uint16_t samples, const uint8_t* data)>;
  void for_each_row(const OnRow& on_row) {
    TIFF* tiff = tiff_.get();
    const bool tiled = TIFFIsTiled(tiff) != 0;
    const bool apart = page_.planar == PLANARCONFIG_SEPARATE && page_.samples > 1;
    const uint16_t planes = apart ? static_cast<uint16_t>(page_.wanted) : uint16_t{1};
    const uint16_t samples = apart ? uint16_t{1} : page_.samples;
    uint32_t block_width = page_.width, block_height = page_.height;
    if (tiled) {
      get(TIFFTAG_TILEWIDTH, block_width);
      get(TIFFTAG_TILELENGTH, block_height);
    } else {
      get(TIFFTAG_ROWSPERSTRIP, block_height);
      block_height = std::min(block_height, page_.height);
    }
    const tmsize_t size = tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    const tmsize_t stride = tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
    check(size > 0 && stride > 0 && block_width > 0 && block_height > 0);
    require(size <= limit(), ErrorCode::kTooLarge, "{}: a TIFF file in pieces of {} bytes", what_,
            size);
    // What the rows are read from below must be there, whatever the library thinks a row is.
    const uint64_t row_bits = uint64_t{block_width} * samples * page_.bits;
    check(static_cast<uint64_t>(stride) >= (row_bits + 7) / 8 &&
          static_cast<uint64_t>(size) >= static_cast<uint64_t>(stride) * block_height);
    std::vector<uint8_t> block(static_cast<size_t>(size));
    for (uint16_t plane = 0; plane < planes; ++plane) {
      for (uint32_t top = 0; top < page_.height; top += block_height) {
        const uint32_t rows = std::min(block_height, page_.height - top);
        for (uint32_t left = 0; left < page_.width; left += block_width) {
          const uint32_t columns = std::min(block_width, page_.width - left);
          tmsize_t got = 0;
          tmsize_t needed = stride * static_cast<tmsize_t>(rows);
          if (tiled) {
            got = TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, left, top, 0, plane),
                                      block.data(), size);
          } else {
            got = TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, top, plane), block.data(),
                                       needed);
          }
          check(got >= needed);
          for (uint32_t y = 0; y < rows; ++y) {
            on_row(top + y, left, columns, plane, samples,
                   block.data() + static_cast<size_t>(stride) * y);
          }
          if (left + uint64_t{block_width} >= page_.width) break;
        }
        if (top + uint64_t{block_height} >= page_.height) break;
      }
    }
  }

  Image by_samples() {
    plan_samples();
    if (decodes_to_rgb()) {
      TIFFSetField(tiff_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    const auto wanted = static_cast<size_t>(page_.wanted);
    std::vector<uint8_t> samples;  // height x width x wanted
    for_each_row([&](uint32_t y, uint32_t x, uint32_t count, uint16_t plane, uint16_t interleaved,
                     const uint8_t* data) {
      // Not before the first piece of the file has proved to be one.
      if (samples.empty()) samples.resize(size_t{page_.width} * page_.height * wanted);
      uint8_t* to = samples.data() + (size_t{y} * page_.width + x) * wanted + plane;
      const size_t taken = interleaved == 1 ? 1 : wanted;
      for (size_t i = 0; i < count; ++i, to += wanted) {
        for (size_t s = 0; s < taken; ++s) to[s] = page_.sample(data, i * interleaved + s);
      }
    });
    return rgb_of(samples);
  }

  Image rgb_of(std::vector<uint8_t>& samples) {
    Image image;
    image.height = static_cast<int>(page_.height);
    image.width = static_cast<int>(page_.width);
    if (page_.wanted == 3) {
      image.pixels = std::move(samples);
      return image;
    }
    image.pixels.resize(size_t{page_.width} * page_.height * 3);
    uint8_t* out = image.pixels.data();
    if (page_.photometric == PHOTOMETRIC_PALETTE) {
      const uint16_t* colors[3]{};
      check(TIFFGetField(tiff_.get(), TIFFTAG_COLORMAP, &colors[0], &colors[1], &colors[2]) == 1);
      for (const uint8_t index : samples) {
        for (const uint16_t* channel : colors) {
          *out++ = static_cast<uint8_t>(channel[index] >> 8);
        }
      }
    } else if (page_.wanted == 1) {
      for (const uint8_t value : samples) out = std::fill_n(out, 3, value);
    } else {
      const bool inks = page_.photometric == PHOTOMETRIC_SEPARATED;
      for (size_t i = 0; i < samples.size(); i += 4) {
        const uint32_t last = samples[i + 3];
        for (size_t c = 0; c < 3; ++c) {
          const uint32_t value = samples[i + c];
          *out++ = static_cast<uint8_t>(inks        ? 255 - last - multiply_255(value, 255 - last)
                                        : last == 0 ? 0
                                                    : std::min(value * 255 / last, 255u));
        }
      }
    }
    return image;
  }

  // The library's RGBA, as it lies in the file.
  Image by_library() {
    char message[1024] = "";
    require(TIFFRGBAImageOK(tiff_.get(), message) == 1, ErrorCode::kUnsupported,
            "{}: a TIFF file that cannot be read: {}", what_, message);
    const tmsize_t block =
        TIFFIsTiled(tiff_.get()) != 0 ? TIFFTileSize(tiff_.get()) : TIFFStripSize(tiff_.get());
    require(block > 0 && block <= limit(), ErrorCode::kTooLarge,
            "{}: a TIFF file in pieces of {} bytes", what_, block);
    TIFFRGBAImage reader;
    const bool begun = TIFFRGBAImageBegin(&reader, tiff_.get(), 1, message) == 1;
    if (!begun && source_.error.empty()) source_.error = message;
    check(begun);
    const std::unique_ptr<TIFFRGBAImage, decltype(&TIFFRGBAImageEnd)> end(&reader,
                                                                          TIFFRGBAImageEnd);
    // Nothing is turned: the orientation wanted is the file's own.
    reader.req_orientation = reader.orientation;
    std::vector<uint32_t> raster(size_t{page_.width} * page_.height);
    check(TIFFRGBAImageGet(&reader, raster.data(), page_.width, page_.height) == 1);
    Image image(static_cast<int>(page_.height), static_cast<int>(page_.width), 3);
    uint8_t* out = image.pixels.data();
    for (const uint32_t pixel : raster) {
      *out++ = static_cast<uint8_t>(TIFFGetR(pixel));
      *out++ = static_cast<uint8_t>(TIFFGetG(pixel));
      *out++ = static_cast<uint8_t>(TIFFGetB(pixel));
    }
    return image;
  }

  const std::string& what_;
  const DecodeOptions& options_;
  TiffSource source_;
  std::unique_ptr<TIFF, CloseTiff> tiff_;
  TiffPage page_;
};

}  // namespace

Image decode_tiff(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options) {
  return TiffDecoder(bytes, what, options).decode();
}

}  // namespace asmlp
