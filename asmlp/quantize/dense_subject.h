// Detectors and segmentors, as the quantization sees them.
#pragma once

#include "asmlp/image/image.h"
#include "asmlp/quantize/subject.h"

namespace asmlp {

// Image `index`, in the channels that the network takes. Called by one thread at a time.
using ImageSource = std::function<Image(int64_t index)>;

// The outputs are the RPN's logits (some thousand an image), and, of some regions that are the same
// for all images, the probabilities of the classes and the masks.
class DetectorSubject : public QuantizationSubject {
 public:
  // `tensors` are the official ones, of spec.config; `images` must outlive this.
  DetectorSubject(DetectorSpec spec, const TensorMap& tensors, const ImageSource& images);

  std::vector<LayerInput> inputs() const override { return layer_inputs(spec_.config); }
  const TensorMap& tensors() const override { return tensors_; }
  void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
               InputObserver& observer, const ImageCounter& progress) const override;
  std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                  int threads, const ImageCounter& progress) const override;

 private:
  DetectorSpec spec_;
  TensorMap tensors_;
  const ImageSource& images_;
};

// The outputs are the logits of some hundred pixels of an image, spread evenly.
class SegmentorSubject : public QuantizationSubject {
 public:
  SegmentorSubject(SegmentorSpec spec, const TensorMap& tensors, const ImageSource& images);

  std::vector<LayerInput> inputs() const override { return layer_inputs(spec_.config); }
  const TensorMap& tensors() const override { return tensors_; }
  void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
               InputObserver& observer, const ImageCounter& progress) const override;
  std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                  int threads, const ImageCounter& progress) const override;

 private:
  SegmentorSpec spec_;
  TensorMap tensors_;
  const ImageSource& images_;
};

}  // namespace asmlp
