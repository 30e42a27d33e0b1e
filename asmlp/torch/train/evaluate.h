// Accuracy of a LibTorch model over a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "asmlp/model/spec.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/nn/as_mlp.h"

namespace asmlp::train {

struct Evaluation {
  double top1 = 0;  // per cent
  double top5 = 0;  // per cent
  double loss = 0;  // mean cross entropy, nats
  int64_t images = 0;
  double seconds = 0;
};

// Called after each batch with the images done; returning false stops the evaluation.
using EvaluationProgress = std::function<bool(int64_t images)>;

// Runs the model in evaluation mode (and leaves it in the mode it was in) over one pass of the
// loader. Nothing when `progress` stopped it.
std::optional<Evaluation> evaluate(nn::AsMlp& model, const data::Loader& loader,
                                   const EvaluationProgress& progress = {});

// A loader for evaluation: in order, without augmentation.
data::Loader evaluation_loader(const Dataset& dataset, const Preprocessing& preprocessing,
                               int batch_size, int workers);

}  // namespace asmlp::train
