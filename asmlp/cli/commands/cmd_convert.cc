// asmlp convert: a checkpoint of any kind to a self-describing safetensors file, or to an ONNX
// file.
#include <filesystem>
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/convert.h"
#include "asmlp/cli/commands/describe.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/quantize/storage.h"
#include "asmlp/weights/model_file.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string in;
  std::string out;
  TaskOption task;
  std::string model;                // an architecture by name
  std::string config;               // or described in a file
  std::string class_map;            // one class name per line
  std::string shift_size;           // "5" or "5,7"
  std::string name;                 // of the model; "": its own
  std::vector<std::string> origin;  // "KEY=TEXT"
  std::string dtype;                // of the weights: a name of storage_name; "": as they are
  bool dequantize = false;
  OnnxWords onnx;
  OutputOptions output;
};

// KEY=TEXT into the origin; without a text, KEY goes out of it.
void set_origin(Description& model, const std::string& entry) {
  const size_t split = entry.find('=');
  require(split != std::string::npos && split > 0, ErrorCode::kInvalidArgument,
          "--origin {}: must be KEY=TEXT, e.g. license='research only'", entry);
  const std::string key = entry.substr(0, split), text = entry.substr(split + 1);
  visit_spec(model, [&](auto& spec) {
    if (text.empty()) {
      spec.origin.erase(key);
    } else {
      spec.origin.insert_or_assign(key, text);
    }
  });
}

// The type that --dtype names.
DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    if (name == storage_name(dtype)) return dtype;
  }
  return DType::kF32;
}

int convert(const ConvertOptions& options) {
  const bool to_onnx = fs::path(options.out).extension() == ".onnx";
  require(to_onnx || fs::path(options.out).extension() == ".safetensors",
          ErrorCode::kInvalidArgument, "{}: the output's name must end in .safetensors or .onnx",
          options.out);
  require(!to_onnx || options.dtype.empty(), ErrorCode::kInvalidArgument,
          "--dtype is for .safetensors files; the weights of an ONNX file are fp32");
  const OnnxOptions onnx = parse_onnx_words(options.onnx, to_onnx);
  require(options.model.empty() || options.config.empty(), ErrorCode::kInvalidArgument,
          "--model and --config both give an architecture; give one of them");
  check_output(options.out);
  check_not_overwritten(options.in, options.out);
  decide_task(options.task, {.model = options.in, .data = ""});
  ModelFileOptions load;
  const std::string& architecture = options.config.empty() ? options.model : options.config;
  if (!architecture.empty()) load.description = resolve_description(architecture);
  if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
  ModelFile model = load_model_file(options.in, load);
  if (options.dequantize) {
    require(is_quantized(model.tensors), ErrorCode::kInvalidArgument,
            "{}: --dequantize: the file has no int8 weights; leave the option out", options.in);
    dequantize(model);
  }
  if (!options.dtype.empty()) model.tensors = stored_as(model.tensors, dtype_named(options.dtype));
  if (!options.name.empty()) {
    visit_spec(model.description, [&](auto& spec) { spec.name = options.name; });
  }
  for (const std::string& entry : options.origin) set_origin(model.description, entry);
  name_classes(model.description, options.class_map, options.in, &model.notes);
  OnnxInterface interface;
  if (to_onnx) {
    interface = save_onnx_file(options.out, model, onnx);
  } else {
    save_model_file(options.out, model);
  }
  if (options.output.json) {
    Json json = model_to_json(model.description, options.out, model.tensors);
    if (to_onnx) add_interface(json, interface);
    json["converted_from"] = options.in;
    json["notes"] = model.notes;
    print_json(json);
    return kExitOk;
  }
  print_out(describe_model(model.description, options.out, model.tensors));
  if (to_onnx) print_out(describe_interface(interface));
  for (const std::string& note : model.notes) print_note(note);
  return kExitOk;
}

}  // namespace

Command add_convert(CLI::App& program) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* app = add_subcommand(
      program, "convert", "Convert a checkpoint to a self-describing safetensors or an ONNX file",
      "The architecture is found from the shapes of the weights; what they cannot show (the shift\n"
      "size) comes from the options or the checkpoint's own config, and is said aloud. Detectors\n"
      "and segmentors (mmdetection's and mmsegmentation's files) are known by their tensors; they\n"
      "need --shift-size.\n"
      "A name that ends in .onnx gets the network in operators of ONNX (opset 17, fp32), a "
      "detector's\n"
      "without what follows its region proposal network.\n"
      "An existing OUT is replaced in one step.\n"
      "Examples:\n"
      "  asmlp convert asmlp_tiny_patch4_shift5_224.pth tiny.safetensors\n"
      "  asmlp convert cascade_mask_rcnn.pth cascade.safetensors --shift-size 5\n"
      "  asmlp convert model.safetensors small.safetensors --dtype bf16      half the size\n"
      "  asmlp convert model.safetensors model.onnx --normalize              takes uint8 pixels");
  app->add_option("in", options->in, "checkpoint to read (.pth, .pt, .bin, .safetensors)")
      ->type_name("IN")
      ->required();
  app->add_option("out", options->out, "file to write, *.safetensors or *.onnx")
      ->type_name("OUT")
      ->required();
  add_task_option(*app, options->task);
  app->add_option("--shift-size", options->shift_size,
                  "shift positions, when the checkpoint does not say; a classifier's default is 5")
      ->type_name("N|H,W");
  app->add_option("--config", options->config, "architecture and preprocessing as JSON or YAML")
      ->type_name("FILE");
  app->add_option("--model", options->model,
                  "architecture and preprocessing of this model of the zoo")
      ->type_name("NAME");
  app->add_option(
         "--class-map,--classes", options->class_map,
         "text file with one class name per line, stored in OUT; of a segmentor, lines NAME R G B "
         "give the colors, too")
      ->type_name("FILE");
  app->add_option(
         "--dtype", options->dtype,
         "store weights in this type, rounded to nearest: fp32, bf16, or fp16 (default: as "
         "they are); vectors (norms, biases) and int8 layers stay")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->type_name("TYPE");
  app->add_flag("--dequantize", options->dequantize,
                "write int8 weights of `asmlp quantize` as fp32 ones");
  app->add_option("--name", options->name, "name of the model, stored in OUT")->type_name("NAME");
  app->add_option(
         "--origin", options->origin,
         "what OUT says of where it comes from, e.g. license='research only'; without TEXT "
         "the key goes out; may be repeated")
      ->type_name("KEY=TEXT")
      ->allow_extra_args(false);
  add_onnx_words(*app, options->onnx);
  add_output_options(*app, options->output);
  return {app, [options] { return convert(*options); }};
}

}  // namespace asmlp::cli
