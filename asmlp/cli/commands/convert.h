// asmlp convert: what concerns ONNX files.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/onnx/export.h"

namespace asmlp::cli {

// The options of OnnxOptions as the user gives them.
struct OnnxWords {
  int batch_size = 0;    // 0: any
  std::string img_size;  // "N" or "HxW"; "": any
  bool features = false;
  bool normalize = false;
};
void add_onnx_words(CLI::App& app, OnnxWords& words);

// Error(kInvalidArgument) for a wrong size, and for any of them when no ONNX file is written.
OnnxOptions parse_onnx_words(const OnnxWords& words, bool to_onnx);

// write_onnx of the model, whose description and tensors become those of the file: fp32, which is
// noted where they were not. Error(kUnsupported) in a program that was built without ONNX.
OnnxInterface save_onnx_file(const std::filesystem::path& path, ModelFile& model,
                             const OnnxOptions& options);

// The inputs and outputs, as lines and as the keys "inputs" and "outputs".
std::string describe_interface(const OnnxInterface& interface);
void add_interface(Json& json, const OnnxInterface& interface);

}  // namespace asmlp::cli
