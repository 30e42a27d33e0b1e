// Detectors and segmentors, as the quantization sees them.
#pragma once

#include <utility>

#include "asmlp/image/image.h"
#include "asmlp/quantize/subject.h"
#include "asmlp/weights/fold_batch_norm.h"

namespace asmlp {

// Image `index`, in the channels that the network takes. Called by one thread at a time.
using ImageSource = std::function<Image(int64_t index)>;

// What the subjects of detectors and segmentors share. `Spec` is DetectorSpec or SegmentorSpec.
template <typename Spec>
class DenseSubject : public QuantizationSubject {
 public:
  // `tensors` are the official ones, of spec.config; `images` must outlive this.
  DenseSubject(Spec spec, const TensorMap& tensors, const ImageSource& images)
      : spec_(std::move(spec)), tensors_(fold_batch_norms(tensors)), images_(images) {}

  std::vector<LayerInput> inputs() const override { return layer_inputs(spec_.config); }
  const TensorMap& tensors() const override { return tensors_; }

 protected:
  Spec spec_;
  TensorMap tensors_;
  const ImageSource& images_;
};

// The outputs are the RPN's logits (some thousand an image), and, of some regions that are the same
// for all images, the probabilities of the classes and the masks.
class DetectorSubject : public DenseSubject<DetectorSpec> {
 public:
  using DenseSubject::DenseSubject;
  void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
               InputObserver& observer, const ImageCounter& progress) const override;
  std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                  int threads, const ImageCounter& progress) const override;
};

// The outputs are the logits of some hundred pixels of an image, spread evenly.
class SegmentorSubject : public DenseSubject<SegmentorSpec> {
 public:
  using DenseSubject::DenseSubject;
  void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
               InputObserver& observer, const ImageCounter& progress) const override;
  std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                  int threads, const ImageCounter& progress) const override;
};

}  // namespace asmlp
