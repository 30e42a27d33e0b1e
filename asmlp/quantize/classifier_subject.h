// Classifiers and backbones, as the quantization sees them.
#pragma once

#include "asmlp/engine/engine.h"
#include "asmlp/quantize/subject.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp {

// Images as the network takes them, of one size, as often as they are wanted.
struct NetworkInputs {
  int height = 0;
  int width = 0;
  // Writes image `index`, in_chans x height x width, normalized. Called by one thread at a time.
  std::function<void(int64_t index, std::span<float> out)> read;
};

// The outputs are the logits, or, of a model without classes, the pooled features: one row an
// image.
class ClassifierSubject : public QuantizationSubject {
 public:
  // Both must outlive this.
  ClassifierSubject(const Checkpoint& checkpoint, const NetworkInputs& inputs)
      : checkpoint_(checkpoint), inputs_(inputs) {}

  std::vector<LayerInput> inputs() const override { return layer_inputs(checkpoint_.spec.config); }
  const TensorMap& tensors() const override { return checkpoint_.tensors; }
  void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
               InputObserver& observer, const ImageCounter& progress) const override;
  std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                  int threads, const ImageCounter& progress) const override;

 private:
  const Checkpoint& checkpoint_;
  const NetworkInputs& inputs_;
};

}  // namespace asmlp
