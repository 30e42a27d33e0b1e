// One image of a detector's or segmentor's data, ready for a batch.
#pragma once

#include <torch/torch.h>

#include <cstdint>

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
  torch::Tensor masks;   // uint8, G x padded_height x padded_width of 0 and 1

  // Validation of a segmentor: the classes of the file's pixels, uint8, original_height x
  // original_width, 255 where there is none. Undefined otherwise.
  torch::Tensor label_map;
};

struct Item {
  // channels x padded_height x padded_width, fp32, normalized; for validation of a segmentor, which
  // resizes by itself, uint8 as in the file.
  torch::Tensor image;
  // Training of a segmentor: the classes of the pixels, uint8, padded_height x padded_width, 255
  // where there is none. Undefined otherwise.
  torch::Tensor target;
  ImageInfo info;
};

}  // namespace asmlp::data
