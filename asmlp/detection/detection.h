// What a detector finds.
#pragma once

#include <array>

#include "asmlp/detection/box.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp::detect {

// An object, in pixels of the image as it is in the file.
struct Detection {
  std::array<float, 4> box{};  // x1, y1, x2, y2
  float score = 0;             // probability of its class
  int label = 0;               // class, in [0, num_classes)
  MaskRle mask;                // of the size of the image; 0 x 0 of a detector of boxes
  bool operator==(const Detection&) const = default;
};

// The sizes of an image on its way through a detector.
struct InputSizes {
  ImageSize resized;   // in the network's input, without the padding
  ImageSize original;  // in the file
};

}  // namespace asmlp::detect
