// Starting a detector or segmentor from weights that exist.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/torch/nn/backbone.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::nn {

struct BackboneReport {
  StateReport state;
  // The shift size that the file says its weights were made for, and sentences that a user should
  // know, as that it is another one than the backbone's, or that the file does not say it.
  std::optional<ShiftSize> shift_size;
  std::vector<std::string> notes;
};

// Copies the weights of a file into the backbone: an ImageNet classifier (ours or the authors'; its
// norm.* and head.*, 4 tensors, are unexpected, the backbone's norm0.*, norm1.*, ... missing), or
// the backbone of a detector or segmentor (the tensors under "backbone."; the others are not
// counted as unexpected). Error(kMismatch) for another shape, or when not one block's weights are
// there.
//
// The backbone's own config decides the shift size, whatever the file says: weights do not show it,
// and the authors themselves start detectors of shift 3 from classifiers of shift 5.
BackboneReport load_backbone(BackboneImpl& backbone, const WeightFile& file);

}  // namespace asmlp::nn
