#include "asmlp/weights/pytorch/pickle_globals.h"

#include <algorithm>
#include <map>
#include <set>

#include "asmlp/core/error.h"

namespace asmlp {

namespace {

// Modules whose functions act on the system or run code.
bool is_dangerous_module(std::string_view module) {
  // With everything below them.
  static const std::set<std::string_view> kPackages{
      "os",        "posix",  "nt",       "subprocess", "sys", "ctypes",   "_ctypes",
      "importlib", "urllib", "requests", "sqlite3",    "pip", "builtins", "__builtin__",
  };
  // These names may be folders of a user's own code, too.
  static const std::set<std::string_view> kModules{
      "shutil",     "pty",     "socket",  "imp",       "runpy",       "code",      "codeop",
      "commands",   "popen2",  "pickle",  "_pickle",   "cPickle",     "marshal",   "signal",
      "webbrowser", "timeit",  "pdb",     "bdb",       "cProfile",    "profile",   "doctest",
      "ensurepip",  "venv",    "ftplib",  "telnetlib", "http.client", "httplib",   "smtplib",
      "tempfile",   "io",      "_io",     "operator",  "_operator",   "posixpath", "ntpath",
      "zipimport",  "pkgutil", "urllib2", "torch.hub",
  };
  return kModules.contains(module) || kPackages.contains(module.substr(0, module.find('.')));
}

// Of the modules above: types whose objects hold values only.
bool is_inert_builtin(std::string_view module, std::string_view name) {
  static const std::set<std::string_view> kTypes{
      "set",       "frozenset", "bytearray", "complex",  "slice",          "range",
      "xrange",    "tuple",     "int",       "long",     "float",          "str",
      "bytes",     "unicode",   "bool",      "object",   "type",           "iter",
      "enumerate", "zip",       "reversed",  "Ellipsis", "NotImplemented",
  };
  if (module != "builtins" && module != "__builtin__") return false;
  // Errors and warnings: ValueError, UserWarning, ...
  return kTypes.contains(name) || name.ends_with("Error") || name.ends_with("Warning");
}

}  // namespace

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

      {"collections deque", kList},
      {"builtins list", kList},
      {"__builtin__ list", kList},

      {"torch Size", kFirstArgument},
      {"torch.nn.parameter Parameter", kFirstArgument},
      {"torch.nn.parameter Buffer", kFirstArgument},
      {"torch._utils _rebuild_parameter", kFirstArgument},
      {"torch._utils _rebuild_parameter_with_state", kFirstArgument},
      {"torch._utils _rebuild_device_tensor_from_cpu_tensor", kFirstArgument},
      {"_codecs encode", kFirstArgument},
      {"torch.jit._pickle restore_type_tag", kFirstArgument},
      {"torch.jit._pickle build_intlist", kFirstArgument},
      {"torch.jit._pickle build_doublelist", kFirstArgument},
      {"torch.jit._pickle build_boollist", kFirstArgument},
      {"torch.jit._pickle build_tensorlist", kFirstArgument},
      {"copyreg _reconstructor", kReconstructor},
      {"copy_reg _reconstructor", kReconstructor},
      {"copyreg __newobj__", kReconstructor},

      {"torch._utils _rebuild_tensor", kTensor},
      {"torch._utils _rebuild_tensor_v2", kTensor},
      {"torch._utils _rebuild_tensor_v3", kTensor},
      {"torch._tensor _rebuild_from_type_v2", kTensorSubclass},
      {"builtins getattr", kAttribute},
      {"__builtin__ getattr", kAttribute},

      {"torch load", kRefused},
      {"torch.serialization load", kRefused},
      {"numpy load", kRefused},
      {"codecs open", kRefused},
      {"dill loads", kRefused},
      {"joblib load", kRefused},

      {"_io BytesIO", kOpaque},
      {"torch device", kOpaque},
      {"torch Tensor", kOpaque},
      {"numpy dtype", kOpaque},
      {"numpy ndarray", kOpaque},
      {"numpy.core.multiarray scalar", kOpaque},
      {"numpy._core.multiarray scalar", kOpaque},
      {"numpy.core.multiarray _reconstruct", kOpaque},
      {"numpy._core.multiarray _reconstruct", kOpaque},
  };
  const auto found = kRoles.find(global);
  if (found != kRoles.end()) return found->second;
  const size_t space = std::min(global.find(' '), global.size());
  const std::string_view module = global.substr(0, space);
  const std::string_view name = global.substr(std::min(space + 1, global.size()));
  if (is_inert_builtin(module, name)) return kOpaque;
  if (is_dangerous_module(module)) return kRefused;
  return kInstance;
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
