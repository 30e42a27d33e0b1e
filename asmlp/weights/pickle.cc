#include "asmlp/weights/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "asmlp/core/error.h"
#include "asmlp/weights/pickle_globals.h"

namespace asmlp {
namespace {

constexpr size_t kMaxNesting = 10'000;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& what) : bytes_(bytes), what_(what) {}

  Pickle run() {
    while (!step()) {
    }
    return std::move(pickle_);
  }

 private:
  // Malformed input at the current opcode.
  [[noreturn]] void refuse(std::string_view why) const {
    fail(ErrorCode::kBadFormat, "{}: damaged pickle: {} at byte {}", what_, why, opcode_at_);
  }
  void check(bool condition, std::string_view why) const {
    if (!condition) [[unlikely]]
      refuse(why);
  }

  std::string_view take(size_t count) {
    check(count <= bytes_.size() - position_, "the end of the file");
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += count;
    return {begin, count};
  }
  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    const void* end = std::memchr(begin, '\n', bytes_.size() - position_);
    check(end != nullptr, "the end of the file");
    const auto text = take(static_cast<const char*>(end) - begin);
    take(1);
    return text;
  }

  PickleValue& push(PickleKind kind) {
    check(pickle_.values.size() < kMaxPickleValues, "too many values");
    stack_.push_back(static_cast<PickleRef>(pickle_.values.size()));
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return value;
  }
  void push_number(PickleKind kind, int64_t number) { push(kind).number = number; }
  void push_text(std::string_view text) { push(PickleKind::kText).text = text; }

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
  std::vector<PickleRef> pop_to_mark() {
    check(!marks_.empty(), "no mark");
    const std::vector<PickleRef> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()),
                                       stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  PickleValue& value(PickleRef ref) { return pickle_.values[ref]; }

  void push_tuple(size_t count) {
    std::vector<PickleRef> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push(PickleKind::kTuple).items = std::move(items);
  }
  void append(PickleKind kind, const std::vector<PickleRef>& items) {
    PickleValue& container = value(top());
    check(container.kind == kind || container.kind == PickleKind::kOpaque, "append to no list");
    check(kind != PickleKind::kDict || items.size() % 2 == 0, "a key without a value");
    if (container.kind == PickleKind::kOpaque) return;
    container.items.insert(container.items.end(), items.begin(), items.end());
  }

