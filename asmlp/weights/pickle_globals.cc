#include "asmlp/weights/pickle_globals.h"

#include <map>

#include "asmlp/core/error.h"

namespace asmlp {

GlobalRole role_of_global(std::string_view global) {
  using enum GlobalRole;
  static const std::map<std::string_view, GlobalRole> kRoles{
      {"collections OrderedDict", kMapping},
      {"collections Counter", kMapping},
      {"collections defaultdict", kMapping},
      {"builtins dict", kMapping},
      {"__builtin__ dict", kMapping},
      {"yacs.config CfgNode", kMapping},
      {"fvcore.common.config CfgNode", kMapping},
      {"detectron2.config.config CfgNode", kMapping},
      {"mmcv.utils.config ConfigDict", kMapping},
      {"mmengine.config.config ConfigDict", kMapping},
      {"addict.addict Dict", kMapping},
      {"easydict EasyDict", kMapping},
      {"pytorch_lightning.utilities.parsing AttributeDict", kMapping},
      {"lightning_fabric.utilities.data AttributeDict", kMapping},
      {"lightning.fabric.utilities.data AttributeDict", kMapping},

      {"argparse Namespace", kInstance},
      {"types SimpleNamespace", kInstance},
      {"mmengine.logging.history_buffer HistoryBuffer", kInstance},

      {"torch Size", kFirstArgument},
      {"torch.nn.parameter Parameter", kFirstArgument},
      {"torch.nn.parameter Buffer", kFirstArgument},
      {"torch._utils _rebuild_parameter", kFirstArgument},
      {"torch._utils _rebuild_parameter_with_state", kFirstArgument},
      {"_codecs encode", kFirstArgument},

      {"torch._utils _rebuild_tensor", kTensor},
      {"torch._utils _rebuild_tensor_v2", kTensor},
      {"torch._utils _rebuild_tensor_v3", kTensor},
      {"torch._tensor _rebuild_from_type_v2", kTensorSubclass},
      {"torch._utils _rebuild_qtensor", kQuantized},

      {"torch device", kOpaque},
      {"torch Tensor", kOpaque},
      {"builtins set", kOpaque},
      {"__builtin__ set", kOpaque},
      {"builtins frozenset", kOpaque},
      {"__builtin__ frozenset", kOpaque},
      {"builtins bytearray", kOpaque},
      {"__builtin__ bytearray", kOpaque},
      {"builtins complex", kOpaque},
      {"__builtin__ complex", kOpaque},
      {"builtins slice", kOpaque},
      {"__builtin__ slice", kOpaque},
      {"datetime datetime", kOpaque},
      {"datetime date", kOpaque},
      {"datetime timedelta", kOpaque},
      {"pathlib PosixPath", kOpaque},
      {"pathlib PurePosixPath", kOpaque},
      {"pathlib WindowsPath", kOpaque},
      {"numpy dtype", kOpaque},
      {"numpy ndarray", kOpaque},
      {"numpy.core.multiarray scalar", kOpaque},
      {"numpy._core.multiarray scalar", kOpaque},
      {"numpy.core.multiarray _reconstruct", kOpaque},
      {"numpy._core.multiarray _reconstruct", kOpaque},
  };
  const auto found = kRoles.find(global);
  return found == kRoles.end() ? kRefused : found->second;
}

std::optional<DType> storage_dtype(std::string_view global, const std::string& what) {
  static const std::map<std::string_view, DType> kStorages{
      {"torch DoubleStorage", DType::kF64}, {"torch FloatStorage", DType::kF32},
      {"torch HalfStorage", DType::kF16},   {"torch BFloat16Storage", DType::kBF16},
      {"torch LongStorage", DType::kI64},   {"torch IntStorage", DType::kI32},
      {"torch ShortStorage", DType::kI16},  {"torch CharStorage", DType::kI8},
      {"torch ByteStorage", DType::kU8},    {"torch BoolStorage", DType::kBool},
  };
  const auto found = kStorages.find(global);
  if (found != kStorages.end()) return found->second;
  if (is_untyped_storage(global)) return DType::kU8;
  require(!global.starts_with("torch ") || !global.ends_with("Storage"), ErrorCode::kUnsupported,
          "{}: a tensor in a {} cannot be read; convert it to float32 in PyTorch first", what,
          global.substr(0, 60));
  return std::nullopt;
}

bool is_untyped_storage(std::string_view global) {
  return global == "torch.storage UntypedStorage" || global == "torch.storage _UntypedStorage" ||
         global == "torch UntypedStorage";
}

std::optional<DType> dtype_of_global(std::string_view global) {
  static const std::map<std::string_view, DType> kTypes{
      {"torch float64", DType::kF64},   {"torch double", DType::kF64},
      {"torch float32", DType::kF32},   {"torch float", DType::kF32},
      {"torch float16", DType::kF16},   {"torch half", DType::kF16},
      {"torch bfloat16", DType::kBF16}, {"torch int64", DType::kI64},
      {"torch long", DType::kI64},      {"torch int32", DType::kI32},
      {"torch int", DType::kI32},       {"torch int16", DType::kI16},
      {"torch short", DType::kI16},     {"torch int8", DType::kI8},
      {"torch uint8", DType::kU8},      {"torch bool", DType::kBool},
  };
  const auto found = kTypes.find(global);
  if (found == kTypes.end()) return std::nullopt;
  return found->second;
}

}  // namespace asmlp
