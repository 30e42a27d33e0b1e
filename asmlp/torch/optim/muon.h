// The update of one matrix by momentum whose directions all have the same length (Jordan et al.,
// "Muon: An optimizer for hidden layers in neural networks", 2024).
#pragma once

#include <torch/types.h>

#include <string>

namespace asmlp::train {

// b = momentum b + (1 - momentum) g,   d = (1 - momentum) g + momentum b   (Nesterov),
// p = (1 - lr wd) p - lr 0.2 sqrt(max(rows, columns)) orthogonal(d);   g the scaled gradient.
// The factor 0.2 sqrt(.) gives an update the size of AdamW's, so that its learning rate and weight
// decay hold for both (Liu et al., "Muon is scalable for LLM training", 2025).
struct MuonUpdate {
  double lr;
  double scale;         // of the gradient
  double weight_decay;  // 0 where none applies
  double momentum;
};

// The parameters that take it: weights of the layers, each a matrix [out][everything else]. The
// patch embedding and the heads ("head", and what has no "layers." in its name) take AdamW's.
bool takes_muon(const std::string& name, int64_t dimensions);

// u v^T of d = u s v^T, nearly: the singular values become 0.7 to 1.2, by five steps of a Newton-
// Schulz iteration with the coefficients 3.4445, -4.7750, 2.0315. d is a matrix of any shape, fp32;
// zeros stay zeros.
torch::Tensor orthogonal(const torch::Tensor& d);

// fp32, contiguous, of one shape, on one device; the parameter has a gradient, and `buffer`, b
// above, is 0 before the first step.
void update_muon(torch::Tensor& parameter, torch::Tensor& buffer, const MuonUpdate& update);

}  // namespace asmlp::train
