// A model as an ONNX file: for ONNX Runtime, OpenVINO, and what else reads them
// (docs/guide/onnx.md).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/weights/model_file.h"

namespace asmlp {

struct OnnxOptions {
  std::optional<int> batch = {};     // of the input, 1..65536; left out: any
  std::optional<MapSize> size = {};  // of the input in pixels, 1..16384; left out: any
  bool features = false;             // of a classifier: its maps beside the logits
  // The graph takes pixels, uint8 [N, H, W, C] in the order of the model's channels (RGB), and
  // normalizes them; else it takes what `asmlp forward` takes, fp32 [N, C, H, W].
  bool normalize = false;
};

// An input or output of the graph, e.g. {"logits", "float32", "[N, 1000]"}. N, H, and W are what is
// left open; other names with H and W are extents that follow from those.
struct OnnxValue {
  std::string name, type, shape;
};

struct OnnxInterface {
  std::vector<OnnxValue> inputs, outputs;
};

// Writes the network of `model` to `path`, atomically, in operators of opset 17 and fp32, with its
// description in the metadata. Weights in int8, bf16, or fp16 are written as the fp32 numbers that
// they stand for. Of a detector it is the convolutional part: the feature pyramid and the outputs
// of the region proposal network. `version` is the program's. Errors: kUnsupported for baselines
// and for features of a detector or segmentor, kInvalidArgument for options out of range, kTooLarge
// for weights of more than 2 GiB, write_file_atomically's.
OnnxInterface write_onnx(const std::filesystem::path& path, const ModelFile& model,
                         const OnnxOptions& options, const std::string& version);

}  // namespace asmlp
