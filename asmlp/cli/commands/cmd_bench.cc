// asmlp bench: speed, measured after it has been verified.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>

#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/commands/commands.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

// What of the request a kind of measurement has nothing to do with.
class Unused {
 public:
  void add(CLI::Option* option, unsigned kinds) { options_.emplace_back(option, kinds); }
  // Error(kInvalidArgument) naming the first option given that is none of `kind`.
  void check(unsigned kind, const std::string& what) const {
    for (const auto& [option, kinds] : options_) {
      require((kinds & kind) != 0 || option->count() == 0, ErrorCode::kInvalidArgument,
              "{} has no effect on {}; leave it out", option->get_name(), what);
    }
  }

 private:
  std::vector<std::pair<const CLI::Option*, unsigned>> options_;
};
constexpr unsigned kForward = 1, kTrain = 2, kDetect = 4, kFrom = 8, kLatency = 16, kSegment = 32;
constexpr unsigned kTrainDense = 64, kDense = kDetect | kSegment;

void add_row_options(CLI::App& app, BenchRequest& request, Unused& unused) {
  const std::string group = "Rows (lists, separated by commas; every combination is a row)";
  const auto add = [&](CLI::Option* option, unsigned kinds) {
    unused.add(option->group(group), kinds);
    return option;
  };
  add(app.add_option("-m,--model,--config", request.models,
                     "zoo names and config files (.json, .yaml), which get deterministic weights, "
                     "or weight files; default asmlp_tiny_patch4_shift5_224 (detectors: "
                     "mask_rcnn_asmlp_tiny, segmentors: upernet_asmlp_tiny)")
          ->delimiter(',')
          ->type_name("NAME|FILE"),
      kForward | kTrain | kDense | kTrainDense | kLatency);
  add(app.add_option("-b,--batch,--batch-size", request.batches,
                     "images per run (default 1; of training steps 8)")
          ->delimiter(',')
          ->check(CLI::Range(1, 4096))
          ->type_name("N"),
      kForward | kTrain | kTrainDense | kDetect);
  add(app.add_option("--img-size", request.sizes,
                     "side of the input in pixels; default: the model's")
          ->delimiter(',')
          ->check(CLI::Range(1, 16384))
          ->type_name("N"),
      kForward | kTrain | kLatency);
  add(app.add_option("--size", request.size,
                     "detectors and segmentors: height x width of the resized image (default: the "
                     "model's short side, and four thirds of it)")
          ->type_name("N|HxW"),
      kDense | kTrainDense);
  add(app.add_option("--precision", request.precisions,
                     fmt::format("numbers of the matrix products (default fp32): {}; training "
                                 "steps: fp32, bf16",
                                 fmt::join(precision_names(), ", ")))
          ->delimiter(',')
          ->check(CLI::IsMember(precision_names()))
          ->type_name("NAME"),
      kForward | kTrain | kDense | kTrainDense | kLatency);
  add(app.add_option("--isa", request.isas,
                     "instruction sets (`asmlp info --cpu` lists them); default: $ASMLP_ISA or the "
                     "best")
          ->delimiter(',')
          ->type_name("NAME"),
      kForward | kDense | kLatency);
}

void add_execution_options(CLI::App& app, const std::string& backend, BenchRequest& request,
                           Unused& unused) {
  const std::string group = "Execution";
  const auto add = [&](CLI::Option* option, unsigned kinds) {
    unused.add(option->group(group), kinds);
  };
  CLI::Option* train =
      app.add_flag("--train", request.train, "measure training steps instead (needs asmlp-torch)")
          ->group(group);
  add(app.add_option("--path", request.paths,
                     "--train: fused (what `asmlp train` runs), eager (ATen operations as the "
                     "authors wrote them), or both (default)")
          ->delimiter(',')
          ->check(CLI::IsMember({"fused", "eager"}))
          ->needs(train)
          ->type_name("NAME"),
      kTrain);
  add(app.add_flag("--profile", request.profile,
                   "--train: what each operator of a fused step costs, by width of its input")
          ->needs(train),
      kTrain);
  CLI::Option* latency =
      app.add_flag("--latency", request.latency,
                   "measure the percentiles of one image's time under callers instead")
          ->excludes(train)
          ->group(group);
  add(app.add_option("--callers", request.callers,
                     "--latency: callers at a time, a list; each has an engine of its own (default "
                     "1, 2, and the usable cores)")
          ->delimiter(',')
          ->check(CLI::Range(1, 256))
          ->needs(latency)
          ->type_name("N"),
      kLatency);
  request.backend = backend;
  const bool native = backend == "native";
  add(app.add_option("--backend", request.backend,
                     native ? "native (default), or torch: LibTorch's rows too, measured by "
                              "asmlp-torch"
                            : "torch")
          ->check(native ? CLI::IsMember({"native", "torch"}) : CLI::IsMember({"torch"}))
          ->type_name("NAME"),
      kForward | kDense);
  add(app.add_option("-j,--threads", request.threads,
                     "threads; 0 takes every usable core (default)")
          ->check(CLI::Range(0, 256))
          ->type_name("N"),
      kForward | kTrain | kDense | kTrainDense | kLatency);
  add(app.add_option(
             "--runs", request.runs,
             "timed runs per row (default 30; training steps 20, detectors and segmentors 10; "
             "of --latency: requests of each caller, default 100)")
          ->check(CLI::Range(1, 1'000'000))
          ->type_name("N"),
      kForward | kTrain | kDense | kTrainDense | kLatency);
  add(app.add_option("--warmup", request.warmup,
                     "runs before those (default 3; training steps 2, detectors and segmentors 1)")
          ->check(CLI::Range(0, 1'000'000))
          ->type_name("N"),
      kForward | kTrain | kDense | kTrainDense | kLatency);
  add(app.add_option("--cold-starts", request.starts,
                     "fresh processes per row, for cold start and memory (default 5; 0: none)")
          ->check(CLI::Range(0, 1000))
          ->type_name("N"),
      kForward);
  app.add_flag("--first-logits", request.first_logits)->group("");  // not in the help
}

