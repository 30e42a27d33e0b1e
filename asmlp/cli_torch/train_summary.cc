#include "asmlp/cli_torch/train_summary.h"

#include "asmlp/cli/build_info.h"
#include "asmlp/cli_torch/recipe.h"

namespace asmlp::cli {

Json summary_json(const train::Trainer& trainer, const std::filesystem::path& folder,
                  train::Outcome outcome, double images_per_second) {
  const train::RunState& state = trainer.state();
  const nn::Architecture& architecture = trainer.architecture();
  const int side = architecture.spec.preprocessing.size;
  Json json{{"outcome", outcome == train::Outcome::kFinished ? "finished" : "stopped"},
            {"model", architecture.spec.name},
            {"output", folder.string()},
            {"epochs", state.epoch},
            {"steps", trainer.steps()},
            {"skipped_steps", state.skipped},
            {"bad_samples", state.bad_samples},
            {"parameters", nn::parameter_count(architecture)},
            {"multiply_adds", nn::multiply_adds(architecture, side, side)},
            {"world_size", state.world},
            {"train_images_per_second", images_per_second}};
  if (state.best_epoch >= 0) {
    json["best_top1"] = state.best_top1;
    json["best_epoch"] = state.best_epoch;
  }
  if (!state.history.empty() && state.history.back().validated) {
    json["last_top1"] = state.history.back().eval_top1;
  }
  return json;
}

train::RunFacts run_facts(const train::Trainer& trainer, const data::DataSource& validation,
                          const std::string& command, bool resumed) {
  const train::TrainOptions& options = trainer.options();
  const train::RunState& state = trainer.state();
  const nn::Architecture& architecture = trainer.architecture();
  const BuildInfo build = build_info();
  const int side = architecture.spec.preprocessing.size;
  train::RunFacts facts;
  facts.run = {{"model", architecture.spec.name},
               {"data", std::filesystem::absolute(options.data).lexically_normal().string()},
               {"classes", validation.classes().size()},
               {"training_images", state.train_images},
               {"validation_images", validation.size()},
               {"image_size", side},
               {"parameters", nn::parameter_count(architecture)},
               {"multiply_adds", nn::multiply_adds(architecture, side, side)},
               {"epochs", options.epochs},
               {"steps_per_epoch", trainer.steps_per_epoch()},
               {"seed", options.seed}};
  facts.start = {{"command", command},
                 {"world_size", state.world},
                 {"threads", state.threads},
                 {"device", trainer.device().str()},
                 {"precision", options.amp == "off" ? "fp32" : options.amp},
                 {"images_per_step", trainer.global_batch()},
                 {"asmlp", build.version},
                 {"commit", build.commit},
                 {"compiler", build.compiler},
                 {"build_type", build.type}};
  facts.recipe = recipe_text(options);
  facts.images_per_step = trainer.global_batch();
  facts.log_interval = options.log_interval;
  facts.resumed = resumed;
  facts.steps_done = trainer.steps();
  facts.skipped_steps = state.skipped;
  facts.history = state.history;
  return facts;
}

}  // namespace asmlp::cli
