// Decoded pictures, kept: in memory, or in one file that is mapped and shared by processes. Nothing
// is lossy; whoever reads through a cache gets the bytes that decoding gives.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"

namespace asmlp {

enum class CacheMode { kOff, kRam, kDisk };
constexpr auto names_of(CacheMode) {
  return std::array{std::pair{CacheMode::kOff, "off"}, std::pair{CacheMode::kRam, "ram"},
                    std::pair{CacheMode::kDisk, "disk"}};
}

// The pictures of a data set.
struct CacheContents {
  // For messages, and to tell sets apart that share a folder: "photos (train)".
  std::string what;
  int64_t size = 0;
  // The file of a picture: its name inside of the set, size, and time of change are part of what a
  // kept file is known by.
  std::function<std::filesystem::path(int64_t)> file;
  // Brings a picture to pixels; Error as its reader gives it.
  std::function<Image(int64_t)> decode;
  DecodeOptions decoding;  // how: part of what a kept file is known by
  // That the reader wants: of 1, pictures are kept as gray. (Gray pictures always are.)
  int channels = 3;
};

struct CacheOptions {
  CacheMode mode = CacheMode::kOff;
  std::filesystem::path folder;  // of the file; made when it is not there
  int threads = 0;               // that fill the file; 0: all cores
  int processes = 1;             // of this machine that keep the same in their memories
  int64_t memory = 0;            // bytes that there are; 0: available_memory()
  int64_t promised = 0;          // of them to other caches (promised_memory)
  // Told what the user should know: what is written, what does not fit and how much it would take.
  // From any thread.
  std::function<void(const std::string&)> say;
};

// What is kept of a set. find() may be called from several threads at once.
class ImageCache {
 public:
  virtual ~ImageCache() = default;
  // Picture `index` in [0, size), or nothing: it cannot be decoded, or there is no room for it.
  // Then the reader decodes it, with the same result. Gray pictures have one channel. The view
  // lives as long as the cache.
  virtual std::optional<PixelView> find(int64_t index) const = 0;
  // Bytes of memory that it may come to take.
  virtual int64_t promised_memory() const { return 0; }
};

// The cache that the options ask for; null for kOff, and where it cannot be had, which is said: the
// training then goes on without.
//
// kRam: a picture is kept when it is first read, until the set is complete or a part of the memory
// that is available at the start (three quarters, shared by the processes) is full, or less than a
// tenth of it is left: those that have no room are decoded at each use.
//
// kDisk: the file is written at once, by one process, while others wait for it. It is built anew
// when the set has changed, and when it is truncated or its index is damaged; a picture whose
// checksum is wrong is decoded and written again. A disk without room ends the writing: nothing
// else is touched.
std::shared_ptr<const ImageCache> open_image_cache(CacheContents contents,
                                                   const CacheOptions& options);

// Bytes of the decoded pictures, from a sample of them: about, as gray ones take less.
int64_t estimate_decoded_bytes(const CacheContents& contents);

}  // namespace asmlp
