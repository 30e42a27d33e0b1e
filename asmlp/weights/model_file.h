// Any model on disk: its description with tensors that fit it, whatever the task.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/description/description.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp {

struct ModelFile {
  Description description;
  TensorMap tensors;
  std::vector<std::string> notes;  // one sentence for everything that was assumed
};

// What a file does not say, as files of the authors do not.
struct ModelFileOptions {
  std::optional<Description> description;  // the architecture (and the task)
  std::optional<ShiftSize> shift_size;
  NonFinite non_finite = NonFinite::kRefuse;  // weights that are NaN or infinite
};

// Reads a classifier as weights/checkpoint.h does, a detector or segmentor as weights/dense_file.h,
// a baseline's file as it describes itself (its tensors' names are not checked). Of a training
// state it is the model inside. Errors: theirs; kBadFormat for values that are not finite.
ModelFile load_model_file(const std::filesystem::path& path, const ModelFileOptions& options = {});

// The same for a file that was read.
ModelFile load_model_file(const WeightFile& file, const ModelFileOptions& options = {});

// Makes fp32 weights of int8 ones, the numbers that they stand for, and notes it; does nothing
// where there are none.
void dequantize(ModelFile& model);

// Writes a self-describing safetensors file atomically. Tensors are stored as they are.
void save_model_file(const std::filesystem::path& path, const ModelFile& model);

}  // namespace asmlp
