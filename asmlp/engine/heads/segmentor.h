// Segmentors on the engine: UPerNet (Xiao et al., ECCV 2018) without its auxiliary head.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "asmlp/engine/engine.h"
#include "asmlp/image/image.h"
#include "asmlp/model/segmentor_config.h"
#include "asmlp/segmentation/predict.h"

namespace asmlp {

struct SegmentorWeights;

// As PackedDetector (detector.h). The tensors of the auxiliary head may be missing; they are not
// used.
class PackedSegmentor {
 public:
  static std::shared_ptr<const PackedSegmentor> create(SegmentorSpec spec, const TensorMap& tensors,
                                                       const PackOptions& options = {});
  ~PackedSegmentor();

  const SegmentorSpec& spec() const { return spec_; }
  const SegmentorConfig& config() const { return spec_.config; }
  Isa isa() const { return options_.isa; }  // never kAuto
  Precision precision() const { return options_.precision; }
  const SegmentorWeights& weights() const { return *weights_; }

 private:
  PackedSegmentor(SegmentorSpec spec, const PackOptions& options);
  SegmentorSpec spec_;
  PackOptions options_;
  std::unique_ptr<const SegmentorWeights> weights_;
};

struct SegmentorOptions {
  int threads = 0;       // 0 takes every core the process may use; results do not depend on it
  bool profile = false;  // also measure the time of every step (profile())
};

// Labels pixels. Owns threads and scratch memory: one per caller, not thread-safe. Plans as
// DetectorEngine's.
class SegmentorEngine {
 public:
  // Error(kInvalidArgument) for options out of range.
  SegmentorEngine(std::shared_ptr<const PackedSegmentor> model,
                  const SegmentorOptions& options = {});
  ~SegmentorEngine();
  SegmentorEngine(SegmentorEngine&&) noexcept;
  SegmentorEngine& operator=(SegmentorEngine&&) noexcept;

  const PackedSegmentor& model() const { return *model_; }
  int threads() const;

  // Labels 0..num_classes-1, H x W x 1 (segmentation/predict.h). `input` is the preprocessing to
  // use: model().spec().preprocessing, or another size. Errors: segment::predict's.
  Image segment(const Image& image, const DenseInput& input,
                const segment::PredictOptions& options = {});
  Image segment(const Image& image, const segment::PredictOptions& options = {});

  // The decode head's logits of one normalized input, in_chans x height x width: on the backbone's
  // finest map, pixel by pixel. They stay valid until the next run.
  segment::LogitView logits(std::span<const float> input, int height, int width);

  // As DetectorEngine::observe.
  void observe(ProductObserver* observer);

  // With options.profile, as DetectorEngine's; the heads' steps are "laterals", "pooling",
  // "pyramid", "fusion" (and the classes).
  std::vector<ProfileEntry> profile() const;
  void reset_profile();

 private:
  struct State;
  std::shared_ptr<const PackedSegmentor> model_;
  std::unique_ptr<State> state_;
};

}  // namespace asmlp
