// A model of any task, as the quantization sees it.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/quantize/layer_inputs.h"

namespace asmlp {

class InputObserver;

// Told of the images that are done since the last call.
using ImageCounter = std::function<void(int images)>;

// Rows of `width` outputs. With `classes` a row's outputs are scores of classes, of which a softmax
// does not see the mean.
struct OutputPart {
  std::vector<float> values;
  int width = 1;
  bool classes = false;
};

// How far outputs are from those of another model with the same architecture.
struct OutputDifference {
  // Of a part: root of the sum of squared differences over the root of the sum of squares of the
  // reference. Of several: the root of their mean square. Infinite when numbers are not finite.
  double error = 0;
  double agreement = 1;  // share of rows with the same first class; 1 without classes
};

// Of two results of QuantizationSubject::outputs for the same images, at least one.
OutputDifference difference(std::span<const OutputPart> reference,
                            std::span<const OutputPart> outputs);

class QuantizationSubject {
 public:
  virtual ~QuantizationSubject() = default;

  // What the layers that may be int8 read.
  virtual std::vector<LayerInput> inputs() const = 0;
  // In fp32; without batch norms.
  virtual const TensorMap& tensors() const = 0;
  // Shows what the layers read when a model with `tensors`, all in fp32, looks at these images.
  // `threads` as ThreadPool has it, here and below; nothing depends on it. `progress` may be empty.
  virtual void observe(const TensorMap& tensors, std::span<const int64_t> images, int threads,
                       InputObserver& observer, const ImageCounter& progress) const = 0;
  // The outputs of a model with `tensors`, whose layers may be in int8. Always the same parts.
  virtual std::vector<OutputPart> outputs(const TensorMap& tensors, std::span<const int64_t> images,
                                          int threads, const ImageCounter& progress) const = 0;
};

}  // namespace asmlp
