// What a call of a name in a checkpoint stands for. Nothing is called either way: a class that is
// not listed gives an inert object, and only functions that a checkpoint has no use for are
// refused, because such a file is an attack. Inside the weights layer only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "asmlp/core/tensor.h"

namespace asmlp {

enum class GlobalRole {
  kRefused,        // runs code, touches files or the system: os.system, eval, pickle.loads, ...
  kMapping,        // a dict: OrderedDict, CfgNode, ...
  kList,           // a list that is filled later: deque, ...
  kInstance,       // an object whose state is a dict of attributes: Namespace, and every other name
  kOpaque,         // harmless and of no interest: set, device, numpy's scalars, ...
  kFirstArgument,  // the call is its first argument: Size, Parameter, _codecs.encode, ...
  kReconstructor,  // copyreg's way to make an object of its first argument
  kAttribute,      // getattr
  kTensor,         // _rebuild_tensor, _v2, _v3
  kTensorSubclass,  // _rebuild_from_type_v2(function, type, arguments, state)
};

// Of "module name" as the pickle spells it.
GlobalRole role_of_global(std::string_view global);

// The element type of "torch FloatStorage" and so on; nothing for names that are no storage.
// Quantized and complex storages are Error(kUnsupported).
std::optional<DType> storage_dtype(std::string_view global, const std::string& what);

// Whether the storage counts bytes and leaves the type to the tensor.
bool is_untyped_storage(std::string_view global);

// The type of "torch float32" and so on.
std::optional<DType> dtype_of_global(std::string_view global);

}  // namespace asmlp
