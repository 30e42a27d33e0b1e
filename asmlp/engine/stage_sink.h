// Who takes the maps of a backbone's stages: detectors and segmentors.
#pragma once

#include "asmlp/engine/plan.h"

namespace asmlp {

class StageSink {
 public:
  virtual ~StageSink() = default;

  // The map of a stage before its patch merging, of `images` images from `first` on: pixels of
  // plan.channels floats, plan.stride apart; and the statistics of each image's map, of which the
  // stage's own norm is made (the class ASMLP of the authors' detection code). All of the engine's
  // threads are free. Neither may be used after the call.
  virtual void stage(int stage, const StagePlan& plan, const float* map, const ImageNorm* norms,
                     int first, int images) noexcept = 0;
};

}  // namespace asmlp
