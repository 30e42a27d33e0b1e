#include "asmlp/weights/pytorch/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryEntry = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kEnd64Locator = 0x07064b50;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kLocatorBytes = 20;
constexpr uint64_t kEntryBytes = 46;
constexpr uint64_t kLocalBytes = 30;

uint32_t crc_of(std::span<const std::byte> bytes) {
  uLong crc = crc32(0, nullptr, 0);
  while (!bytes.empty()) {
    const size_t chunk = std::min(bytes.size(), size_t{1} << 30);
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(chunk));
    bytes = bytes.subspan(chunk);
  }
  return static_cast<uint32_t>(crc);
}

}  // namespace

// Little-endian, bounds checked.
template <typename T>
T ZipArchive::get(uint64_t position) const {
  require(position <= bytes_.size() && sizeof(T) <= bytes_.size() - position, ErrorCode::kBadFormat,
          "{}: damaged zip archive (is the file truncated?)", what_);
  T value;
  std::memcpy(&value, bytes_.data() + position, sizeof value);
  return value;
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes, const std::string& what,
                       Checksums checksums)
    : bytes_(bytes), what_(what), checksums_(checksums) {
  // The end record is the last one whose comment reaches exactly to the end of the file.
  const uint64_t size = bytes.size();
  uint64_t end = size;
  for (uint64_t comment = 0; comment <= 0xffff && comment + kEndBytes <= size; ++comment) {
    const uint64_t at = size - kEndBytes - comment;
    if (get<uint32_t>(at) == kEnd && get<uint16_t>(at + 20) == comment) {
      end = at;
      break;
    }
  }
  require(
      end != size, ErrorCode::kBadFormat,
      "{}: a zip archive without its directory: the file is truncated (an incomplete download or "
      "copy?); get it again",
      what_);
  uint64_t entries = get<uint16_t>(end + 10);
  uint64_t directory_size = get<uint32_t>(end + 12);
  uint64_t directory = get<uint32_t>(end + 16);
  const bool wide = entries == 0xffff || directory_size == 0xffffffff || directory == 0xffffffff;
  if (wide && end >= kLocatorBytes && get<uint32_t>(end - kLocatorBytes) == kEnd64Locator) {
    const auto end64 = get<uint64_t>(end - kLocatorBytes + 8);
    // All later positions are below the file size, so the sums cannot wrap.
    require(end64 < size && get<uint32_t>(end64) == kEnd64, ErrorCode::kBadFormat,
            "{}: damaged zip64 end record", what_);
    entries = get<uint64_t>(end64 + 32);
    directory_size = get<uint64_t>(end64 + 40);
    directory = get<uint64_t>(end64 + 48);
  }
  require(directory <= size && directory_size <= size - directory &&
              entries <= directory_size / kEntryBytes,
          ErrorCode::kBadFormat, "{}: the zip directory lies outside the file", what_);
  read_directory(directory, directory_size, entries);
}

void ZipArchive::read_directory(uint64_t begin, uint64_t size, uint64_t entries) {
  const uint64_t limit = begin + size;
  uint64_t at = begin;
  for (uint64_t i = 0; i < entries; ++i) {
    require(at + kEntryBytes <= limit && get<uint32_t>(at) == kDirectoryEntry,
            ErrorCode::kBadFormat, "{}: damaged zip directory (entry {})", what_, i);
    const auto flags = get<uint16_t>(at + 8);
    const auto method = get<uint16_t>(at + 10);
    const uint64_t name_bytes = get<uint16_t>(at + 28);
    const uint64_t extra_bytes = get<uint16_t>(at + 30);
    const uint64_t comment_bytes = get<uint16_t>(at + 32);
    Member member;
    member.crc = get<uint32_t>(at + 16);
    member.size = get<uint32_t>(at + 20);
    uint64_t full_size = get<uint32_t>(at + 24);
    member.header = get<uint32_t>(at + 42);
    const uint64_t extra = at + kEntryBytes + name_bytes;
    const uint64_t next = extra + extra_bytes + comment_bytes;
    require(next <= limit, ErrorCode::kBadFormat, "{}: damaged zip directory (entry {})", what_, i);

    // The zip64 field holds, in this order, those of the sizes and the position that did not fit.
    for (uint64_t field = extra; field + 4 <= extra + extra_bytes;) {
      const auto id = get<uint16_t>(field);
      const uint64_t field_end = field + 4 + get<uint16_t>(field + 2);
      require(field_end <= extra + extra_bytes, ErrorCode::kBadFormat,
              "{}: damaged zip directory (entry {})", what_, i);
      uint64_t value = field + 4;
      for (uint64_t* wide : {&full_size, &member.size, &member.header}) {
        if (id != 1 || *wide != 0xffffffff || value + 8 > field_end) continue;
        *wide = get<uint64_t>(value);
        value += 8;
      }
      field = field_end;
    }
    member.plain = method == 0 && (flags & 1) == 0 && member.size == full_size;
    const std::string_view name(reinterpret_cast<const char*>(bytes_.data() + at + kEntryBytes),
                                name_bytes);
    require(members_.emplace(name, member).second, ErrorCode::kBadFormat,
            "{}: the zip member '{}' is there twice", what_, name.substr(0, 200));
    at = next;
  }
}

std::span<const std::byte> ZipArchive::content(const std::string& name) {
  const auto found = members_.find(name);
  require(found != members_.end(), ErrorCode::kBadFormat, "{}: the zip member '{}' is missing",
          what_, name.substr(0, 200));
  const Member& member = found->second;
  require(member.plain, ErrorCode::kUnsupported,
          "{}: the zip member '{}' is compressed or encrypted; torch.save stores its members, so "
          "unpack and save the checkpoint again",
          what_, name.substr(0, 200));
  require(member.header < bytes_.size() && get<uint32_t>(member.header) == kLocalHeader,
          ErrorCode::kBadFormat, "{}: damaged zip member '{}'", what_, name.substr(0, 200));
  const uint64_t begin = member.header + kLocalBytes + get<uint16_t>(member.header + 26) +
                         get<uint16_t>(member.header + 28);
  require(begin <= bytes_.size() && member.size <= bytes_.size() - begin, ErrorCode::kBadFormat,
          "{}: the zip member '{}' reaches beyond the end of the file", what_, name.substr(0, 200));
  opened_bytes_ += member.size;
  require(opened_bytes_ <= bytes_.size(), ErrorCode::kBadFormat, "{}: zip members overlap", what_);
  const auto bytes = bytes_.subspan(begin, member.size);
  require(checksums_ == Checksums::kIgnore || crc_of(bytes) == member.crc, ErrorCode::kBadFormat,
          "{}: the zip member '{}' is damaged (its checksum differs); copy the file again", what_,
          name.substr(0, 200));
  return bytes;
}

bool ZipArchive::has_suffix(std::string_view suffix) const {
  return std::ranges::any_of(members_,
                             [&](const auto& member) { return member.first.ends_with(suffix); });
}

std::string ZipArchive::find_suffix(std::string_view suffix) const {
  std::string found;
  for (const auto& [name, member] : members_) {
    if (!name.ends_with(suffix)) continue;
    require(found.empty(), ErrorCode::kBadFormat, "{}: two zip members end in '{}'", what_, suffix);
    found = name;
  }
  return found;
}

}  // namespace asmlp
