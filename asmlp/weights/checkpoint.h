// Models on disk: a spec together with tensors that fit it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "asmlp/core/tensor.h"
#include "asmlp/model/spec.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp {

struct Checkpoint {
  ModelSpec spec;
  // Exactly the names and shapes of parameter_table(spec.config), and the companions of quantized
  // layers (quantized.h).
  TensorMap tensors;
};

// Throws Error(kMismatch) unless `tensors` has exactly the parameters of `config` and what goes
// with quantized ones (quantization_problem). The message names the first missing key, unexpected
// key or wrong shape (expected and found) and counts the others.
void check_parameters(const Config& config, const TensorMap& tensors, const std::string& what);

// Finds in_chans, num_classes, embed_dim, depths, patch_size, mlp_ratio and patch_norm from the
// shapes. shift_size, dilation, padding and connection leave no trace in the weights: they are
// taken from `base`. Error(kMismatch) when the tensors are not an AS-MLP's, saying which key is
// missing.
Config infer_config(const TensorMap& tensors, const Config& base, const std::string& what);

// Reads a model from what read_weights reads (weight_file.h). The spec comes
// from, in this order: `spec` when given; the file's description (model/description.h);
// infer_config on the shapes. Then the tensors are checked against it, and their values for numbers
// that are not finite (kBadFormat). Detection and segmentation
// checkpoints of the authors (keys under "backbone.") give their backbone: num_classes 0, extra
// norm0..3 dropped. `notes` (may be null) receives one sentence for everything that was assumed,
// e.g. the shift size.
struct CheckpointOptions {
  std::optional<ModelSpec> spec;        // overrides what the file says
  std::optional<ShiftSize> shift_size;  // for files that do not say it
  // Take the backbone of a file that describes itself as a detector or segmentor, too, as a
  // classifier without head, instead of refusing it.
  bool backbone_of_any_task = false;
  NonFinite non_finite = NonFinite::kRefuse;  // weights that are NaN or infinite
};
Checkpoint load_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options = {},
                           std::vector<std::string>* notes = nullptr);

// The same for a file that was read.
Checkpoint load_checkpoint(WeightFile file, const CheckpointOptions& options = {},
                           std::vector<std::string>* notes = nullptr);

// Checks, then writes a self-describing safetensors file atomically. Tensors are stored as they
// are.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

}  // namespace asmlp
