// A pickle machine that executes nothing: it turns the opcodes torch.save emits into plain values.
// Inside the weights layer only.
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
  kTuple,     // items
  kList,      // items
  kDict,      // items: key, value, key, value ... (OrderedDict, CfgNode and other mappings too)
  kGlobal,    // text "module\nname", a name that nobody called (global_name() has a space)
  kStorage,   // items[0]: the persistent id, a tuple
  kTensor,    // items[0]: the arguments of _rebuild_tensor*, a tuple
  kInstance,  // an inert object; items[0]: its state once it has one (Namespace: a dict)
  kOpaque,    // a value nobody here needs: a set, a device, a long integer, a numpy scalar
};

using PickleRef = uint32_t;  // index into Pickle::values

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  int64_t number = 0;
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
};

// "module name" of a kGlobal.
std::string global_name(const PickleValue& global);

// Limits: a pickle with more is refused. A value takes about 100 bytes, so they bound the memory.
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;

// Runs one pickle from the start of `bytes`, which must outlive the result. A name is looked up in
// the allow-list (pickle_globals.h) when it is called, never executed. Errors: kBadFormat, naming
// the opcode's position or the name that is not allowed; kUnsupported for quantized tensors.
Pickle run_pickle(std::span<const std::byte> bytes, const std::string& what);

}  // namespace asmlp
