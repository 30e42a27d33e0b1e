#include "asmlp/torch/distributed/store_wire.h"

#include <charconv>
#include <cstring>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

// Values that add() counts are texts, as in LibTorch's own stores.
int64_t count_of(const std::string& text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

FieldWriter& FieldWriter::number(int64_t value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  return *this;
}

FieldWriter& FieldWriter::text(std::string_view value) {
  number(std::ssize(value));
  bytes_ += value;
  return *this;
}

std::string_view FieldReader::piece(size_t size) {
  require(size <= bytes_.size(), ErrorCode::kBadFormat, "a message of the store is too short");
  const std::string_view result = bytes_.substr(0, size);
  bytes_.remove_prefix(size);
  return result;
}

int64_t FieldReader::number() {
  int64_t value;
  std::memcpy(&value, piece(sizeof value).data(), sizeof value);
  return value;
}

std::string_view FieldReader::text() { return piece(static_cast<size_t>(number())); }

std::string frame_of(std::string_view body) {
  require(body.size() <= kLargestFrame, ErrorCode::kTooLarge,
          "a message of {} bytes to the store, at most {} are taken", body.size(), kLargestFrame);
  const auto size = static_cast<uint32_t>(body.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + std::string(body);
}

std::string proof_message(std::string_view side, const Nonce& server, const Nonce& client) {
  std::string message(side);
  message.append(server.begin(), server.end());
  message.append(client.begin(), client.end());
  return message;
}

std::string StoreTable::answer(std::string_view request) {
  FieldReader in(request);
  FieldWriter out;
  const auto op = static_cast<StoreOp>(in.number());
  const std::lock_guard guard(mutex_);
  switch (op) {
    case StoreOp::kSet: {
      const std::string key(in.text());
      values_[key] = in.text();
      break;
    }
    case StoreOp::kGet: {
      const auto found = values_.find(in.text());
      out.number(found != values_.end());
      if (found != values_.end()) out.text(found->second);
      break;
    }
    case StoreOp::kAdd: {
      std::string& value = values_[std::string(in.text())];
      const int64_t sum = count_of(value) + in.number();
      value = std::to_string(sum);
      out.number(sum);
      break;
    }
    case StoreOp::kCompareSet: {
      const std::string key(in.text());
      const std::string_view expected = in.text(), desired = in.text();
      const auto found = values_.find(key);
      if (found == values_.end() ? expected.empty() : found->second == expected) {
        out.text(values_[key] = desired);
      } else {
        out.text(found == values_.end() ? expected : found->second);
      }
      break;
    }
    case StoreOp::kCheck: {
      bool all = true;
      while (!in.done()) all = values_.contains(in.text()) && all;
      out.number(all);
      break;
    }
    case StoreOp::kDelete:
      out.number(static_cast<int64_t>(values_.erase(std::string(in.text()))));
      break;
    case StoreOp::kCount:
      out.number(std::ssize(values_));
      break;
    default:
      fail(ErrorCode::kBadFormat, "an unknown request to the store");
  }
  return out.take();
}

}  // namespace asmlp::dist
