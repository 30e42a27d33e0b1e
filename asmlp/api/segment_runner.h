// What Segmentor and the C API have in common.
#pragma once

#include <vector>

#include "asmlp/api/one_caller.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/engine/heads/segmentor.h"

namespace asmlp {

class SegmentRunner {
 public:
  // Checks the options and makes the engine.
  SegmentRunner(std::shared_ptr<const Model> model, const SegmentOptions& options);

  const Model& model() const { return *model_; }

  // Of each image, in their order. Errors: those of Segmentor, OneCaller's, and OutOfMemory; after
  // any error the next run begins anew.
  using Results = std::vector<Segmentation>;
  Results run(const std::vector<ImageView>& images);
  Results run(const TensorView& tensor);
  Results run(const std::filesystem::path& file);
  Results run(const void* bytes, std::size_t size);  // of an image file
  void run(const ImageView& image, const LabelView& out);

  // A child forked in the middle of a run has to leave it as it is (OneCaller).
  bool left_half_done() const { return caller_.left_half_done(); }

 private:
  int channels() const { return model_->info().in_channels; }
  Segmentation result(Image labels) const;

  OneCaller caller_;
  std::shared_ptr<const Model> model_;
  ReadOptions reading_;
  DenseInput input_;
  segment::PredictOptions predict_;
  SegmentorEngine engine_;
};

// As that of DetectRunner.
void discard(std::unique_ptr<SegmentRunner>& runner) noexcept;

}  // namespace asmlp
