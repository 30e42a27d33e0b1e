// The forward pass of UPerNet (Xiao et al., ECCV 2018) as mmseg's UPerHead.
#pragma once

#include "asmlp/engine/heads/segmentor_plan.h"
#include "asmlp/engine/stage_sink.h"

namespace asmlp {

class SegmentorForward : public StageSink, private HeadSteps {
 public:
  SegmentorForward(const SegmentorConfig& config, const SegmentorWeights& weights,
                   SegmentorPlan& plan);

  // input: in_chans x height x width; fills plan.logits. Neither allocates nor throws.
  void run(const float* input) noexcept;

  void stage(int stage, const StagePlan& plan, const float* map, const ImageNorm* norms, int first,
             int images) noexcept override;

 private:
  void pyramid_pooling();
  void pool(const HeadMap& out);
  void top_down();
  void fuse();

  const SegmentorConfig& config_;
  const SegmentorWeights& weights_;
  SegmentorPlan& segmentor_;
};

}  // namespace asmlp
