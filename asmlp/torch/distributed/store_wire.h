// How a TokenStore and its StoreServer talk. Inside of this room only.
//
//   server: kGreeting, nonce S           (40 bytes)
//   client: nonce C, proof of "client" S C
//   server: kWelcome, proof of "server" S C; or kRefused alone, and hangs up
//   then, as often as the client likes: a frame with a request, a frame with its answer
// A frame is a length of 4 bytes (little-endian) and so many bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/torch/distributed/token.h"

namespace asmlp::dist {

inline constexpr std::string_view kGreeting = "asmlpst1";
inline constexpr char kWelcome = 'W', kRefused = 'R';
inline constexpr size_t kLargestFrame = size_t{4} << 20;  // bytes

enum class StoreOp : uint8_t { kSet, kGet, kAdd, kCompareSet, kCheck, kDelete, kCount };

// Fields of a request or answer, one after the other.
class FieldWriter {
 public:
  FieldWriter& number(int64_t value);
  FieldWriter& text(std::string_view value);
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}
  // Error(kBadFormat) past the end.
  int64_t number();
  std::string_view text();
  bool done() const { return bytes_.empty(); }

 private:
  std::string_view piece(size_t size);
  std::string_view bytes_;
};

std::string frame_of(std::string_view body);
// What the proof of one side is made of.
std::string proof_message(std::string_view side, const Nonce& server, const Nonce& client);

// The keys and their values. Any thread may ask.
class StoreTable {
 public:
  // The answer to a request; Error(kBadFormat) for one that is none.
  std::string answer(std::string_view request);

 private:
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace asmlp::dist
