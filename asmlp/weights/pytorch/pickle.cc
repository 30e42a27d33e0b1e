#include "asmlp/weights/pytorch/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "asmlp/weights/pytorch/pickle_machine.h"

namespace asmlp {

std::string_view PickleMachine::line() {
  const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
  const void* end =
      position_ < bytes_.size() ? std::memchr(begin, '\n', bytes_.size() - position_) : nullptr;
  check(end != nullptr, "the end of the file");
  const auto text = take(static_cast<size_t>(static_cast<const char*>(end) - begin));
  take(1);
  return text;
}

std::vector<PickleRef> PickleMachine::pop_to_mark() {
  check(!marks_.empty(), "no mark");
  const std::vector<PickleRef> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()),
                                     stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void PickleMachine::push_tuple(size_t count) {
  std::vector<PickleRef> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  push(PickleKind::kTuple).items = std::move(items);
}

void PickleMachine::append(PickleKind kind, const std::vector<PickleRef>& items) {
  PickleValue& container = value(top());
  check(kind != PickleKind::kDict || items.size() % 2 == 0, "a key without a value");
  // A class of its own that is a list or a dict shows it here.
  if (container.kind == PickleKind::kInstance && container.items.empty()) container.kind = kind;
  check(container.kind == kind || container.kind == PickleKind::kOpaque, "append to no list");
  if (container.kind == PickleKind::kOpaque) return;
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void PickleMachine::recall(uint32_t index) {
  const auto found = memo_.find(index);
  check(found != memo_.end(), "an unknown memo entry");
  stack_.push_back(found->second);
}

bool PickleMachine::step() {
  opcode_at_ = position_;
  const auto opcode = read<uint8_t>();
  check(stack_.size() <= kMaxPickleValues && memo_.size() <= kMaxPickleValues, "too many values");
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = read<uint8_t>();
      require(protocol <= 5, ErrorCode::kUnsupported,
              "{}: pickle protocol {}, 2 to 5 are read; save the file again with torch.save", what_,
              protocol);
      return false;
    }
    case 0x95:  // FRAME: how many bytes may be read ahead
      check(read<uint64_t>() <= bytes_.size() - position_, "the end of the file");
      return false;
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
    case 0x8b: {  // LONG4
      const auto size = read<int32_t>();
      check(size >= 0, "a negative size");
      push_long(take(static_cast<uint32_t>(size)));
      return false;
    }
    case 'G':  // BINFLOAT, big endian
      push(PickleKind::kFloat).real = std::bit_cast<double>(__builtin_bswap64(read<uint64_t>()));
      return false;
    case 'X':  // BINUNICODE
    case 'T':  // BINSTRING
      push_text(PickleKind::kText, take(read<uint32_t>()));
      return false;
    case 'U':   // SHORT_BINSTRING
    case 0x8c:  // SHORT_BINUNICODE
      push_text(PickleKind::kText, take(read<uint8_t>()));
      return false;
    case 0x8d:  // BINUNICODE8
      push_text(PickleKind::kText, take(read<uint64_t>()));
      return false;
    case 'C':  // SHORT_BINBYTES
      push_text(PickleKind::kBytes, take(read<uint8_t>()));
      return false;
    case 'B':  // BINBYTES
      push_text(PickleKind::kBytes, take(read<uint32_t>()));
      return false;
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      push_text(PickleKind::kBytes, take(read<uint64_t>()));
      return false;
    case ')':  // EMPTY_TUPLE
      push(PickleKind::kTuple);
      return false;
    case 0x85:  // TUPLE1
    case 0x86:  // TUPLE2
    case 0x87:  // TUPLE3
      push_tuple(opcode - size_t{0x84});
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
    case 0x91:  // FROZENSET
      pop_to_mark();
      push(PickleKind::kOpaque);
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
    case 0x93: {  // STACK_GLOBAL
      const PickleRef name = pop();
      push_global(pop(), name);
      return false;
    }
    case 'Q':  // BINPERSID
      push_persistent();
      return false;
    case 0x92:  // NEWOBJ_EX: with named arguments, too
      pop();
      [[fallthrough]];
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
      memoize(read<uint8_t>());
      return false;
    case 'r':  // LONG_BINPUT
      memoize(read<uint32_t>());
      return false;
    case 0x94:  // MEMOIZE
      memoize(static_cast<uint32_t>(memo_.size()));
      return false;
    case 'h':  // BINGET
      recall(read<uint8_t>());
      return false;
    case 'j':  // LONG_BINGET
      recall(read<uint32_t>());
      return false;
    case '0':  // POP
      // A mark is popped like a value.
      if (!marks_.empty() && stack_.size() == marks_.back()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return false;
    case '1':  // POP_MARK
      pop_to_mark();
      return false;
    case '2':  // DUP
      stack_.push_back(top());
      return false;
    default:
      old_step(opcode);
      return false;
  }
}

void PickleMachine::old_step(uint8_t opcode) {
  switch (opcode) {
    case 'I': {  // INT, or a boolean as 00 and 01
      const std::string_view text = line();
      int64_t number = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
      check(read.ec == std::errc() && read.ptr == text.data() + text.size(), "no number");
      const bool boolean = text == "00" || text == "01";
      push_number(boolean ? PickleKind::kBool : PickleKind::kInt, number);
      return;
    }
    case 'L': {  // LONG: digits and an L
      const std::string_view text = line();
      int64_t number = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
      if (read.ec != std::errc()) return push_text(PickleKind::kOpaque, text);
      return push_number(PickleKind::kInt, number);
    }
    case 'F': {  // FLOAT
      const std::string_view text = line();
      double number = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
      check(read.ec == std::errc(), "no number");
      push(PickleKind::kFloat).real = number;
      return;
    }
    case 'S':  // STRING, in quotes
    case 'V':  // UNICODE
    {
      std::string_view text = line();
      if (opcode == 'S') {
        check(text.size() >= 2 && text.front() == text.back(), "text without quotes");
        text = text.substr(1, text.size() - 2);
      }
      return push_text(PickleKind::kText, text);
    }
    case 'd': {  // DICT
      auto items = pop_to_mark();
      check(items.size() % 2 == 0, "a key without a value");
      push(PickleKind::kDict).items = std::move(items);
      return;
    }
    case 'l': {  // LIST
      auto items = pop_to_mark();
      push(PickleKind::kList).items = std::move(items);
      return;
    }
    case 'p':  // PUT
      return memoize(decimal());
    case 'g':  // GET
      return recall(decimal());
    default:
      refuse(fmt::format("opcode 0x{:02x}, which torch.save does not write,", opcode));
  }
}

uint32_t PickleMachine::decimal() {
  const std::string_view text = line();
  uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  check(read.ec == std::errc() && read.ptr == text.data() + text.size(), "no number");
  return number;
}

// Two's complement, little endian; what does not fit 64 bits is of no interest to a model.
void PickleMachine::push_long(std::string_view digits) {
  if (digits.size() > 8) return push_text(PickleKind::kOpaque, digits);
  uint64_t number = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
  std::memcpy(&number, digits.data(), digits.size());
  push_number(PickleKind::kInt, static_cast<int64_t>(number));
}

// Two texts, which stay where they are: a copy for every use would let a small file grow.
void PickleMachine::push_global(PickleRef module, PickleRef name) {
  check(value(module).kind == PickleKind::kText && value(name).kind == PickleKind::kText,
        "a name that is no text");
  check(value(module).text.size() + value(name).text.size() < 300, "an overlong name");
  push(PickleKind::kGlobal).items = {module, name};
}

const PickleValue* Pickle::dict_of(const PickleValue& value) const {
  if (value.kind == PickleKind::kDict) return &value;
  if (value.kind != PickleKind::kInstance || value.items.empty()) return nullptr;
  // The state of an object with __slots__ is a pair: its __dict__ or None, and the slots.
  const PickleValue* state = &at(value.items[0]);
  if (state->kind == PickleKind::kTuple && state->items.size() == 2) {
    const PickleValue& first = at(state->items[0]);
    state = first.kind == PickleKind::kNone ? &at(state->items[1]) : &first;
  }
  // An instance in that place could point to itself.
  return state->kind == PickleKind::kDict ? state : nullptr;
}

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  const PickleValue* own = dict_of(dict);
  if (own == nullptr) return nullptr;
  for (size_t i = own->items.size(); i >= 2; i -= 2) {
    const PickleValue& name = at(own->items[i - 2]);
    if (name.kind == PickleKind::kText && name.text == key) return &at(own->items[i - 1]);
  }
  return nullptr;
}

std::string Pickle::global_name(const PickleValue& global) const {
  if (global.items.size() == 2) {
    return fmt::format("{} {}", at(global.items[0]).text, at(global.items[1]).text);
  }
  std::string name(global.text);
  std::replace(name.begin(), name.end(), '\n', ' ');
  return name;
}

std::string Pickle::class_name(const PickleValue& object) const {
  const auto ref = static_cast<size_t>(object.number) - 1;
  if (object.number < 1 || ref >= values.size() || values[ref].kind != PickleKind::kGlobal) {
    return "";
  }
  std::string name = global_name(values[ref]).substr(0, 200);
  std::replace(name.begin(), name.end(), ' ', '.');
  return name;
}

Pickle run_pickle(std::span<const std::byte> bytes, const std::string& what) {
  return PickleMachine(bytes, what).run();
}

}  // namespace asmlp
