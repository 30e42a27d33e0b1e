// The rows of a head that belong to classes, when two models have the same classes in another
// order.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp::nn {

// Brings the rows of classes in the last layers of a classifier ("head"), a detector ("fc_cls",
// whose last row is the background, "fc_reg" with four rows a class, "conv_logits"), and a
// segmentor
// ("conv_seg") from the order `from` to the order `to`. Does nothing, and returns false, unless
// both are the same names, each once, in different order.
bool reorder_class_rows(TensorMap& tensors, const std::vector<std::string>& from,
                        const std::vector<std::string>& to);

}  // namespace asmlp::nn
