// asmlp convert: a checkpoint of any kind to a self-describing safetensors file.
#include <memory>

#include "asmlp/cli/console.h"
#include "asmlp/cli/describe.h"
#include "asmlp/cli/options.h"
#include "asmlp/cli/program.h"
#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string in;
  std::string out;
  std::string model;
  std::string config;
  std::string class_map;
  std::string shift_size;
  std::string name;
  OutputOptions output;
};

int run(const Options& options) {
  require(fs::path(options.out).extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", options.out);
  check_output(options.out);
  check_not_overwritten(options.in, options.out);
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
  if (options.output.json) {
    Json json = model_to_json(spec, options.out);
    json["converted_from"] = options.in;
    json["notes"] = loaded.notes;
    print_json(json);
    return kExitOk;
  }
  print_out(describe_model(spec, options.out));
  for (const std::string& note : loaded.notes) print_note(note);
  return kExitOk;
}

}  // namespace

Command add_convert(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = add_subcommand(
      program, "convert", "Convert a checkpoint to a self-describing safetensors file",
      "The architecture is found from the shapes of the weights; what they cannot show (the shift\n"
      "size) comes from the options or the checkpoint's own config, and is said aloud.\n"
      "An existing OUT is replaced in one step.\n"
      "Example:\n"
      "  asmlp convert asmlp_tiny_patch4_shift5_224.pth tiny.safetensors");
  app->add_option("in", options->in, "checkpoint to read (.pth, .pt, .bin, .safetensors)")
      ->type_name("IN")
      ->required();
  app->add_option("out", options->out, "file to write, *.safetensors")
      ->type_name("OUT")
      ->required();
  app->add_option("--shift-size", options->shift_size,
                  "shift positions, when the checkpoint does not say; default 5")
      ->type_name("N|H,W");
  app->add_option("--config", options->config, "architecture and preprocessing as JSON or YAML")
      ->type_name("FILE");
  app->add_option("--model", options->model, "architecture and preprocessing of this zoo model")
      ->type_name("NAME");
  app->add_option("--class-map,--classes", options->class_map,
                  "text file with one class name per line, stored in OUT")
      ->type_name("FILE");
  app->add_option("--name", options->name, "name of the model, stored in OUT")->type_name("NAME");
  add_output_options(*app, options->output);
  return {app, [options] { return run(*options); }};
}

}  // namespace asmlp::cli
