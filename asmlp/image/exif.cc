#include "asmlp/image/exif.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace asmlp {
namespace {

using ExifBytes = std::span<const std::byte>;

constexpr uint16_t kOrientationTag = 0x0112;
constexpr std::string_view kExifPrefix{"Exif\0\0", 6};
constexpr std::string_view kXmpPrefix{"http://ns.adobe.com/xap/1.0/\0", 29};

std::string_view exif_text(ExifBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The part from `offset` of at most `size` bytes; what is not there is left out.
ExifBytes exif_part(ExifBytes bytes, uint64_t offset, uint64_t size = UINT64_MAX) {
  if (offset > bytes.size()) return {};
  return bytes.subspan(offset, std::min<uint64_t>(size, bytes.size() - offset));
}

// Numbers of one byte order; 0 where the bytes end.
class ExifReader {
 public:
  ExifReader(ExifBytes bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  uint64_t number(uint64_t offset, int size) const {
    const ExifBytes field = exif_part(bytes_, offset, static_cast<uint64_t>(size));
    if (std::ssize(field) < size) return 0;
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) {
      const int at = big_endian_ ? i : size - 1 - i;
      value = value << 8 | static_cast<uint8_t>(field[static_cast<size_t>(at)]);
    }
    return value;
  }

 private:
  ExifBytes bytes_;
  bool big_endian_;
};

// ExifBytes of one number of a TIFF type, 0 for a type that is no integer of its own.
int integer_size(uint64_t type) {
  switch (type) {
    case 3:
    case 8:
      return 2;
    case 4:
    case 9:
      return 4;
    case 16:
    case 17:
      return 8;
    default:
      return 0;
  }
}

int checked_orientation(uint64_t value) {
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 0;
}

// 0 where nothing is said.
int tiff_orientation(ExifBytes bytes) {
  while (exif_text(bytes).starts_with(kExifPrefix)) bytes = exif_part(bytes, kExifPrefix.size());
  if (bytes.size() < 8) return 0;
  const std::string_view order = exif_text(bytes).substr(0, 2);
  if (order != "II" && order != "MM") return 0;
  const ExifReader reader(bytes, order == "MM");
  const uint64_t magic = reader.number(2, 2);
  const bool big = magic == 43;
  // Some writers swap the bytes of the magic number; readers take that.
  if (!big && magic != 42 && magic != 42 << 8) return 0;
  const uint64_t directory = big ? reader.number(8, 8) : reader.number(4, 4);
  if (directory >= bytes.size()) return 0;
  const uint64_t entry_size = big ? 20 : 12;
  const uint64_t first = directory + (big ? 8 : 2);
  uint64_t count = reader.number(directory, big ? 8 : 2);
  count = std::min(count, (bytes.size() - directory) / entry_size);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t entry = first + i * entry_size;
    if (reader.number(entry, 2) != kOrientationTag) continue;
    const int size = integer_size(reader.number(entry + 2, 2));
    const uint64_t values = reader.number(entry + 4, big ? 8 : 4);
    if (size == 0 || values != 1 || size > (big ? 8 : 4)) return 0;
    return checked_orientation(reader.number(entry + (big ? 12 : 8), size));
  }
  return 0;
}

// tiff:Orientation="6" or <tiff:Orientation>6, 0 where neither is there.
int xmp_orientation(ExifBytes packet) {
  constexpr std::string_view kName = "tiff:Orientation";
  const std::string_view text = exif_text(packet);
  for (size_t at = text.find(kName); at != text.npos; at = text.find(kName, at + 1)) {
    std::string_view rest = text.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('>')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9')
      return checked_orientation(rest[0] - '0');
  }
  return 0;
}

// What was found in a file: EXIF before XMP.
struct FoundOrientation {
  int exif = 0;
  int xmp = 0;
  int orientation(PixelStyle style) const {
    if (exif != 0) return exif;
    return xmp != 0 && style == PixelStyle::kPillow ? xmp : 1;
  }
};

int jpeg_orientation(ExifBytes file, PixelStyle style) {
  constexpr int kEndOfImage = 0xd9, kStartOfScan = 0xda, kApp1 = 0xe1;
  FoundOrientation found;
  std::string exif;  // a block of more than one segment continues behind its prefix
  const ExifReader reader(file, true);
  size_t at = 2;
  while (at + 4 <= file.size()) {
    if (file[at] != std::byte{0xff}) {  // garbage before a marker is passed over
      ++at;
      continue;
    }
    const auto marker = static_cast<int>(file[at + 1]);
    if (marker == 0xff || marker == 0) {
      at += marker == 0xff ? 1 : 2;
      continue;
    }
    if (marker == kEndOfImage || marker == kStartOfScan) break;
    if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {  // without a length
      at += 2;
      continue;
    }
    const uint64_t length = reader.number(at + 2, 2);
    if (length < 2) break;
    if (marker == kApp1) {
      const ExifBytes content = exif_part(file, at + 4, length - 2);
      const std::string_view text = exif_text(content);
      if (text.starts_with(kExifPrefix)) {
        exif += exif.empty() ? text : text.substr(kExifPrefix.size());
      } else if (text.starts_with(kXmpPrefix) && found.xmp == 0) {
        found.xmp = xmp_orientation(content);
      }
    }
    at += 2 + length;
  }
  found.exif = tiff_orientation(std::as_bytes(std::span(exif)));
  return found.orientation(style);
}

int png_orientation(ExifBytes file, PixelStyle style) {
  constexpr std::string_view kXmpKey{"XML:com.adobe.xmp\0", 18};
  FoundOrientation found;
  const ExifReader reader(file, true);
  for (uint64_t at = 8; at + 8 <= file.size();) {
    const uint64_t length = reader.number(at, 4);
    const std::string_view type = exif_text(exif_part(file, at + 4, 4));
    const ExifBytes content = exif_part(file, at + 8, length);
    if (type == "eXIf" && found.exif == 0) found.exif = tiff_orientation(content);
    if (type == "iTXt" && found.xmp == 0 && exif_text(content).starts_with(kXmpKey)) {
      found.xmp = xmp_orientation(content);
    }
    if (type == "IEND") break;
    at += 12 + length;
  }
  return found.orientation(style);
}

int webp_orientation(ExifBytes file, PixelStyle style) {
  FoundOrientation found;
  const ExifReader reader(file, false);
  for (uint64_t at = 12; at + 8 <= file.size();) {
    const uint64_t length = reader.number(at + 4, 4);
    const std::string_view type = exif_text(exif_part(file, at, 4));
    const ExifBytes content = exif_part(file, at + 8, length);
    if (type == "EXIF" && found.exif == 0) found.exif = tiff_orientation(content);
    if (type == "XMP " && found.xmp == 0) found.xmp = xmp_orientation(content);
    at += 8 + length + length % 2;
  }
  return found.orientation(style);
}

}  // namespace

int exif_orientation(ExifBytes tiff) {
  const int orientation = tiff_orientation(tiff);
  return orientation == 0 ? 1 : orientation;
}

int file_orientation(ExifBytes file, PixelStyle style) {
  const std::string_view text = exif_text(file);
  if (text.starts_with("\xff\xd8\xff")) return jpeg_orientation(file, style);
  if (text.starts_with("\x89PNG")) return png_orientation(file, style);
  if (text.starts_with("RIFF") && text.substr(0, 12).ends_with("WEBP")) {
    return webp_orientation(file, style);
  }
  return exif_orientation(file);  // a TIFF file is such a structure itself
}

}  // namespace asmlp
