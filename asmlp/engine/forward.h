// The forward pass: reads like section 3 of the paper.
#pragma once

#include "asmlp/engine/packed_weights.h"
#include "asmlp/engine/plan.h"

namespace asmlp {

// input: batch x in_chans x height x width; fills plan.logits, pooled, final_map and features.
// Neither allocates nor throws. `batch` is within the plan's.
void forward(const Config& config, const PackedWeights& weights, const EngineOptions& options,
             const float* input, int batch, Plan& plan) noexcept;

}  // namespace asmlp
