// asmlp forward: tensors in, logits and feature maps out. The way to compare with other software.
#include <algorithm>
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/forward.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::cli {
std::vector<float> read_input(const ForwardOptions& options, const Config& config, Shape* shape) {
  const TensorFile file = read_safetensors(options.input);
  const auto entry = file.tensors.find("input");
  if (entry == file.tensors.end()) {
    std::string found;
    for (const auto& [name, tensor] : file.tensors) {
      if (found.size() > 200) {
        found += ", ...";
        break;
      }
      found += (found.empty() ? "" : ", ") + name;
    }
    fail(ErrorCode::kMismatch, "{}: expected a tensor 'input', found {}", options.input,
         found.empty() ? "no tensors" : found);
  }
  const Tensor& tensor = entry->second;
  require(tensor.dtype == DType::kF32, ErrorCode::kMismatch,
          "{}: 'input' has dtype {}, expected F32", options.input, to_string(tensor.dtype));
  const bool fits = tensor.shape.size() == 4 && tensor.shape[1] == config.in_chans &&
                    std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                [](int64_t extent) { return extent >= 1; });
  require(fits, ErrorCode::kMismatch, "{}: 'input' has shape {}, expected [N, {}, H, W]",
          options.input, to_string(tensor.shape), config.in_chans);
  require(tensor.shape[2] <= 16384 && tensor.shape[3] <= 16384, ErrorCode::kTooLarge,
          "{}: 'input' has shape {}, images may be at most 16384 x 16384", options.input,
          to_string(tensor.shape));
  *shape = tensor.shape;
  return to_f32(tensor);
}

void write_outputs(const ForwardOptions& options, std::map<std::string, ForwardOutput> outputs,
                   int64_t images, Precision precision, const std::string& isa) {
  TensorMap tensors;
  Json json = {{"file", options.output}, {"images", images}, {"tensors", Json::object()}};
  for (auto& [name, output] : outputs) {
    output.shape[0] = images;
    json["tensors"][name] = output.shape;
    tensors[name] = make_tensor(output.shape, std::move(output.values));
  }
  write_safetensors(options.output, tensors,
                    {{"source", fmt::format("asmlp forward --backend {} --precision {}",
                                            options.backend, to_string(precision))},
                     {"isa", isa}});
  if (options.messages.json) print_json(json);
}

namespace {

// More images at once only cost memory.
constexpr int64_t kMaxBatch = 8;

int run_forward(const ForwardOptions& options, const Backend& backend) {
  check_output(options.output);
  check_not_overwritten(options.input, options.output);
  LoadedModel loaded = load_model(options.model);
  check_not_overwritten(loaded.file, options.output);
  for (const std::string& note : loaded.notes) print_note(note);
  if (loaded.bundled) print_note("using the bundled model " + loaded.file.string());
  const ModelSpec spec = loaded.checkpoint.spec;
  Shape shape;
  const std::vector<float> input = read_input(options, spec.config, &shape);
  const int64_t images = shape[0];
  RunnerOptions runner_options;
  runner_options.height = static_cast<int>(shape[2]);
  runner_options.width = static_cast<int>(shape[3]);
  runner_options.max_batch = static_cast<int>(std::min(images, kMaxBatch));
  runner_options.features = true;
  runner_options.run = options.run;
  const auto runner = backend.start(loaded.checkpoint, runner_options);

  std::map<std::string, ForwardOutput> outputs;
  const size_t image_size = input.size() / static_cast<size_t>(images);
  for (int64_t first = 0; first < images; first += kMaxBatch) {
    const int batch = static_cast<int>(std::min(kMaxBatch, images - first));
    runner->run(std::span(input).subspan(static_cast<size_t>(first) * image_size,
                                         static_cast<size_t>(batch) * image_size),
                batch);
    if (spec.config.num_classes > 0) {
      ForwardOutput& logits = outputs["logits"];
      logits.shape = {batch, spec.config.num_classes};
      logits.values.insert(logits.values.end(), runner->logits().begin(), runner->logits().end());
    }
    for (int k = 0; k < runner->num_features(); ++k) {
      ForwardOutput& feature = outputs[fmt::format("feature.{}", k)];
      feature.shape = runner->feature_shape(k);
      const size_t old = feature.values.size();
      feature.values.resize(old + static_cast<size_t>(element_count(feature.shape)));
      runner->copy_feature(k, std::span(feature.values).subspan(old));
    }
  }

  write_outputs(options, std::move(outputs), images, runner->precision(), runner->isa());
  return kExitOk;
}

}  // namespace

Command add_forward(CLI::App& program, const Backend& backend, Arguments arguments) {
  auto options = std::make_shared<ForwardOptions>();
  CLI::App* app = add_subcommand(
      program, "forward", "Run a model on tensors of a safetensors file",
      "X holds `input` [N, in_chans, H, W], float32, normalized; other tensors are ignored. Y "
      "gets\n"
      "`logits` [N, classes] and `feature.k` [N, C, H, W]: 0 is the patch embedding, k the output "
      "of\n"
      "stage k-1. Any image size is accepted. A detector's Y gets `pyramid.k`, `rpn.logits.k`, "
      "and\n"
      "`rpn.deltas.k`, a segmentor's `logits` [N, classes, h, w].\n"
      "Example:\n"
      "  asmlp forward --weights w.safetensors --config c.json --input x.safetensors \\\n"
      "                --output y.safetensors");
  app->add_option("--input", options->input, "safetensors file with `input`")
      ->type_name("X")
      ->required();
  app->add_option("-o,--output", options->output, "safetensors file to write")
      ->type_name("Y")
      ->required();
  add_backend_option(*app, backend.name, options->backend, "Execution");
  add_model_options(*app, options->model);
  add_run_options(*app, options->run);
  add_output_options(*app, options->messages);
  return {app, [options, backend, arguments] {
            const std::string& weights = options->model.weights;
            const TaskEvidence evidence{.model = weights.empty() ? options->model.model : weights,
                                        .data = ""};
            const Task task = find_task({}, evidence).task;
            if (task != Task::kClassify) return forward_dense(*options, task);
            if (options->backend != backend.name) exec_torch("`--backend torch`", arguments);
            return run_forward(*options, backend);
          }};
}

}  // namespace asmlp::cli
