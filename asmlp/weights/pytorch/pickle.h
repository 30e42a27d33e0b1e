// A pickle machine that executes nothing: it turns opcodes of the protocols 2 to 5 into plain
// values. Inside the weights layer only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asmlp {

enum class PickleKind : uint8_t {
  kNone,
  kBool,      // number
  kInt,       // number
  kFloat,     // real
  kText,      // text
  kBytes,     // text
  kTuple,     // items
  kList,      // items (deque and other lists too)
  kDict,      // items: key, value, key, value ... (OrderedDict, CfgNode and other mappings too)
  kGlobal,    // a name that nobody called: global_name()
  kStorage,   // items[0]: the persistent id, a tuple
  kTensor,    // items[0]: the arguments of _rebuild_tensor*, a tuple
  kInstance,  // an inert object; items[0]: its state once it has one (Namespace: a dict)
  kOpaque,    // a value nobody here needs: a set, a device, a numpy scalar; a long integer (text)
};

using PickleRef = uint32_t;  // index into Pickle::values

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  int64_t number = 0;  // of a kInstance or kOpaque: 1 + the kGlobal that was called, 0 if none was
  double real = 0;
  std::string_view text;  // points into the pickled bytes
  std::vector<PickleRef> items;
};

struct Pickle {
  std::vector<PickleValue> values;
  PickleRef root = 0;
  size_t size = 0;  // bytes up to and including STOP

  const PickleValue& at(PickleRef ref) const { return values[ref]; }
  // The value under `key` in a dict (the last one, as in Python) or an instance's state; nullptr
  // when there is none.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;
  // The dict itself, or that of an instance's attributes; nullptr for everything else.
  const PickleValue* dict_of(const PickleValue& value) const;
  // "module name" of a kGlobal.
  std::string global_name(const PickleValue& global) const;
  // "module.name" of the class of a kInstance or kOpaque, "" when it is not known; at most 200
  // bytes.
  std::string class_name(const PickleValue& object) const;
};

// Limits: a pickle with more is refused. A value takes about 100 bytes, so they bound the memory.
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;

// Runs one pickle from the start of `bytes`, which must outlive the result. Nothing is ever called:
// pickle_globals.h says what a call is taken for. Errors: kBadFormat, naming the opcode's position
// or the function that a model has no use for (os.system and the like).
Pickle run_pickle(std::span<const std::byte> bytes, const std::string& what);

}  // namespace asmlp
