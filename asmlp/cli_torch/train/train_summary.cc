#include "asmlp/cli_torch/train/train_summary.h"

#include "asmlp/cli_torch/train/recipe.h"
#include "asmlp/report/build_info.h"
#include "asmlp/schema/fields.h"

namespace asmlp::cli {

Json summary_json(const train::Trainer& trainer, const std::filesystem::path& folder,
                  train::Outcome outcome, const TrainDisplay& display) {
  const train::RunState& state = trainer.state();
  const train::TaskFacts& facts = trainer.facts();
  Json json{{"outcome", outcome == train::Outcome::kFinished ? "finished" : "stopped"},
            {"model", facts.model},
            {"output", folder.string()},
            {"epochs", state.epoch},
            {"steps", trainer.steps()},
            {"stopped_early", trainer.stopped_early()},
            {"skipped_steps", state.skipped},
            {"bad_samples", state.bad_samples},
            {"parameters", trainer.parameters()},
            {"multiply_adds", facts.multiply_adds},
            {"world_size", state.world},
            {"train_images_per_second", display.images_per_second()},
            {"data_wait", display.data_wait()}};
  if (state.best_epoch >= 0) {
    json["best_" + facts.eval_metric] = state.best;
    json["best_epoch"] = state.best_epoch + 1;  // from 1
  }
  if (!state.history.empty()) {
    for (const EvalMetric& metric : state.history.back().metrics) {
      json["last_" + metric.name] = metric.value;
    }
  }
  return json;
}

train::RunFacts run_facts(const train::Trainer& trainer, const std::string& command, bool resumed) {
  const train::TrainOptions& options = trainer.options();
  const train::RunState& state = trainer.state();
  const train::TaskFacts& task = trainer.facts();
  const BuildInfo build = build_info();
  train::RunFacts facts;
  facts.run = {{"task", to_string(options.model.task)},
               {"model", task.model},
               {"data", std::filesystem::absolute(options.model.data).lexically_normal().string()},
               {"classes", task.classes.size()},
               {"training_images", state.train_images},
               {"validation_images", task.validation_images},
               {"image_size", task.image_size},
               {"parameters", trainer.parameters()},
               {"multiply_adds", task.multiply_adds},
               {"epochs", options.schedule.epochs},
               {"steps_per_epoch", trainer.steps_per_epoch()},
               {"seed", options.run.seed}};
  facts.start = {
      {"command", command},
      {"world_size", state.world},
      {"threads", state.threads},
      {"device", trainer.device().str()},
      {"precision", options.run.amp == train::Amp::kOff ? "fp32" : name_of(options.run.amp)},
      {"images_per_step", trainer.global_batch()},
      {"asmlp", build.version},
      {"commit", build.commit},
      {"compiler", build.compiler},
      {"build_type", build.type}};
  facts.recipe = recipe_text(options);
  facts.eval_metric = task.eval_metric;
  facts.images_per_step = trainer.global_batch();
  facts.log_interval = options.run.log_interval;
  facts.resumed = resumed;
  facts.steps_done = trainer.steps();
  facts.skipped_steps = state.skipped;
  facts.history = state.history;
  return facts;
}

}  // namespace asmlp::cli
