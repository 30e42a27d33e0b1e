// What a region proposal network proposes for one image.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "asmlp/detection/box_coder.h"
#include "asmlp/detection/nms.h"
#include "asmlp/detection/parallel.h"

namespace asmlp::detect {

// The network's outputs on a level, a row per cell: anchor a of cell c has the logit
// logits[c * logit_stride + a], the deltas deltas[c * delta_stride + 4 a + {0, 1, 2, 3}], and the
// box anchors[c * A + a], A being the anchors per cell.
struct RpnLevel {
  const float* logits;
  int64_t logit_stride;
  const float* deltas;
  int64_t delta_stride;
  std::span<const Box> anchors;  // anchors.h
};

struct Proposals {
  std::vector<Box> boxes;     // clipped; those of no area stay unless min_size drops them
  std::vector<float> scores;  // falling
};

// Scratch memory of propose: nothing is allocated for as many anchors (of all levels), levels, and
// proposals as were reserved.
struct ProposalMemory {
  struct Level {
    size_t first_key, first_box, boxes;
  };
  std::vector<Level> levels;
  std::vector<uint64_t> keys;
  Proposals best;  // of each level
  std::vector<int32_t> level_of;
  std::vector<int32_t> kept;
  NmsMemory nms;
  void reserve(int64_t anchors, int64_t levels, const ProposalConfig& config);
};

// The best config.before_nms of each level by their sigmoid (equal scores in the order of the
// anchors), decoded and clipped to `image` (without the padding), without boxes of a side below
// config.min_size, suppressed level by level, the best config.kept of all.
//
// Error(kInvalidArgument) when a level's anchors are no multiple of anchors_per_cell, the config's
// numbers are not positive, a logit is NaN, or a box of the best is not finite.
void propose(std::span<const RpnLevel> levels, int anchors_per_cell, const BoxCoder& coder,
             ImageSize image, const ProposalConfig& config, const ParallelFor& parallel,
             ProposalMemory& memory, Proposals& proposals);

}  // namespace asmlp::detect
