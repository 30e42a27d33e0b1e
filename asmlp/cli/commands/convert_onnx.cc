#include "asmlp/cli/commands/convert.h"
#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/core/error.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {

void add_onnx_words(CLI::App& app, OnnxWords& words) {
  const char* group = "ONNX";
  app.add_option("--batch-size", words.batch_size, "images of the input (default: any number)")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->group(group);
  app.add_option("--img-size", words.img_size, "pixels of the input (default: any size)")
      ->type_name("N|HxW")
      ->group(group);
  app.add_flag("--features", words.features, "give the feature maps of a classifier, too")
      ->group(group);
  app.add_flag("--normalize", words.normalize,
               "take pixels, uint8 [N, H, W, channels] in the order RGB, and normalize them in the "
               "graph")
      ->group(group);
}

OnnxOptions parse_onnx_words(const OnnxWords& words, bool to_onnx) {
  OnnxOptions options;
  const bool any =
      words.batch_size != 0 || !words.img_size.empty() || words.features || words.normalize;
  require(to_onnx || !any, ErrorCode::kInvalidArgument,
          "--batch-size, --img-size, --features, and --normalize are for ONNX files; give OUT a "
          "name that ends in .onnx or leave them out");
  if (words.batch_size != 0) options.batch = words.batch_size;
  if (!words.img_size.empty()) {
    const auto [h, w] = parse_pair("--img-size", words.img_size, 'x');
    options.size = MapSize{h, w};
  }
  options.features = words.features;
  options.normalize = words.normalize;
  return options;
}

OnnxInterface save_onnx_file([[maybe_unused]] const std::filesystem::path& path,
                             [[maybe_unused]] ModelFile& model,
                             [[maybe_unused]] const OnnxOptions& options) {
#ifdef ASMLP_ONNX
  dequantize(model);
  bool halves = false;
  for (auto& [name, tensor] : model.tensors) {
    if (tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16) continue;
    halves = true;
    tensor = make_tensor(tensor.shape, to_f32(tensor));
  }
  if (halves) {
    model.notes.push_back(
        "weights of 16 bits were taken as the fp32 numbers that they stand for; their rounding "
        "stays");
  }
  return write_onnx(path, model, options, ASMLP_VERSION);
#else
  fail(ErrorCode::kUnsupported,
       "this program was built without ONNX (ASMLP_ONNX=OFF); write a .safetensors file");
#endif
}

std::string describe_interface(const OnnxInterface& interface) {
  Table table{{{}, {}}};
  const auto add = [&](const char* what, const std::vector<OnnxValue>& values) {
    for (const OnnxValue& value : values) {
      table.add_row({what, fmt::format("{}  {} {}", value.name, value.type, value.shape)});
    }
  };
  add("input", interface.inputs);
  add("output", interface.outputs);
  return table.str();
}

void add_interface(Json& json, const OnnxInterface& interface) {
  const auto list = [](const std::vector<OnnxValue>& values) {
    Json all = Json::array();
    for (const OnnxValue& value : values) {
      all.push_back({{"name", value.name}, {"type", value.type}, {"shape", value.shape}});
    }
    return all;
  };
  json["format"] = "onnx";
  json["inputs"] = list(interface.inputs);
  json["outputs"] = list(interface.outputs);
}

}  // namespace asmlp::cli
