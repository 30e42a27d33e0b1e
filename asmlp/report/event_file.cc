#include "asmlp/report/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>

#include "asmlp/core/error.h"
#include "asmlp/report/crc32c.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding): a field is its number
// and wire type, then the value.
enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

template <typename T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string tag_of(int field, WireType type) {
  return varint(static_cast<uint64_t>(field) << 3 | type);
}
std::string integer(int field, int64_t value) {
  return tag_of(field, kVarint) + varint(static_cast<uint64_t>(value));
}
std::string number(int field, double value) {
  return tag_of(field, kFixed64) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string number(int field, float value) {
  return tag_of(field, kFixed32) + little_endian(std::bit_cast<uint32_t>(value));
}
// Strings and messages alike.
std::string bytes(int field, std::string_view content) {
  return tag_of(field, kBytes) + varint(content.size()) + std::string(content);
}

// SummaryMetadata: whose plugin shows the value.
std::string metadata(std::string_view plugin, std::string_view description, int data_class) {
  std::string message = bytes(1, bytes(1, plugin));
  if (!description.empty()) message += bytes(3, description);
  return message + integer(4, data_class);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

fs::path new_path(const fs::path& folder) {
  int64_t time = static_cast<int64_t>(wall_time());
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    int64_t other = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), other);
    // Not past any time: names have ten digits until 2286.
    if (other < 9'999'999'999) time = std::max(time, other + 1);
  }
  char host[256] = "localhost";
  if (::gethostname(host, sizeof host) != 0) std::fill_n(host, 1, '\0');
  host[sizeof host - 1] = '\0';
  static std::atomic<unsigned> count{0};
  return folder / fmt::format("{}{:010}.{}.{}.{}", kPrefix, time, host, ::getpid(), count++);
}

std::string record(const std::string& data) {
  const std::string length = little_endian(uint64_t{data.size()});
  return length + little_endian(masked_crc32c(length)) + data + little_endian(masked_crc32c(data));
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::optional<int64_t> first_step)
    : file_(new_path(folder), AppendFile::Open::kCreate) {
  add_event(bytes(3, "brain.Event:2"), 0);  // Event.file_version
  if (first_step) add_event(bytes(7, integer(1, 1 /* START */)), *first_step);  // .session_log
}

void EventFile::add_event(const std::string& fields, int64_t step) {
  std::string event = number(1, wall_time());
  if (step != 0) event += integer(2, step);
  file_.add(record(event + fields));
}

void EventFile::scalar(const ScalarTag& tag, int64_t step, double value) {
  std::string message = bytes(1, tag.name) + number(2, static_cast<float>(value));
  if (described_.insert(tag.name).second) {
    message += bytes(9, metadata("scalars", tag.description, 1 /* DATA_CLASS_SCALAR */));
  }
  add_event(bytes(5, bytes(1, message)), step);  // Event.summary.value
}

void EventFile::text(const std::string& tag, int64_t step, const std::string& markdown) {
  const std::string shape = bytes(2, integer(1, 1));  // one dimension of one element
  const std::string tensor = integer(1, 7 /* DT_STRING */) + bytes(2, shape) + bytes(8, markdown);
  const std::string message = bytes(1, tag + "/text_summary") + bytes(8, tensor) +
                              bytes(9, metadata("text", "", 2 /* DATA_CLASS_TENSOR */));
  add_event(bytes(5, bytes(1, message)), step);
}

void EventFile::image(const ScalarTag& tag, int64_t step, int height, int width,
                      std::string_view encoded) {
  const std::string picture =
      integer(1, height) + integer(2, width) + integer(3, 3 /* RGB */) + bytes(4, encoded);
  std::string message = bytes(1, tag.name) + bytes(4, picture);
  if (described_.insert(tag.name).second) {
    message += bytes(9, metadata("images", tag.description, 3 /* DATA_CLASS_BLOB_SEQUENCE */));
  }
  add_event(bytes(5, bytes(1, message)), step);
}

}  // namespace asmlp
