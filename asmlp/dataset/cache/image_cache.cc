#include "asmlp/dataset/cache/image_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/input_file.h"
#include "asmlp/dataset/cache/caches.h"
#include "asmlp/image/preprocess.h"

namespace asmlp {
namespace {

bool has_equal_channels(const Image& image) {
  const uint8_t* p = image.pixels.data();
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    if (p[i] != p[i + 1] || p[i] != p[i + 2]) return false;
  }
  return true;
}

}  // namespace

Image decode_to_keep(const CacheContents& contents, int64_t index) {
  Image image = contents.decode(index);
  // Of equal channels to_gray gives just these.
  const bool gray = image.channels == 3 && (contents.channels == 1 || has_equal_channels(image));
  return gray ? to_gray(image) : image;
}

std::string bytes_text(double bytes) {
  return bytes < 1e9 ? fmt::format("{:.0f} MB", std::max(bytes / 1e6, 1.0))
                     : fmt::format("{:.2f} GB", bytes / 1e9);
}

int64_t estimate_decoded_bytes(const CacheContents& contents) {
  constexpr int64_t kSampled = 200;
  const int64_t sampled = std::min(contents.size, kSampled);
  double bytes = 0;
  int64_t read = 0;
  for (int64_t i = 0; i < sampled; ++i) {
    try {
      const std::filesystem::path path = contents.file(i * contents.size / sampled);
      const std::string file = read_file(path, contents.decoding.max_file_bytes, Inputs::kRegular);
      decode_image_window(
          std::as_bytes(std::span(file)), path.string(),
          [&](int height, int width) {
            bytes += double(height) * width * contents.channels;
            return Window{0, 0, 1, 1};
          },
          contents.decoding);
      ++read;
    } catch (const Error&) {  // takes no room
    }
  }
  return read > 0 ? static_cast<int64_t>(bytes / double(sampled) * double(contents.size)) : 0;
}

std::shared_ptr<const ImageCache> open_image_cache(CacheContents contents,
                                                   const CacheOptions& options) {
  if (options.mode == CacheMode::kOff || contents.size == 0) return nullptr;
  return options.mode == CacheMode::kRam ? open_ram_cache(std::move(contents), options)
                                         : open_disk_cache(std::move(contents), options);
}

}  // namespace asmlp
