// The file of a cache: pictures one after the other, then where each lies, then what the file is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "asmlp/core/input_file.h"
#include "asmlp/image/image.h"

namespace asmlp {

// Where a picture lies in the file. All numbers are stored as this machine stores them.
struct CachedPicture {
  uint64_t offset = 0;
  uint32_t height = 0, width = 0;
  uint64_t channels = 0;  // 0: there is none
  uint64_t checksum = 0;  // of its bytes

  uint64_t bytes() const { return uint64_t{height} * width * channels; }
};

// Writes such a file into a stream, from its beginning.
class CacheFileWriter {
 public:
  explicit CacheFileWriter(std::ostream& out) : out_(out) {}
  // The next picture.
  void add(const Image& image);
  // The next picture cannot be decoded.
  void add_none() { index_.push_back({}); }
  // The end; `key` says what is in the file.
  void finish(uint64_t key);
  uint64_t bytes() const { return offset_; }

 private:
  void write(std::span<const std::byte> bytes);

  std::ostream& out_;
  uint64_t offset_ = 0;
  std::vector<CachedPicture> index_;
};

// A mapped file.
struct CacheFile {
  MappedFile file;
  std::vector<CachedPicture> index;

  const uint8_t* pixels(const CachedPicture& picture) const {
    return reinterpret_cast<const uint8_t*>(file.bytes.data()) + picture.offset;
  }
};

// The file of `count` pictures that was written under this key. Error(kNotFound) when it is not
// there, Error(kBadFormat) when it is cut off, damaged, or another one; the pictures' own checksums
// are not looked at.
CacheFile open_cache_file(const std::filesystem::path& path, uint64_t key, int64_t count);

// The checksum of bytes (core/files/checksum.h).
uint64_t checksum_of(std::span<const std::byte> bytes);

}  // namespace asmlp
