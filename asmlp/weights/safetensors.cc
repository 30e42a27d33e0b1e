#include "asmlp/weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/checksum.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/safetensors_header.h"

namespace asmlp {
namespace {

// A tensor takes about 100 bytes. The format allows 100 MB, which take seconds to read.
constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
constexpr size_t kMaxHeaderValues = size_t{1} << 19;  // a tensor has 9

// The offsets must tile the buffer: start at 0, no hole, no overlap, end with the file.
void check_layout(std::vector<HeaderEntry> entries, uint64_t buffer_bytes,
                  const std::string& what) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const HeaderEntry& entry : entries) {
    require(entry.begin == position, ErrorCode::kBadFormat,
            "{}: tensor '{}' begins at byte {} of the data, where byte {} was expected ({})", what,
            entry.name, entry.begin, position, entry.begin < position ? "overlap" : "hole");
    position = entry.end;
  }
  require(position == buffer_bytes, ErrorCode::kBadFormat,
          "{}: the tensors take {} bytes but {} follow the header (is the file {}?)", what,
          position, buffer_bytes, position > buffer_bytes ? "truncated" : "longer than it was");
}

// How the key and its value begin in a header, up to the digits. Unescaped quotes: no text inside
// of a name or a value looks like this.
const std::string kChecksumText = std::string("\"") + kChecksumKey + "\":\"xxh64:";
const std::string kNoDigits(16, '0');

// Where the digits of the checksum are in a header; nothing when there is none.
std::optional<size_t> checksum_place(std::string_view header) {
  const size_t at = header.find(kChecksumText);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t digits = at + kChecksumText.size();
  return digits + kNoDigits.size() <= header.size() ? std::optional(digits) : std::nullopt;
}

std::span<const std::byte> text_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Of `file`, whose header begins at byte 8.
void check_checksum(std::span<const std::byte> file, std::string_view header,
                    const std::string& what) {
  const std::optional<size_t> place = checksum_place(header);
  if (!place) return;
  const size_t digits = sizeof(uint64_t) + *place;
  Checksum sum;
  sum.add(file.first(digits));
  sum.add(text_bytes(kNoDigits));
  sum.add(file.subspan(digits + kNoDigits.size()));
  require(fmt::format("{:016x}", sum.value()) == header.substr(*place, kNoDigits.size()),
          ErrorCode::kBadFormat,
          "{}: the file does not fit its checksum: it was damaged or changed after it was written",
          what);
}

// Bytes of the entry's tensor; its shape comes from the file and may be absurd.
uint64_t tensor_bytes(const HeaderEntry& entry, const std::string& what) {
  uint64_t bytes = size_of(entry.dtype);
  for (int64_t extent : entry.shape) {
    require(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes),
            ErrorCode::kBadFormat, "{}: tensor '{}': shape {} overflows", what, entry.name,
            to_string(entry.shape));
  }
  return bytes;
}

}  // namespace

TensorFile parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                             const std::string& what) {
  uint64_t header_bytes = 0;
  require(bytes.size() >= sizeof header_bytes, ErrorCode::kBadFormat,
          "{}: {} bytes are too few for a safetensors file", what, bytes.size());
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  require(header_bytes <= kMaxHeaderBytes, ErrorCode::kBadFormat,
          "{}: a header of {} bytes, at most {} are read; is it a safetensors file of a model?",
          what, header_bytes, kMaxHeaderBytes);
  const std::span<const std::byte> whole = bytes;
  bytes = bytes.subspan(sizeof header_bytes);
  require(header_bytes <= bytes.size(), ErrorCode::kBadFormat,
          "{}: the header needs {} bytes, the file has {} (is it truncated?)", what, header_bytes,
          bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), header_bytes);
  require(text.starts_with('{'), ErrorCode::kBadFormat,
          "{}: not a safetensors file: its header does not begin with '{{'", what);
  check_checksum(whole, text, what);

  const JsonSize size = json_size(text);
  require(size.values <= kMaxHeaderValues, ErrorCode::kTooLarge,
          "{}: its header has {} values, at most {} are read (58,000 tensors)", what, size.values,
          kMaxHeaderValues);

  Header header = parse_safetensors_header(text, what);
  bytes = bytes.subspan(header_bytes);
  for (const HeaderEntry& entry : header.entries) {
    require(entry.begin <= entry.end, ErrorCode::kBadFormat,
            "{}: tensor '{}' begins at byte {} and ends at {}", what, entry.name, entry.begin,
            entry.end);
    const uint64_t needed = tensor_bytes(entry, what);
    require(entry.end - entry.begin == needed, ErrorCode::kBadFormat,
            "{}: tensor '{}': {} of shape {} needs {} bytes, data_offsets give {}", what,
            entry.name, to_string(entry.dtype), to_string(entry.shape), needed,
            entry.end - entry.begin);
  }
  check_layout(header.entries, bytes.size(), what);

  TensorFile file;
  file.metadata = std::move(header.metadata);
  for (HeaderEntry& entry : header.entries) {
    const auto data = bytes.subspan(entry.begin, entry.end - entry.begin);
    file.tensors[entry.name] = Tensor{entry.dtype, std::move(entry.shape), data, owner};
  }
  return file;
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  return parse_safetensors(map_file(path), path.string());
}

TensorFile parse_safetensors(const MappedFile& mapped, const std::string& what) {
  TensorFile file = parse_safetensors(mapped.bytes, mapped.owner, what);
  for (auto& [name, tensor] : file.tensors) tensor.mapped = mapped.mapped;
  return file;
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata, FileChecksum checksum) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  // Widest first keeps every tensor aligned to its elements; names break ties.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype) > size_of(b->second.dtype);
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  if (checksum == FileChecksum::kAdd) {
    header["__metadata__"][kChecksumKey] = "xxh64:" + kNoDigits;
  } else if (header.contains("__metadata__")) {
    header["__metadata__"].erase(kChecksumKey);  // of another file
  }
  uint64_t position = 0;
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    require(name != "__metadata__", ErrorCode::kInvalidArgument,
            "{}: a tensor cannot be called __metadata__", path.string());
    const uint64_t size = tensor.bytes.size();
    require(static_cast<uint64_t>(element_count(tensor.shape)) * size_of(tensor.dtype) == size,
            ErrorCode::kInvalidArgument, "{}: tensor '{}' of shape {} has {} bytes", path.string(),
            name, to_string(tensor.shape), size);
    header[name] = {{"dtype", to_string(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"data_offsets", {position, position + size}}};
    position += size;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::ordered_json::exception&) {
    fail(ErrorCode::kInvalidArgument, "{}: a tensor name or the metadata is not valid UTF-8",
         path.string());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= kMaxHeaderBytes, ErrorCode::kTooLarge,
          "{}: the header would have {} bytes, at most {} are allowed", path.string(), text.size(),
          kMaxHeaderBytes);
  const uint64_t header_bytes = text.size();
  const auto size_bytes = std::as_bytes(std::span(&header_bytes, 1));
  if (checksum == FileChecksum::kAdd) {
    Checksum sum;
    sum.add(size_bytes);
    sum.add(text_bytes(text));
    for (const auto* entry : order) sum.add(entry->second.bytes);
    text.replace(checksum_place(text).value(), kNoDigits.size(),
                 fmt::format("{:016x}", sum.value()));
  }

  write_file_atomically(path, [&](std::ostream& out) {
    out.write(reinterpret_cast<const char*>(size_bytes.data()),
              static_cast<std::streamsize>(size_bytes.size()));
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto* entry : order) {
      const auto bytes = entry->second.bytes;
      out.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    }
  });
}

}  // namespace asmlp
