#include "asmlp/torch/data/dense_input.h"

namespace asmlp::data {

torch::Tensor normalized(const Image& rgb, const DenseInput& input) {
  const CvSize size = padded_size({rgb.height, rgb.width}, input);
  const torch::Tensor out = torch::empty({rgb.channels, size.height, size.width});
  normalize_into(rgb, input, size.height, size.width,
                 {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out;
}

TensorSample test_sample(const Image& rgb, const DenseInput& input) {
  const CvSize size = fitted_size(rgb.height, rgb.width, input.short_side, input.long_side);
  TensorSample sample;
  sample.image = normalized(resize_bilinear(rgb, size), input);
  sample.info.height = size.height;
  sample.info.width = size.width;
  sample.info.padded_height = sample.image.size(1);
  sample.info.padded_width = sample.image.size(2);
  sample.info.original_height = rgb.height;
  sample.info.original_width = rgb.width;
  return sample;
}

}  // namespace asmlp::data
