// asmlp quantize: a model's layers in int8, calibrated on images.
#include <filesystem>
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/quantize.h"
#include "asmlp/cli/images/calibration_images.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/topk.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

// Top-1 in percent of the images `indices`, whose logits follow each other.
double top1_of(std::span<const float> logits, const std::vector<int>& targets,
               const std::vector<int64_t>& indices) {
  const size_t classes = logits.size() / indices.size();
  TopKMeter meter;
  for (size_t i = 0; i < indices.size(); ++i) {
    meter.add(logits.subspan(i * classes, classes), targets[static_cast<size_t>(indices[i])]);
  }
  return meter.top1();
}

Json top1_json(const CalibrationImages& data, const Quantized& result) {
  const auto held_out = held_out_images(static_cast<int64_t>(data.images.size()));
  return {{"fp32", top1_of(result.before.front().values, data.targets, held_out)},
          {"int8", top1_of(result.after.front().values, data.targets, held_out)}};
}

int quantize_classifier(const QuantizeCommand& options) {
  ModelOptions named;
  named.model = options.model;
  named.shift_size = options.shift_size;
  const LoadedModel loaded = load_model(named);
  const ModelSpec& spec = loaded.checkpoint.spec;
  for (const std::string& note : loaded.notes) print_note(note);
  require(spec.config.in_chans == 1 || spec.config.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, image files have 1 or 3, so there is nothing to "
          "calibrate it on",
          loaded.file.string(), spec.config.in_chans);

  std::optional<Progress> reading;
  const CalibrationImages data = read_calibration_images(
      options.data, options.split, spec, options.image, options.images.value_or(512),
      options.quantize.threads, [&](int64_t done, int64_t total) {
        if (!reading) reading.emplace("read", total, "images");
        reading->update(done);
      });
  reading.reset();
  for (const std::string& note : data.notes) print_note(note);
  for (const std::string& failure : data.failures) print_error(failure);

  const auto start = std::chrono::steady_clock::now();
  const int side = spec.preprocessing.size;
  const NetworkInputs inputs{side, side, [&](int64_t index, std::span<float> out) {
                               normalize(data.images[static_cast<size_t>(index)],
                                         spec.preprocessing, out);
                             }};
  StepBars bars;
  const Quantized result = quantize(
      ClassifierSubject(loaded.checkpoint, inputs), static_cast<int64_t>(data.images.size()),
      loaded.file.filename().string(), options.quantize, bars.callbacks());
  require_layers(result, loaded.file, options.quantize.max_error);
  Checkpoint written{spec, result.tensors};
  written.spec.quantization = result.info;
  save_checkpoint(options.out, written);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  Json json = quantize_json(options, spec.name, loaded.file, result);
  json["split"] = data.split;
  json["failed"] = data.failures.size();
  if (!data.targets.empty()) json["top1"] = top1_json(data, result);
  json["seconds"] = elapsed.count();
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(
        quantize_text(options, json, result, spec.config.num_classes > 0 ? "the images" : ""));
  }
  return data.failures.empty() ? kExitOk : kExitFailed;
}

int run_quantize(const QuantizeCommand& options) {
  require(fs::path(options.out).extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", options.out);
  check_output(options.out);
  check_not_overwritten(options.model, options.out);
  const Task task = decide_task(options.task, {.model = options.model, .data = ""});
  return task == Task::kClassify ? quantize_classifier(options) : quantize_dense(options, task);
}

}  // namespace

Command add_quantize(CLI::App& program) {
  auto options = std::make_shared<QuantizeCommand>();
  CLI::App* app = add_subcommand(
      program, "quantize", "Make a model's layers int8, calibrated on images",
      "MODEL is of any task. Weights get one scale per output channel, the inputs "
      "of\n"
      "layers one scale each, from what MODEL computes for three quarters of the images; the "
      "others\n"
      "show how far the outputs are from those in fp32. If that is more than --max-error, every "
      "layer is\n"
      "tried alone, and those that do most of it stay in fp32. All commands take OUT as any other "
      "file.\n"
      "Images: a data set as `validate` reads it (then its training split, and top-1 is measured "
      "too), or\n"
      "files, folders, globs, @LIST as `predict` does; of detectors and segmentors always these.\n"
      "Examples:\n"
      "  asmlp quantize model.safetensors --data imagenet/ --output int8.safetensors\n"
      "  asmlp quantize model.safetensors --data photos/ --output int8.safetensors --exclude "
      "'layers.0.*'");
  app->add_option("model", options->model, "weights to quantize, as `predict --model` takes them")
      ->type_name("MODEL")
      ->required();
  add_task_option(*app, options->task);
  app->add_option("--data", options->data,
                  "images like those that the model will see: a data set, files, folders, globs, "
                  "@LIST")
      ->type_name("IMAGES")
      ->required();
  app->add_option("-o,--output", options->out, "file to write, *.safetensors")
      ->type_name("FILE")
      ->required();
  app->add_option("--images", options->images,
                  "look at N images, spread evenly over the data (default 512, of detectors and "
                  "segmentors 64)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->type_name("N");
  app->add_option("--split", options->split, "the data set's split (default: train)")
      ->type_name("NAME");
  app->add_option("--percentile", options->quantize.percentile,
                  "range of a layer's input: P percent of its values (default: the range with the "
                  "least squared error)")
      ->check(CLI::Range(50.0, 100.0))
      ->type_name("P");
  app->add_option("--exclude", options->quantize.exclude,
                  "keep these layers in fp32: a name or glob, e.g. '*.mlp.fc2'; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option("--max-error", options->quantize.max_error,
                  "how far outputs may be off: root of the squared differences over that of the "
                  "squared outputs (default 0.05)")
      ->check(CLI::Range(0.0, 10.0))
      ->type_name("X");
  app->add_option("--shift-size", options->shift_size,
                  "shift positions, when MODEL does not say (default 5)")
      ->type_name("N|H,W");
  app->add_option("-j,--threads", options->quantize.threads,
                  "threads; 0 takes every usable core (default); OUT does not depend on it")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
  add_image_options(*app, options->image, "what the model's file says; apply for plain images");
  add_output_options(*app, options->output);
  return {app, [options] { return run_quantize(*options); }};
}

}  // namespace asmlp::cli