  bool step();
  void push_long(std::string_view digits);
  void push_storage();
  void call(PickleRef function, PickleRef arguments);
  void build();

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

// One opcode; true after STOP. Protocol 2 plus EMPTY_SET/ADDITEMS, as torch.save emits it.
bool Machine::step() {
  opcode_at_ = position_;
  const auto opcode = read<uint8_t>();
  check(stack_.size() <= kMaxPickleValues && memo_.size() <= kMaxPickleValues, "too many values");
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = read<uint8_t>();
      require(protocol == 2, ErrorCode::kUnsupported,
              "{}: pickle protocol {}; torch.save uses 2 unless told otherwise: save it again",
              what_, protocol);
      return false;
    }
    case '.':  // STOP
      pickle_.root = pop();
      check(stack_.empty() && marks_.empty(), "an early end");
      pickle_.size = position_;
      return true;
    case '(':  // MARK
      check(marks_.size() < kMaxNesting, "too many marks");
      marks_.push_back(stack_.size());
      return false;
    case 'N':
      push(PickleKind::kNone);
      return false;
    case 0x88:  // NEWTRUE
      push_number(PickleKind::kBool, 1);
      return false;
    case 0x89:  // NEWFALSE
      push_number(PickleKind::kBool, 0);
      return false;
    case 'J':  // BININT
      push_number(PickleKind::kInt, read<int32_t>());
      return false;
    case 'K':  // BININT1
      push_number(PickleKind::kInt, read<uint8_t>());
      return false;
    case 'M':  // BININT2
      push_number(PickleKind::kInt, read<uint16_t>());
      return false;
    case 0x8a:  // LONG1
      push_long(take(read<uint8_t>()));
      return false;
    case 'G':  // BINFLOAT, big endian
      push(PickleKind::kFloat).real = std::bit_cast<double>(__builtin_bswap64(read<uint64_t>()));
      return false;
    case 'X':  // BINUNICODE
      push_text(take(read<uint32_t>()));
      return false;
    case 'T':  // BINSTRING
      push_text(take(read<uint32_t>()));
      return false;
    case 'U':  // SHORT_BINSTRING
      push_text(take(read<uint8_t>()));
      return false;
    case ')':  // EMPTY_TUPLE
      push(PickleKind::kTuple);
      return false;
    case 0x85:  // TUPLE1
      push_tuple(1);
      return false;
    case 0x86:  // TUPLE2
      push_tuple(2);
      return false;
    case 0x87:  // TUPLE3
      push_tuple(3);
      return false;
    case 't': {  // TUPLE
      auto items = pop_to_mark();
      push(PickleKind::kTuple).items = std::move(items);
      return false;
    }
    case ']':  // EMPTY_LIST
      push(PickleKind::kList);
      return false;
    case 'a':  // APPEND
      append(PickleKind::kList, {pop()});
      return false;
    case 'e':  // APPENDS
      append(PickleKind::kList, pop_to_mark());
      return false;
    case 0x8f:  // EMPTY_SET
      push(PickleKind::kOpaque);
      return false;
    case 0x90:  // ADDITEMS
      append(PickleKind::kOpaque, pop_to_mark());
      return false;
    case '}':  // EMPTY_DICT
      push(PickleKind::kDict);
      return false;
    case 's': {  // SETITEM
      const PickleRef item = pop();
      const PickleRef key = pop();
      append(PickleKind::kDict, {key, item});
      return false;
    }
    case 'u':  // SETITEMS
      append(PickleKind::kDict, pop_to_mark());
      return false;
    case 'c': {  // GLOBAL module name
      const std::string_view module = line();
      const std::string_view name = line();
      check(module.size() + name.size() < 300, "an overlong name");
      // Both lines stay where they are in the pickle, one newline apart.
      push(PickleKind::kGlobal).text = {module.data(), module.size() + 1 + name.size()};
      return false;
    }
    case 'Q':  // BINPERSID
      push_storage();
      return false;
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      const PickleRef arguments = pop();
      const PickleRef function = pop();
      call(function, arguments);
      return false;
    }
    case 'b':  // BUILD
      build();
      return false;
    case 'q':  // BINPUT
      memo_[read<uint8_t>()] = top();
      return false;
    case 'r':  // LONG_BINPUT
      memo_[read<uint32_t>()] = top();
      return false;
    case 'h':    // BINGET
    case 'j': {  // LONG_BINGET
      const uint32_t index = opcode == 'h' ? read<uint8_t>() : read<uint32_t>();
      const auto found = memo_.find(index);
      check(found != memo_.end(), "an unknown memo entry");
      stack_.push_back(found->second);
      return false;
    }
    default:
      refuse(fmt::format("opcode 0x{:02x}, which torch.save does not write,", opcode));
  }
}

// Two's complement, little endian; what does not fit 64 bits is of no interest to a model.
void Machine::push_long(std::string_view digits) {
  if (digits.size() > 8) {
    push(PickleKind::kOpaque);
    return;
  }
  uint64_t number = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
  std::memcpy(&number, digits.data(), digits.size());
  push_number(PickleKind::kInt, static_cast<int64_t>(number));
}

void Machine::push_storage() {
  const PickleRef id = pop();
  const PickleValue& tuple = value(id);
  check(tuple.kind == PickleKind::kTuple && (tuple.items.size() == 5 || tuple.items.size() == 6),
        "an unknown persistent id");
  const PickleValue& tag = value(tuple.items[0]);
  check(tag.kind == PickleKind::kText && tag.text == "storage", "an unknown persistent id");
  push(PickleKind::kStorage).items = {id};
}

