// asmlp: the weights of models as plain arrays, for programs that take them from another library
// (PyTorch, numpy) or hand them to one. Part of the C++ API: <asmlp/asmlp.hpp> says what holds of
// errors, but does not include it.
//
//   for (const auto& t : asmlp::load_weights("model.safetensors").tensors) use(t.name, t.shape);
//
// Names are the official state dict's: "patch_embed.proj.weight", "layers.0.blocks.0.fc1.weight".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "asmlp/export.h"

namespace asmlp {

// A parameter: fp32 values, row-major.
struct WeightTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;  // as many as the product of the shape
};

// The same in memory that somebody else keeps.
struct WeightView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* values;  // as many as the product of the shape
};

struct Weights {
  std::string description;            // JSON, as ModelInfo::description
  std::vector<WeightTensor> tensors;  // exactly the model's parameters, by name
  std::vector<std::string> notes;     // one sentence for everything that was assumed
};

// What the tensors do not say; as in LoadOptions.
struct WeightOptions {
  int shift_h = 0;
  int shift_w = 0;
  std::string config;
};

// Reads a .safetensors or PyTorch .pth file of any task (load_model has the same rules and errors).
// Halves and bf16 become fp32, exactly; int8 layers the fp32 numbers that they stand for, which a
// note says.
ASMLP_API Weights load_weights(const std::filesystem::path& file,
                               const WeightOptions& options = {});

// Writes a self-describing .safetensors file that everything of this project reads, in one step: an
// existing file is replaced or stays as it is. Names may stand behind a prefix ("module.",
// "model."). Without a config the architecture is found from the shapes, as `asmlp convert` does;
// the sentences that are returned say what was assumed. Errors: kInvalidArgument (a name twice,
// options, another ending than .safetensors), kMismatch (tensors that are no such model),
// kBadFormat (values that are not finite), kIo.
ASMLP_API std::vector<std::string> save_weights(const std::filesystem::path& file,
                                                const std::vector<WeightView>& tensors,
                                                const WeightOptions& options = {});

}  // namespace asmlp
