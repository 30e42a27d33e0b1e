#include "asmlp/torch/ops/conv/halving.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {
namespace {

struct HalvingMap {
  int64_t images, height, width, channels;
  int64_t out_height() const { return (height + 1) / 2; }
  int64_t out_width() const { return (width + 1) / 2; }
};

// body(pixel of the map, values that lie inside, their place in the row of taps, row) for the three
// lines of the neighborhood of every pixel of output line `line`, counted over all images.
template <typename Body>
void for_tap_lines(const HalvingMap& map, int64_t line, const Body& body) {
  const int64_t image = line / map.out_height(), y = line % map.out_height();
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t from_y = 2 * y + i - 1;
    const bool inside = from_y >= 0 && from_y < map.height;
    for (int64_t x = 0; x < map.out_width(); ++x) {
      const int64_t left = std::max<int64_t>(0, 2 * x - 1);
      const int64_t right = inside ? std::min(map.width, 2 * x + 2) : left;
      body((image * map.height + from_y) * map.width + left, (right - left) * map.channels,
           (3 * i + left - (2 * x - 1)) * map.channels, line * map.out_width() + x);
    }
  }
}

template <typename T>
void gather_taps(const HalvingMap& map, const T* x, T* taps) {
  const int64_t depth = 9 * map.channels, across = 3 * map.channels;
  const int64_t lines = map.images * map.out_height();
  at::parallel_for(0, lines, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      for_tap_lines(map, line, [&](int64_t pixel, int64_t count, int64_t place, int64_t row) {
        T* const out = taps + row * depth;
        T* const group = out + place / across * across;
        std::fill(group, out + place, T(0));
        if (count > 0) std::copy_n(x + pixel * map.channels, count, out + place);
        std::fill(out + place + count, group + across, T(0));
      });
    }
  });
}

// The adjoint: every pixel gets the sum of the taps that it was copied to. An image is one
// thread's.
template <typename T>
void scatter_taps(const HalvingMap& map, const T* taps, T* x) {
  const int64_t size = map.height * map.width * map.channels;
  at::parallel_for(0, map.images, 1, [&](int64_t begin, int64_t end) {
    std::fill(x + begin * size, x + end * size, T(0));
    for (int64_t line = begin * map.out_height(); line < end * map.out_height(); ++line) {
      for_tap_lines(map, line, [&](int64_t pixel, int64_t count, int64_t place, int64_t row) {
        const T* const from = taps + row * 9 * map.channels + place;
        T* const to = x + pixel * map.channels;
        for (int64_t k = 0; k < count; ++k) to[k] = to[k] + from[k];
      });
    }
  });
}

torch::Tensor taps_of(const torch::Tensor& x) {
  const HalvingMap map{x.size(0), x.size(1), x.size(2), x.size(3)};
  const auto in = x.contiguous();
  auto taps =
      torch::empty({map.images, map.out_height(), map.out_width(), 9 * map.channels}, x.options());
  AT_DISPATCH_FLOATING_TYPES_AND(torch::kBFloat16, x.scalar_type(), "halving_taps", [&] {
    gather_taps(map, in.data_ptr<scalar_t>(), taps.data_ptr<scalar_t>());
  });
  return taps;
}

torch::Tensor map_of_taps(const torch::Tensor& taps, int64_t height, int64_t width) {
  const HalvingMap map{taps.size(0), height, width, taps.size(3) / 9};
  const auto in = taps.contiguous();
  auto x = torch::empty({map.images, height, width, map.channels}, taps.options());
  AT_DISPATCH_FLOATING_TYPES_AND(torch::kBFloat16, taps.scalar_type(), "halving_taps_adjoint", [&] {
    scatter_taps(map, in.data_ptr<scalar_t>(), x.data_ptr<scalar_t>());
  });
  return x;
}

class HalvingAdjoint : public torch::autograd::Function<HalvingAdjoint> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& taps,
                               int64_t height, int64_t width) {
    return map_of_taps(taps, height, width);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {halving_taps(gradients[0]), {}, {}};
  }
};

class HalvingTaps : public torch::autograd::Function<HalvingTaps> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x) {
    context->saved_data["height"] = x.size(1);
    context->saved_data["width"] = x.size(2);
    return taps_of(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {HalvingAdjoint::apply(gradients[0], context->saved_data["height"].toInt(),
                                  context->saved_data["width"].toInt())};
  }
};

}  // namespace

torch::Tensor halving_taps(const torch::Tensor& x) {
  require(x.dim() == 4, ErrorCode::kInvalidArgument,
          "the map to halve is {}, must be N x H x W x C",
          to_string(Shape(x.sizes().begin(), x.sizes().end())));
  return HalvingTaps::apply(x);
}

torch::Tensor halving_conv(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias) {
  require(x.dim() == 4 && weight.dim() == 4 && weight.size(1) == x.size(3) && weight.size(2) == 3 &&
              weight.size(3) == 3,
          ErrorCode::kInvalidArgument, "halving convolution: map {} does not fit the weight {}",
          to_string(Shape(x.sizes().begin(), x.sizes().end())),
          to_string(Shape(weight.sizes().begin(), weight.sizes().end())));
  if (!x.is_cpu()) {
    return torch::conv2d(x.permute({0, 3, 1, 2}), weight, bias, 2, 1).permute({0, 2, 3, 1});
  }
  return fused_linear(halving_taps(x), weight.permute({0, 2, 3, 1}).flatten(1), bias);
}

}  // namespace asmlp::nn
