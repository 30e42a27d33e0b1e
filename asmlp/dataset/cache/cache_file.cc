#include "asmlp/dataset/cache/cache_file.h"

#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/core/files/checksum.h"

namespace asmlp {
namespace {

constexpr uint64_t kMagic = 0x31676d69706c6d61;  // "amlpimg1"

struct Footer {
  uint64_t magic = kMagic;
  uint64_t key = 0;
  uint64_t count = 0;
  uint64_t index_offset = 0;
  uint64_t index_checksum = 0;
  uint64_t checksum = 0;  // of what is before
};
constexpr size_t kChecked = sizeof(Footer) - sizeof(uint64_t);

uint64_t checksum_of_footer(const Footer& footer) {
  return checksum_of(std::as_bytes(std::span(&footer, 1)).first(kChecked));
}

}  // namespace

uint64_t checksum_of(std::span<const std::byte> bytes) {
  Checksum checksum;
  checksum.add(bytes);
  return checksum.value();
}

void CacheFileWriter::write(std::span<const std::byte> bytes) {
  out_.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  offset_ += bytes.size();
}

void CacheFileWriter::add(const Image& image) {
  const auto bytes = std::as_bytes(std::span(image.pixels));
  index_.push_back({offset_, static_cast<uint32_t>(image.height),
                    static_cast<uint32_t>(image.width), static_cast<uint64_t>(image.channels),
                    checksum_of(bytes)});
  write(bytes);
}

void CacheFileWriter::finish(uint64_t key) {
  // The index is read where it lies.
  constexpr std::byte kNothing[sizeof(uint64_t)]{};
  write(std::span(kNothing).first((sizeof kNothing - offset_ % sizeof kNothing) % sizeof kNothing));
  const auto index = std::as_bytes(std::span(index_));
  Footer footer{.key = key,
                .count = index_.size(),
                .index_offset = offset_,
                .index_checksum = checksum_of(index)};
  footer.checksum = checksum_of_footer(footer);
  write(index);
  write(std::as_bytes(std::span(&footer, 1)));
}

CacheFile open_cache_file(const std::filesystem::path& path, uint64_t key, int64_t count) {
  CacheFile cache{map_file(path, Inputs::kRegular), {}};
  const std::span<const std::byte> bytes = cache.file.bytes;
  const auto check = [&](bool good, const char* why) {
    require(good, ErrorCode::kBadFormat, "{}: {}", path.string(), why);
  };
  Footer footer;
  check(bytes.size() >= sizeof footer, "is cut off");
  std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
  check(footer.magic == kMagic && footer.checksum == checksum_of_footer(footer),
        "is cut off or damaged at its end");
  const uint64_t index_bytes = footer.count * sizeof(CachedPicture);
  check(footer.key == key && footer.count == static_cast<uint64_t>(count), "is another file");
  check(footer.index_offset <= bytes.size() &&
            bytes.size() - footer.index_offset == index_bytes + sizeof footer,
        "has another size than it says");
  const auto index = bytes.subspan(footer.index_offset, index_bytes);
  check(checksum_of(index) == footer.index_checksum, "its index is damaged");
  cache.index.resize(footer.count);
  std::memcpy(cache.index.data(), index.data(), index.size());
  for (const CachedPicture& picture : cache.index) {
    check(picture.channels <= 3 && picture.offset <= footer.index_offset &&
              picture.bytes() <= footer.index_offset - picture.offset,
          "its index leads outside");
  }
  return cache;
}

}  // namespace asmlp
