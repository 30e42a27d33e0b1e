// asmlp bench --train
#include <fmt/format.h>

#include <memory>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/report/table.h"
#include "asmlp/cli_torch/bench_train.h"
#include "asmlp/cli_torch/commands.h"

namespace asmlp::cli {
namespace {

constexpr const char* kFooter =
    "A step is forward, loss, backward and AdamW. It is measured on the fused operators (what "
    "`asmlp train`\n"
    "runs on) and eager of ATen operations as the authors wrote it, in turns, after both have "
    "given the same\n"
    "loss and gradients. docs/training_speed.md explains the figures and the keys of --json.\n"
    "Examples:\n"
    "  asmlp bench --train\n"
    "  asmlp bench --train --precision fp32,bf16 --batch 16 --json > train.json";

struct Options {
  TrainBenchOptions bench;
  bool train = false;
  ReportOptions report;
};

std::string text_of(const Json& document, bool markdown) {
  Table table({{"path"},
               {"precision"},
               {"format"},
               {"step ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"forward", Align::kRight},
               {"backward", Align::kRight},
               {"update", Align::kRight},
               {"processor", Align::kRight},
               {"images/s", Align::kRight},
               {"faster (min, processor)", Align::kRight},
               {"gradients differ", Align::kRight}});
  for (const Json& row : document["rows"]) {
    const auto ms = [&](const char* part, const char* value) {
      return fmt::format("{:.1f}", row[part][value].get<double>());
    };
    table.add_row(
        {row["path"].get<std::string>(), row["precision"].get<std::string>(),
         row["format"].get<std::string>(), ms("step_ms", "median"), ms("step_ms", "min"),
         ms("step_ms", "p10") + "-" + ms("step_ms", "p90"), ms("forward_ms", "median"),
         ms("backward_ms", "median"), ms("update_ms", "median"), ms("processor_ms", "median"),
         fmt::format("{:.2f}", row["images_per_second"].get<double>()),
         row.contains("speedup")
             ? fmt::format("{:.2f} x ({:.2f}, {:.2f})", row["speedup"]["median"].get<double>(),
                           row["speedup"]["min"].get<double>(),
                           row["speedup"]["processor"].get<double>())
             : "-",
         fmt::format("{:.1e}", row["verified"]["gradient_error"].get<double>())});
  }
  const Json& first = document["rows"][0];
  return fmt::format(
      "{}: {} x {} pixels, batch {}, {} threads, {} steps each; {}\n{}",
      first["model"].get<std::string>(), first["img_size"].get<int>(), first["img_size"].get<int>(),
      first["batch"].get<int>(), first["threads"].get<int>(), first["runs"].get<int>(),
      document["machine"]["cpu"].get<std::string>(), markdown ? table.markdown() : table.str());
}

}  // namespace

Command add_bench_train(CLI::App& program) {
  auto options = std::make_shared<Options>();
  TrainBenchOptions& bench = options->bench;
  CLI::App* app = add_subcommand(program, "bench", "Measure the speed of a training step", kFooter);
  app->add_flag("--train", options->train, "measure training (this command)")->required();
  app->add_option("-m,--model", bench.model, "zoo name or config file (.json, .yaml)")
      ->capture_default_str()
      ->type_name("NAME|FILE");
  app->add_option("-b,--batch", bench.batch, "images per step")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  app->add_option("--img-size", bench.size, "side of the images in pixels; default: the model's")
      ->check(CLI::Range(1, 16384))
      ->type_name("N");
  app->add_option("--precision", bench.precisions, "fp32, bf16 (autocast), or both: fp32,bf16")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->type_name("NAME");
  add_repetition_options(*app, bench.repetition, "steps");
  add_report_options(*app, options->report);
  return {app, [options] {
            const Json document = measure_training(options->bench);
            print_report(document, options->report, text_of);
            return kExitOk;
          }};
}

}  // namespace asmlp::cli
