// What several test programs share: where the golden files are, how far two arrays are apart, which
// error a call throws.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>

#include "asmlp/error.hpp"

namespace asmlp::test {

// The repository (source_folder.cc).
std::filesystem::path source_folder();

// A file of tests/data, e.g. data("golden/model_c8_shift5.safetensors").
inline std::filesystem::path data(const std::string& name) {
  return source_folder() / "tests" / "data" / name;
}

// CRC-32 of the bytes of `values` as zlib's, in eight hexadecimal digits: the form in which golden
// data holds what has to be equal to the bit.
template <typename Values>
std::string crc32_of(const Values& values) {
  uint32_t crc = ~0u;
  for (const std::byte byte : std::as_bytes(std::span(values))) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  char text[9];
  std::snprintf(text, sizeof text, "%08x", ~crc);
  return text;
}

// max |a - b| / max |b|; infinity when the sizes differ or a value is not finite.
inline double relative_error(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    magnitude = std::max(magnitude, std::abs(double{b[i]}));
  }
  return magnitude > 0 ? difference / magnitude : difference;
}

// The Error that `call` must throw.
template <typename Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInterrupted, "no error");
}

// The message of the Error that `call` must throw with `code`.
template <typename Call>
std::string error_of(ErrorCode code, const Call& call) {
  const Error error = error_of(call);
  EXPECT_EQ(std::string(to_string(error.code())), to_string(code)) << error.what();
  return error.what();
}

// A folder of its own that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "asmlp-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace asmlp::test
