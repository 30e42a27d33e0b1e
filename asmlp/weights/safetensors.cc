#include "asmlp/weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/safetensors_header.h"

namespace asmlp {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;

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
          "{}: not a safetensors file: its header would have {} bytes, at most {} are allowed",
          what, header_bytes, kMaxHeaderBytes);
  bytes = bytes.subspan(sizeof header_bytes);
  require(header_bytes <= bytes.size(), ErrorCode::kBadFormat,
          "{}: the header needs {} bytes, the file has {} (is it truncated?)", what, header_bytes,
          bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), header_bytes);
  require(text.starts_with('{'), ErrorCode::kBadFormat,
          "{}: not a safetensors file: its header does not begin with '{{'", what);

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
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  // Widest first keeps every tensor aligned to its elements; names break ties.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype) > size_of(b->second.dtype);
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
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

  write_file_atomically(path, [&](std::ostream& out) {
    const uint64_t header_bytes = text.size();
    out.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto* entry : order) {
      const auto bytes = entry->second.bytes;
      out.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    }
  });
}

}  // namespace asmlp
