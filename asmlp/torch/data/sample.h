// One image on its way to a network, and where such samples come from.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// What goes with an image whose size its batch does not tell. Sizes are in pixels.
struct ImageInfo {
  int64_t index = 0;  // in the data set
  // Of the image in the batch, without any padding; then with its own padding (the batch may be
  // larger still); then as it is in the file.
  int64_t height = 0, width = 0;
  int64_t padded_height = 0, padded_width = 0;
  int64_t original_height = 0, original_width = 0;

  // Training of a detector: the objects. Undefined otherwise.
  torch::Tensor boxes;   // G x 4: x1, y1, x2, y2 in pixels of the image in the batch
  torch::Tensor labels;  // int64, G: classes from 0
  // Of the M <= G objects that have an outline, uint8, M x padded_height x padded_width of 0 and 1;
  // and the row of each object there, int64, G, -1 without one. Both undefined where no masks are
  // trained.
  torch::Tensor masks, mask_rows;

  // Validation of a segmentor: the classes of the file's pixels, uint8, original_height x
  // original_width, 255 where there is none. Undefined otherwise.
  torch::Tensor label_map;
};

struct TensorSample {
  // channels x height x width, fp32, normalized; a detector's or segmentor's has its padded size.
  // For validation of a segmentor, which resizes by itself, uint8 as in the file.
  torch::Tensor image;
  // Of a classifier: the class, int64, without dimensions. Training of a segmentor: the classes of
  // the pixels, uint8, padded_height x padded_width, 255 where there is none. Undefined otherwise.
  torch::Tensor target;
  ImageInfo info;  // of detectors and segmentors
};

// How samples become a batch.
enum class Collation {
  kStack,  // images of one size, with their targets
  kPad,    // images as large as the largest, zeros to the right and below, with their infos;
           // targets likewise, with 255
};

// The samples of a split, by index.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size() const = 0;
  // Reads and augments image `index` in [0, size()). Called from several threads at once. An Error
  // says that the image cannot be used.
  virtual TensorSample get(int64_t index, Random& random) const = 0;
  // Images of one group may share a batch (detection: wide or high); groups count from 0.
  virtual int group(int64_t) const { return 0; }
  virtual Collation collation() const { return Collation::kPad; }
};

}  // namespace asmlp::data
