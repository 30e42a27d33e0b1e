// The state of a pickle machine; pickle.cc has the opcodes, pickle_calls.cc what calls stand for.
// Inside the weights layer only.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/weights/pytorch/pickle.h"

namespace asmlp {

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& what)
      : bytes_(bytes), what_(what) {}

  Pickle run() {
    while (!step()) {
    }
    return std::move(pickle_);
  }

 private:
  static constexpr size_t kMaxNesting = 10'000;

  // Malformed input at the current opcode.
  [[noreturn]] void refuse(std::string_view why) const {
    fail(ErrorCode::kBadFormat, "{}: damaged pickle: {} at byte {}", what_, why, opcode_at_);
  }
  void check(bool condition, std::string_view why) const {
    if (!condition) [[unlikely]]
      refuse(why);
  }

  std::string_view take(uint64_t count) {
    check(count <= bytes_.size() - position_, "the end of the file");
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += count;
    return {begin, static_cast<size_t>(count)};
  }
  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  // Up to the end of the line, which is passed over.
  std::string_view line();

  PickleValue& push(PickleKind kind) {
    check(pickle_.values.size() < kMaxPickleValues, "too many values");
    stack_.push_back(static_cast<PickleRef>(pickle_.values.size()));
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return value;
  }
  void push_number(PickleKind kind, int64_t number) { push(kind).number = number; }
  void push_text(PickleKind kind, std::string_view text) { push(kind).text = text; }
  void push_object(PickleKind kind, PickleRef function) {
    push(kind).number = function + int64_t{1};
  }

  // Nothing below the topmost mark may be popped: it belongs to the container under construction.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleRef pop() {
    check(stack_.size() > floor(), "an empty stack");
    const PickleRef top = stack_.back();
    stack_.pop_back();
    return top;
  }
  PickleRef top() const {
    check(stack_.size() > floor(), "an empty stack");
    return stack_.back();
  }
  std::vector<PickleRef> pop_to_mark();
  PickleValue& value(PickleRef ref) { return pickle_.values[ref]; }

  void push_tuple(size_t count);
  // Adds to the topmost value: a list (kList), a dict (kDict) or a set (kOpaque).
  void append(PickleKind kind, const std::vector<PickleRef>& items);

  // One opcode; true after STOP.
  bool step();
  // Opcodes that only the protocols 0 and 1 use.
  void old_step(uint8_t opcode);
  void memoize(uint32_t index) { memo_[index] = top(); }
  void recall(uint32_t index);
  uint32_t decimal();
  void push_long(std::string_view digits);
  void push_global(PickleRef module, PickleRef name);
  void push_persistent();
  // What REDUCE and NEWOBJ stand for: nothing is called, the result is described.
  void call(PickleRef function, PickleRef arguments);
  void call_mapping(const std::vector<PickleRef>& arguments);
  void call_getattr(PickleRef function, const std::vector<PickleRef>& arguments);
  // Object state. A dict's is bookkeeping (OrderedDict._metadata, CfgNode.__immutable__).
  void build();
  [[noreturn]] void refuse_call(const std::string& name) const;

  std::span<const std::byte> bytes_;
  const std::string& what_;
  size_t position_ = 0;
  size_t opcode_at_ = 0;
  Pickle pickle_;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleRef> memo_;
  size_t copied_ = 0;
};

}  // namespace asmlp
