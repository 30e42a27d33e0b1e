// The forward pass of a detector, and what becomes of the regions.
#pragma once

#include <span>
#include <vector>

#include "asmlp/detection/detection.h"
#include "asmlp/detection/mask_paste.h"
#include "asmlp/detection/parallel.h"
#include "asmlp/detection/proposals.h"
#include "asmlp/detection/roi_kernels.h"
#include "asmlp/detection/roi_samples.h"
#include "asmlp/detection/select.h"
#include "asmlp/engine/heads/detector_plan.h"
#include "asmlp/engine/stage_sink.h"

namespace asmlp {

// Memory of what has no size before the network has run; it keeps what it has grown to.
struct RegionMemory {
  explicit RegionMemory(int threads) : sampling(threads), paste(threads) {}
  // For what such a plan usually leads to.
  void reserve(const DetectorConfig& config, const DetectorPlan& plan);

  // Regions of all images of a batch: those of image i are [first[i], first[i + 1]).
  std::vector<detect::Box> boxes;
  std::vector<int64_t> first;
  std::vector<float> outputs;  // rows of a box head's columns
  std::vector<float> sums;     // of the logits of a cascade's stages, rows of as many
  std::vector<int> labels;     // of found objects
  std::vector<float> masks;    // probabilities of the found objects' pixels

  std::vector<detect::RpnLevel> levels;
  detect::Proposals proposals;
  detect::ProposalMemory proposing;
  detect::SelectMemory selecting;
  std::vector<detect::Found> found;  // per image
  struct Sampling {
    detect::RoiSamples<float> samples;
    std::vector<detect::Term<float>> terms;
  };
  std::vector<Sampling> sampling;  // per thread
  std::vector<detect::PasteMemory> paste;
};

class DetectorForward : public StageSink, private HeadSteps {
 public:
  DetectorForward(const DetectorConfig& config, const DetectorWeights& weights, DetectorPlan& plan,
                  RegionMemory& memory);

  // input: sizes.size() x in_chans x height x width. Error(kInvalidArgument) when the network's
  // outputs are not finite.
  std::vector<std::vector<detect::Detection>> run(const float* input,
                                                  std::span<const detect::InputSizes> sizes);

  // The heads alone, on given regions of one input: memory.outputs with probabilities in the place
  // of logits, and memory.masks of the class region % num_classes.
  void describe(const float* input, const detect::InputSizes& size,
                std::span<const detect::Box> boxes);

  void stage(int stage, const StagePlan& plan, const float* map, const ImageNorm* norms, int first,
             int images) noexcept override;

 private:
  // Of `images` images.
  HeadMap part(HeadMap map) const { return map.images = images_at_work_, map; }
  void maps(const float* input);
  void top_down();
  void propose_regions();
  void rpn(size_t level);

  // The image that a region belongs to.
  int64_t image_of(int64_t region) const;
  // Pools regions [begin, end) of boxes to rows of bins x bins pixels, in region_maps[0].
  HeadMap pool(int64_t begin, int64_t end, int bins);
  // relu(conv) for each layer, from one of region_maps to the other and back.
  HeadMap through(const std::vector<PackedConv>& layers, HeadMap map);
  // The same memory's other half.
  float* other_than(const float* map) const {
    return detector_.region_maps[map == detector_.region_maps[0]];
  }
  void classify();
  // A box head of regions [begin, end), to memory_.outputs.
  void box_group(const BoxHeadWeights& head, int64_t begin, int64_t end);
  void refine(size_t stage);
  void suppress();
  // The regions become those of the found objects; their masks' probabilities.
  void predict_masks();
  void mask_heads();
  void mask_group(const MaskHeadWeights& head, int64_t begin, int64_t end);
  std::vector<std::vector<detect::Detection>> results();
  void paste(std::vector<std::vector<detect::Detection>>& detections);

  int64_t work_of(const BoxHeadWeights& head) const;

  int64_t logits() const { return config_.num_classes + 1; }
  int64_t output_stride() const;
  float* output_row(int64_t region) { return memory_.outputs.data() + region * output_stride(); }
  int64_t mask_pixels() const { return int64_t{4} * config_.roi.mask_size * config_.roi.mask_size; }
  const DetectorConfig& config_;
  const DetectorWeights& weights_;
  DetectorPlan& detector_;
  RegionMemory& memory_;
  std::span<const detect::InputSizes> sizes_;
  int images_at_work_ = 0;
  detect::ParallelFor parallel_;
};

}  // namespace asmlp