int bench(const BenchRequest& request, const BenchRunners& runners, const Unused& unused) {
  if (!request.from.empty()) {
    unused.check(kFrom, "the rows of --from");
    return runners.forward(request);
  }
  const std::string model = request.models.empty() ? "" : request.models.front();
  const Task task = decide_task(request.task, {.model = model, .data = ""});
  if (request.train) {
    if (task == Task::kClassify) {
      unused.check(kTrain, "training steps");
    } else {
      unused.check(kTrainDense, fmt::format("training steps of {}s", model_kind(task)));
    }
    for (const std::string& precision : request.precisions) {
      require(precision == "fp32" || precision == "bf16", ErrorCode::kUnsupported,
              "--precision {}: training steps are measured in fp32 and bf16", precision);
    }
    return runners.train(request, task);
  }
  require(!request.latency || task == Task::kClassify, ErrorCode::kUnsupported,
          "bench --latency measures classifiers, not {}s", model_kind(task));
  if (task == Task::kDetect) {
    unused.check(kDetect, "detectors");
    return runners.detect(request);
  }
  if (task == Task::kSegment) {
    unused.check(kSegment, "segmentors");
    return runners.segment(request);
  }
  if (request.latency) {
    unused.check(kLatency, "--latency");
  } else {
    unused.check(kForward, "classifiers");
  }
  return runners.forward(request);
}

constexpr const char* kBenchFooter =
    "Every row is verified against the portable fp32 kernels before anything is timed; a "
    "difference is\n"
    "an error. Of detectors and segmentors the parts are timed, on images of the resized size. "
    "Training\n"
    "steps are measured on the fused operators and, in turns, as eager ATen operations as the "
    "authors\n"
    "wrote them, after both have agreed.\n"
    "docs/results/speed.md explains the numbers and the keys of --json.\n"
    "Examples:\n"
    "  asmlp bench --batch 1,8 --precision fp32,bf16\n"
    "  asmlp bench --img-size 224,384,512,768,1024 --plot sizes.png\n"
    "  asmlp bench --model asmlp_mobile_patch4_shift5_224,variant.yaml --isa avx2 --json > r.json\n"
    "  asmlp bench --backend torch                     LibTorch in the same table\n"
    "  asmlp bench --latency --callers 1,2,4           p50, p90, p99 as a server sees them\n"
    "  asmlp bench --from a.json b.json --markdown     earlier results in one table\n"
    "  asmlp bench --train --precision fp32,bf16       training steps\n"
    "  asmlp bench --train --path fused --profile      where their time goes\n"
    "  asmlp bench --train --task detect               the parts of a detector's training step\n"
    "  asmlp bench --task detect --size 480x640        the parts of a detection\n"
    "  asmlp bench --task segment --precision bf16 --backend torch";

}  // namespace

BenchRunners native_bench(Arguments arguments) {
  BenchRunners native;
  native.backend = "native";
  native.forward = [](const BenchRequest& request) {
    return bench_forward(request, native_backend());
  };
  native.train = [arguments](const BenchRequest&, Task task) -> int {
    exec_torch("`bench --train`", arguments, task);
  };
  const auto dense = [arguments](Task task) -> BenchRunners::Run {
    return [=](const BenchRequest& request) {
      if (request.backend == "torch") exec_torch("`--backend torch`", arguments, task);
      return bench_dense(request, task, std::array{native_dense_backend()});
    };
  };
  native.detect = dense(Task::kDetect);
  native.segment = dense(Task::kSegment);
  return native;
}

Repetition repetition_of(const BenchRequest& request, Repetition otherwise) {
  return {request.threads, request.runs.value_or(otherwise.runs),
          request.warmup.value_or(otherwise.warmup)};
}

void print_report(const Json& document, const BenchRequest& request,
                  const std::function<std::string(const Json&, bool)>& text_of) {
  if (request.output.json) {
    print_json(document);
  } else {
    print_out(text_of(document, request.markdown));
  }
}

Command add_bench(CLI::App& program, const BenchRunners& runners) {
  auto request = std::make_shared<BenchRequest>();
  auto unused = std::make_shared<Unused>();
  CLI::App* app = add_subcommand(
      program, "bench", "Measure speed, its share of the machine's peak, and memory", kBenchFooter);
  add_task_option(*app, request->task);
  add_row_options(*app, *request, *unused);
  add_execution_options(*app, runners.backend, *request, *unused);
  unused->add(app->add_option("--from", request->from, "put earlier --json documents in one table")
                  ->type_name("FILE")
                  ->group("Output"),
              kFrom);
  unused->add(app->add_option("--plot", request->plot, "write a chart of the rows (PNG)")
                  ->type_name("FILE.png")
                  ->group("Output"),
              kForward | kFrom);
  add_output_options(*app, request->output);
  app->add_flag("--markdown", request->markdown, "print the tables as Markdown")
      ->excludes("--json")
      ->group("Output");
  return {app, [request, runners, unused] { return bench(*request, runners, *unused); }};
}

}  // namespace asmlp::cli
