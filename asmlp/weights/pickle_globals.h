// The names a checkpoint may call, and what a call of them means here. Inside the weights layer
// only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "asmlp/core/tensor.h"

namespace asmlp {

enum class GlobalRole {
  kRefused,         // everything that is not listed
  kMapping,         // a dict: OrderedDict, CfgNode, ...
  kInstance,        // an object whose state is a dict of attributes: Namespace, ...
  kOpaque,          // harmless and of no interest: set, device, numpy's scalars, ...
  kFirstArgument,   // the call is its first argument: Size, Parameter, _codecs.encode, ...
  kTensor,          // _rebuild_tensor, _v2, _v3
  kTensorSubclass,  // _rebuild_from_type_v2(function, type, arguments, state)
  kQuantized,       // _rebuild_qtensor
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
