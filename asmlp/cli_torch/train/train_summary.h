// A training run in JSON: what --json prints, what run.json and the report say.
#pragma once

#include <filesystem>
#include <string>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli_torch/train/train_display.h"
#include "asmlp/torch/train/run_log.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::cli {

// The outcome, for --json. The display knows the rate of the steps and what they waited for images.
Json summary_json(const train::Trainer& trainer, const std::filesystem::path& folder,
                  train::Outcome outcome, const TrainDisplay& display);

// For the log of the run: what is trained, by which program and command, at which step it starts.
train::RunFacts run_facts(const train::Trainer& trainer, const std::string& command, bool resumed);

}  // namespace asmlp::cli
