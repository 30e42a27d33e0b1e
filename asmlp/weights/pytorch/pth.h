// Reader of PyTorch checkpoints (torch.save): the zip format (>= 1.6) and the legacy one, pickle
// protocols 2 to 5, whole pickled models and TorchScript archives too.
//
// Builds tensors, strings, numbers and containers, and executes nothing. Anything else inside the
// file (an optimizer, an argparse.Namespace, an object of an unknown class) becomes inert data or
// is skipped; a call of a function that acts on the system (os.system and the like) is an
// Error(kBadFormat) that names it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/weights/pytorch/class_names.h"

namespace asmlp {

struct PthFile {
  // The model's tensors under their names in the file; state_dict.h says where they are looked for.
  // Strided views are materialized row-major.
  TensorMap tensors;
  // The checkpoint's `config` (the authors' yacs CfgNode), `args` and `hyper_parameters` as a JSON
  // object with plain values only, "{}" when there is none. A whole pickled model adds its
  // shift_size.
  std::string config_json = "{}";
  ClassNames classes;
  std::vector<std::string> notes;  // one sentence for every choice that was made
};

// Errors: kNotFound, kIo, kBadFormat (truncated, mutated, hostile), kUnsupported (a compressed zip
// member, a quantized tensor), kTooLarge.
// Memory is bounded: tensors take at most 4 times the file plus 16 MB (views may be expanded), the
// pickled values at most about 150 MB, and no more than 100 bytes for each byte of the pickle.
PthFile read_pth(const std::filesystem::path& path);

// The same on bytes in memory; `what` names the source in messages.
PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what);

}  // namespace asmlp