// What REDUCE and NEWOBJ stand for: nothing is called, the result is described.
void Machine::call(PickleRef function, PickleRef arguments) {
  check(value(function).kind == PickleKind::kGlobal, "a call of something that is no name");
  check(value(arguments).kind == PickleKind::kTuple, "a call without arguments");
  const std::string name = global_name(value(function));
  const auto& items = value(arguments).items;
  switch (role_of_global(name)) {
    case GlobalRole::kMapping: {
      push(PickleKind::kDict);
      // OrderedDict([[key, value], ...]): how Python 2 wrote it.
      if (value(arguments).items.empty()) return;
      const PickleValue& pairs = value(value(arguments).items[0]);
      if (pairs.kind != PickleKind::kList) return;
      // A shared list may be copied again and again: the copies count as values.
      copied_ += pairs.items.size();
      check(copied_ <= kMaxPickleValues, "too many values");
      std::vector<PickleRef> entries;
      for (PickleRef ref : pairs.items) {
        const PickleValue& pair = value(ref);
        const bool is_pair = pair.kind == PickleKind::kTuple || pair.kind == PickleKind::kList;
        check(is_pair && pair.items.size() == 2, "a dict of no pairs");
        entries.insert(entries.end(), pair.items.begin(), pair.items.end());
      }
      append(PickleKind::kDict, entries);
      return;
    }
    case GlobalRole::kInstance:
      push(PickleKind::kInstance);
      return;
    case GlobalRole::kOpaque:
      push(PickleKind::kOpaque);
      return;
    case GlobalRole::kFirstArgument:
      check(!items.empty(), "a call without arguments");
      stack_.push_back(items[0]);
      return;
    case GlobalRole::kTensor:
      check(items.size() >= 4, "a tensor without its description");
      push(PickleKind::kTensor).items = {arguments, function};
      return;
    case GlobalRole::kTensorSubclass:
      check(items.size() >= 3 && value(items[0]).kind == PickleKind::kGlobal &&
                value(items[0]).text != value(function).text,
            "a tensor without its description");
      call(items[0], items[2]);
      return;
    case GlobalRole::kQuantized:
      fail(ErrorCode::kUnsupported,
           "{}: holds a quantized tensor; dequantize the model in PyTorch before saving it", what_);
    case GlobalRole::kRefused:
      break;
  }
  std::string dotted = name.substr(0, 200);
  std::replace(dotted.begin(), dotted.end(), ' ', '.');
  fail(ErrorCode::kBadFormat,
       "{}: refused: it wants to call {}, which a checkpoint does not need. Nothing was executed. "
       "If "
       "you trust the file, open it in Python and keep the weights only: "
       "torch.save(torch.load(f)['model'], g)",
       what_, dotted);
}

// Object state. A dict's is bookkeeping (OrderedDict._metadata, CfgNode.__immutable__).
void Machine::build() {
  const PickleRef state = pop();
  PickleValue& object = value(top());
  check(object.kind == PickleKind::kDict || object.kind == PickleKind::kInstance ||
            object.kind == PickleKind::kOpaque || object.kind == PickleKind::kTensor,
        "state for a plain value");
  if (object.kind == PickleKind::kInstance) object.items.assign(1, state);
}

}  // namespace

std::string global_name(const PickleValue& global) {
  std::string name(global.text);
  std::replace(name.begin(), name.end(), '\n', ' ');
  return name;
}

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  if (dict.kind == PickleKind::kInstance) {
    // Its state is a plain dict; an instance in that place could point to itself.
    if (dict.items.empty() || at(dict.items[0]).kind != PickleKind::kDict) return nullptr;
    return find(at(dict.items[0]), key);
  }
  if (dict.kind != PickleKind::kDict) return nullptr;
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleValue& name = at(dict.items[i - 2]);
    if (name.kind == PickleKind::kText && name.text == key) return &at(dict.items[i - 1]);
  }
  return nullptr;
}

Pickle run_pickle(std::span<const std::byte> bytes, const std::string& what) {
  return Machine(bytes, what).run();
}

}  // namespace asmlp
