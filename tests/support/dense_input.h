// How tests prepare images for a detector or a segmentor.
#pragma once

#include "asmlp/model/dense_spec.h"

namespace asmlp::test {

// Nothing is normalized or padded.
inline DenseInput plain_input() {
  DenseInput input;
  input.pad_multiple = 1;
  input.mean = {0, 0, 0};
  input.std = {1, 1, 1};
  return input;
}

}  // namespace asmlp::test
