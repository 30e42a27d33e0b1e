// asmlp quantize: a model's layers in int8, calibrated on images.
#include <filesystem>
#include <memory>
#include <optional>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/images/calibration_images.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/quantize/quantize.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeCommand {
  std::string model;
  std::string shift_size;
  std::vector<std::string> data;
  std::string split;
  std::string out;
  int64_t images = 512;
  QuantizeOptions quantize;
  ImageOptions image;
  OutputOptions output;
};

// Progress bars for the steps of `quantize`.
class StepBars {
 public:
  QuantizeProgress callbacks() {
    return {[this](const std::string& step, int64_t total) {
              done_ = 0;
              bar_.emplace(step, total, "images");
            },
            [this](int images) { bar_->update(done_ += images); },
            [this] {
              bar_->finish();
              bar_.reset();
            }};
  }

 private:
  std::optional<Progress> bar_;
  int64_t done_ = 0;
};

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

Json results_json(const QuantizeCommand& options, const LoadedModel& loaded,
                  const CalibrationImages& data, const Quantized& result, double seconds) {
  const QuantizationInfo& info = result.info;
  Json json = {{"model", loaded.checkpoint.spec.name},
               {"file", loaded.file.string()},
               {"output", options.out},
               {"data", options.data},
               {"split", data.split},
               {"images", info.images},
               {"held_out", info.held_out},
               {"failed", data.failures.size()},
               {"method", info.method},
               {"equalized", info.equalized},
               {"int8_layers", result.layers},
               {"fp32_layers", Json::array()},
               {"max_error", options.quantize.max_error},
               {"error_of_all", result.all.error},
               {"error", result.final.error},
               {"agreement", result.final.agreement}};
  for (const Fp32Layer& layer : result.fp32_layers) {
    json["fp32_layers"].push_back({{"name", layer.name},
                                   {"excluded", !layer.error},
                                   {"error", layer.error ? Json(*layer.error) : Json()}});
  }
  if (!data.targets.empty()) {
    const auto held_out = held_out_images(static_cast<int64_t>(data.images.size()));
    json["top1"] = {{"fp32", top1_of(result.before.front().values, data.targets, held_out)},
                    {"int8", top1_of(result.after.front().values, data.targets, held_out)}};
  }
  json["input_bytes"] = fs::file_size(loaded.file);
  json["output_bytes"] = fs::file_size(options.out);
  json["seconds"] = seconds;
  return json;
}

std::string summary_text(const QuantizeCommand& options, const LoadedModel& loaded,
                         const Json& json, const Quantized& result) {
  const auto number = [&](const char* key) { return json[key].get<double>(); };
  Table table({{}, {}});
  table.add_row({"model", fmt::format("{} ({}), {}", loaded.checkpoint.spec.name,
                                      loaded.file.string(), format_bytes(number("input_bytes")))});
  table.add_row(
      {"written", fmt::format("{}, {}", options.out, format_bytes(number("output_bytes")))});
  table.add_row({"images", fmt::format("{} to calibrate on, {} to measure on",
                                       json["images"].get<int>(), json["held_out"].get<int>())});
  table.add_row(
      {"layers", fmt::format("{} in int8, {} in fp32; inputs' ranges by {}", result.layers,
                             result.fp32_layers.size(), json["method"].get<std::string>())});
  std::string outputs = fmt::format("off by {:.2f} %", 100 * result.final.error);
  if (loaded.checkpoint.spec.config.num_classes > 0) {
    outputs += fmt::format(", first class as in fp32 for {:.2f} % of the images",
                           100 * result.final.agreement);
  }
  if (result.all.error != result.final.error) {
    outputs += fmt::format(" (off by {:.2f} % with every layer in int8)", 100 * result.all.error);
  }
  table.add_row({"outputs", outputs});
  if (json.contains("top1")) {
    table.add_row(
        {"top-1", fmt::format("{:.2f} % in fp32, {:.2f} % with int8, of the {} images "
                              "measured on",
                              json["top1"]["fp32"].get<double>(),
                              json["top1"]["int8"].get<double>(), json["held_out"].get<int>())});
  }
  table.add_row({"time", format_duration(number("seconds"))});
  if (result.fp32_layers.empty()) return table.str();
  Table left_out({{"layer in fp32"}, {"outputs off by, alone in int8", Align::kRight}});
  for (const Fp32Layer& layer : result.fp32_layers) {
    left_out.add_row(
        {layer.name, layer.error ? fmt::format("{:.2f} %", 100 * *layer.error) : "excluded"});
  }
  return table.str() + '\n' + left_out.str();
}

int run_quantize(const QuantizeCommand& options) {
  require(fs::path(options.out).extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", options.out);
  check_output(options.out);
  check_not_overwritten(options.model, options.out);
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
  const CalibrationImages data =
      read_calibration_images(options.data, options.split, spec, options.image, options.images,
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
  require(result.layers > 0, ErrorCode::kUnsupported,
          "{}: no layer is left to be in int8 with outputs off by at most {:g} (--max-error); the "
          "file would be in fp32, so none is written",
          loaded.file.string(), options.quantize.max_error);
  Checkpoint written{spec, result.tensors};
  written.spec.quantization = result.info;
  save_checkpoint(options.out, written);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const Json json = results_json(options, loaded, data, result, elapsed.count());
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(summary_text(options, loaded, json, result));
  }
  return data.failures.empty() ? kExitOk : kExitFailed;
}

}  // namespace

Command add_quantize(CLI::App& program) {
  auto options = std::make_shared<QuantizeCommand>();
  CLI::App* app = add_subcommand(
      program, "quantize", "Make a model's layers int8, calibrated on images",
      "MODEL is a classifier or a backbone. Weights get one scale per output channel, the inputs "
      "of\n"
      "layers one scale each, from what MODEL computes for three quarters of the images; the "
      "others\n"
      "show how far the outputs are from those in fp32. If that is more than --max-error, every "
      "layer is\n"
      "tried alone, and those that do most of it stay in fp32. All commands take OUT as any other "
      "file.\n"
      "Images: a data set as `validate` reads it (then its training split, and top-1 is measured "
      "too), or\n"
      "files, folders, globs, @LIST as `predict` does.\n"
      "Examples:\n"
      "  asmlp quantize model.safetensors --data imagenet/ --output int8.safetensors\n"
      "  asmlp quantize model.safetensors --data photos/ --output int8.safetensors --exclude "
      "'layers.0.*'");
  app->add_option("model", options->model, "weights to quantize, as `predict --model` takes them")
      ->type_name("MODEL")
      ->required();
  app->add_option("--data", options->data,
                  "images like those that the model will see: a data set, files, folders, globs, "
                  "@LIST")
      ->type_name("IMAGES")
      ->required();
  app->add_option("-o,--output", options->out, "file to write, *.safetensors")
      ->type_name("FILE")
      ->required();
  app->add_option("--images", options->images,
                  "look at N images, spread evenly over the data (default 512)")
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
