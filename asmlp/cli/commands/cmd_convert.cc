// asmlp convert: a checkpoint of any kind to a self-describing safetensors file.
#include <memory>

#include "asmlp/cli/commands/convert.h"
#include "asmlp/cli/commands/describe.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

Converted convert_classifier(const ConvertOptions& options) {
  ModelOptions source;
  source.weights = options.in;
  source.model = options.model;
  source.config = options.config;
  source.class_map = options.class_map;
  source.shift_size = options.shift_size;
  LoadedModel loaded = load_model(source);
  ModelSpec& spec = loaded.checkpoint.spec;
  if (!options.name.empty()) spec.name = options.name;
  save_checkpoint(options.out, loaded.checkpoint);
  return {describe_model(spec, options.out), model_to_json(spec, options.out), loaded.notes};
}

int run(const ConvertOptions& options,
        const std::function<Converted(const ConvertOptions&)>& convert) {
  require(fs::path(options.out).extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", options.out);
  check_output(options.out);
  check_not_overwritten(options.in, options.out);
  Converted made = convert(options);
  if (options.output.json) {
    made.json["converted_from"] = options.in;
    made.json["notes"] = made.notes;
    print_json(made.json);
    return kExitOk;
  }
  print_out(made.text);
  for (const std::string& note : made.notes) print_note(note);
  return kExitOk;
}

}  // namespace

Command add_convert_by(CLI::App& program, std::function<Converted(const ConvertOptions&)> convert) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* app = add_subcommand(
      program, "convert", "Convert a checkpoint to a self-describing safetensors file",
      "The architecture is found from the shapes of the weights; what they cannot show (the shift\n"
      "size) comes from the options or the checkpoint's own config, and is said aloud. Detectors\n"
      "and segmentors (mmdetection's and mmsegmentation's files) are known by their tensors; they\n"
      "need asmlp-torch, and --shift-size.\n"
      "An existing OUT is replaced in one step.\n"
      "Examples:\n"
      "  asmlp convert asmlp_tiny_patch4_shift5_224.pth tiny.safetensors\n"
      "  asmlp convert cascade_mask_rcnn.pth cascade.safetensors --shift-size 5");
  app->add_option("in", options->in, "checkpoint to read (.pth, .pt, .bin, .safetensors)")
      ->type_name("IN")
      ->required();
  app->add_option("out", options->out, "file to write, *.safetensors")
      ->type_name("OUT")
      ->required();
  app->add_option("--shift-size", options->shift_size,
                  "shift positions, when the checkpoint does not say; a classifier's default is 5")
      ->type_name("N|H,W");
  app->add_option("--config", options->config, "architecture and preprocessing as JSON or YAML")
      ->type_name("FILE");
  app->add_option("--model", options->model,
                  "architecture and preprocessing of this model of the zoo")
      ->type_name("NAME");
  app->add_option("--class-map,--classes", options->class_map,
                  "text file with one class name per line, stored in OUT")
      ->type_name("FILE");
  app->add_option("--name", options->name, "name of the model, stored in OUT")->type_name("NAME");
  add_output_options(*app, options->output);
  return {app, [options, convert = std::move(convert)] { return run(*options, convert); }};
}

Command add_convert(CLI::App& program) { return add_convert_by(program, convert_classifier); }

}  // namespace asmlp::cli
