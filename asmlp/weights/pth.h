// Reader of PyTorch checkpoints (torch.save): the zip format (>= 1.6) and the legacy one.
//
// Interprets only the pickle opcodes that torch.save emits, with an allow-list of globals; builds
// tensors, strings, numbers and containers, and executes nothing. Anything else inside the file
// (an optimizer, an argparse.Namespace, a yacs CfgNode) becomes inert data or is skipped; a REDUCE
// of a global outside the allow-list is an Error(kBadFormat) that names the global.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "asmlp/core/tensor.h"

namespace asmlp {

struct PthFile {
  // The model's state dict, found in this order: state_dict_ema, model_ema, state_dict, model, else
  // the outermost dict; prefixes "module." and "_orig_mod." are stripped. Strided views are
  // materialized row-major.
  TensorMap tensors;
  // The checkpoint's `config` (the authors' yacs CfgNode), `args` and `hyper_parameters` as a JSON
  // object with plain values only, "{}" when there is none.
  std::string config_json = "{}";
};

// Errors: kNotFound, kIo, kBadFormat (truncated, mutated, hostile), kUnsupported (a compressed zip
// member, a quantized tensor), kTooLarge.
// Memory is bounded: tensors take at most 4 times the file plus 16 MB (views may be expanded), the
// pickled values at most about 150 MB, and no more than 100 bytes for each byte of the pickle.
PthFile read_pth(const std::filesystem::path& path);

// The same on bytes in memory; `what` names the source in messages.
PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what);

}  // namespace asmlp
