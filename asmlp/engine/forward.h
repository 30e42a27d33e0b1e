// The forward pass: reads like section 3 of the paper.
#pragma once

#include "asmlp/engine/packed_weights.h"
#include "asmlp/engine/plan.h"

namespace asmlp {

// input: batch x in_chans x height x width; fills plan.logits, pooled, final_map and features. A
// plan.sink receives the stages' maps. Without `head` they are all there is. Neither allocates nor
// throws. `batch` is within the plan's.
void forward(const Config& config, const BackboneWeights& weights, const ClassifierHead* head,
             const EngineOptions& options, const float* input, int batch, Plan& plan) noexcept;

}  // namespace asmlp
