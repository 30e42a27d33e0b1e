#include "asmlp/torch/ops/conv/levels.h"

#include "asmlp/torch/ops/conv/conv.h"
#include "asmlp/torch/ops/conv/taps.h"
#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// From n x h x w with k * k * channels to n x height x width with `channels`.
struct TapSizes {
  int64_t n, channels, h, w, height, width, kernel;

  TapMap map() const { return {h, w, height, width, channels, kernel}; }
  std::vector<int64_t> coarse() const { return {n, kernel * kernel * channels, h, w}; }
  std::vector<int64_t> fine() const { return {n, channels, height, width}; }
};

torch::Tensor run_taps(const TapSizes& sizes, const torch::Tensor& products) {
  const auto dense = products.contiguous(at::MemoryFormat::ChannelsLast);
  auto y =
      torch::empty(sizes.fine(), dense.options().memory_format(at::MemoryFormat::ChannelsLast));
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "add_taps", [&] {
    const TapMap map = sizes.map();
    const TapWeights<scalar_t> rows(map.h, map.height), columns(map.w, map.width);
    const int64_t in_image = map.h * map.w * map.kernel * map.kernel * map.channels;
    at::parallel_for(0, sizes.n * map.height, 1, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> line;
      for (int64_t row = begin; row < end; ++row) {
        add_taps_of_row(map, rows, columns,
                        dense.data_ptr<scalar_t>() + row / map.height * in_image, row % map.height,
                        y.data_ptr<scalar_t>() + row * map.width * map.channels, line);
      }
    });
  });
  return y;
}

// The adjoint. A thread owns some rows of the coarse map and adds the fine rows in their order, so
// that the sums do not depend on the division.
torch::Tensor run_taps_adjoint(const TapSizes& sizes, const torch::Tensor& dy) {
  const auto dense = dy.contiguous(at::MemoryFormat::ChannelsLast);
  auto d =
      torch::empty(sizes.coarse(), dense.options().memory_format(at::MemoryFormat::ChannelsLast));
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "add_taps_backward", [&] {
    const TapMap map = sizes.map();
    const TapWeights<scalar_t> rows(map.h, map.height), columns(map.w, map.width);
    const int64_t out_image = map.height * map.width * map.channels;
    const int64_t in_row = map.w * map.kernel * map.kernel * map.channels;
    const int64_t bands = std::min<int64_t>(map.h, at::get_num_threads());
    at::parallel_for(0, sizes.n * bands, 1, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> line;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t image = task / bands, band = task % bands;
        const int64_t first = map.h * band / bands, last = map.h * (band + 1) / bands;
        spread_taps(map, rows, columns, dense.data_ptr<scalar_t>() + image * out_image, first, last,
                    d.data_ptr<scalar_t>() + (image * map.h + first) * in_row, line);
      }
    });
  });
  return d;
}

TapSizes saved_sizes(AutogradContext* context) {
  const auto v = context->saved_data["sizes"].toIntVector();
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
}
void save_sizes(AutogradContext* context, const TapSizes& s) {
  context->saved_data["sizes"] =
      std::vector<int64_t>{s.n, s.channels, s.h, s.w, s.height, s.width, s.kernel};
}

// The map is linear, so each of the two is the other's gradient.
struct AddTaps : torch::autograd::Function<AddTaps> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& products,
                               const TapSizes& sizes) {
    save_sizes(context, sizes);
    return run_taps(sizes, products);
  }
  static variable_list backward(AutogradContext* context, const variable_list& d_outputs);
};

struct SpreadTaps : torch::autograd::Function<SpreadTaps> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& dy,
                               const TapSizes& sizes) {
    save_sizes(context, sizes);
    return run_taps_adjoint(sizes, dy);
  }
  static variable_list backward(AutogradContext* context, const variable_list& d_outputs) {
    return {AddTaps::apply(d_outputs[0], saved_sizes(context)), {}};
  }
};

variable_list AddTaps::backward(AutogradContext* context, const variable_list& d_outputs) {
  return {SpreadTaps::apply(d_outputs[0], saved_sizes(context)), {}};
}

torch::Tensor resized_to(const torch::Tensor& x, const torch::Tensor& like) {
  const auto size = like.sizes().slice(2);
  return x.sizes().slice(2) == size ? x : torch::upsample_bilinear2d(x, size, false);
}

void check_levels(const std::vector<torch::Tensor>& levels, const torch::Tensor& weight) {
  int64_t channels = 0;
  for (const auto& level : levels) {
    require(level.dim() == 4 && level.size(0) == levels[0].size(0), ErrorCode::kInvalidArgument,
            "convolution of levels: maps {} and {} must agree in images",
            to_string(Shape(levels[0].sizes().begin(), levels[0].sizes().end())),
            to_string(Shape(level.sizes().begin(), level.sizes().end())));
    channels += level.size(1);
  }
  require(!levels.empty() && weight.dim() == 4 && weight.size(1) == channels &&
              weight.size(2) == weight.size(3) && weight.size(2) % 2 == 1,
          ErrorCode::kInvalidArgument,
          "convolution of levels: {} levels of {} channels in all do not fit the weight {}",
          levels.size(), channels, to_string(Shape(weight.sizes().begin(), weight.sizes().end())));
}

}  // namespace

torch::Tensor add_taps(const torch::Tensor& products, int64_t kernel, int64_t height,
                       int64_t width) {
  require(products.dim() == 4 && kernel % 2 == 1 && products.numel() > 0 && height > 0 &&
              width > 0 && products.size(1) % (kernel * kernel) == 0 && kernel_fits({products}),
          ErrorCode::kInvalidArgument, "add_taps: products {} of {} x {} taps",
          to_string(Shape(products.sizes().begin(), products.sizes().end())), kernel, kernel);
  const TapSizes sizes{products.size(0),
                       products.size(1) / (kernel * kernel),
                       products.size(2),
                       products.size(3),
                       height,
                       width,
                       kernel};
  return AddTaps::apply(products, sizes);
}

torch::Tensor conv_of_levels(const std::vector<torch::Tensor>& levels,
                             const torch::Tensor& weight) {
  check_levels(levels, weight);
  if (widens_bf16(levels[0])) {
    const AutocastGuard fp32(torch::kCPU, torch::kFloat);
    std::vector<torch::Tensor> widened;
    for (const auto& level : levels) widened.push_back(level.to(torch::kFloat));
    return conv_of_levels(widened, weight).to(torch::kBFloat16);
  }
  bool fits = product_fits({weight}) && levels[0].numel() > 0;
  for (const auto& level : levels) fits = fits && product_fits({weight, level});
  if (!fits) return eager_conv_of_levels(levels, weight);
  const int64_t kernel = weight.size(2), height = levels[0].size(2), width = levels[0].size(3);
  std::vector<int64_t> channels;
  for (const auto& level : levels) channels.push_back(level.size(1));
  const auto weights = weight.split_with_sizes(channels, 1);

  // At the first level's size: itself, and what is hardly coarser.
  std::vector<torch::Tensor> fine, fine_weights;
  torch::Tensor sum;
  for (size_t i = 0; i < levels.size(); ++i) {
    const auto& level = levels[i];
    if (2 * level.size(2) * level.size(3) > height * width) {
      fine.push_back(resized_to(level, levels[0]));
      fine_weights.push_back(weights[i]);
      continue;
    }
    const auto taps =
        weights[i].permute({2, 3, 0, 1}).reshape({kernel * kernel * weight.size(0), -1, 1, 1});
    const auto part = add_taps(fused_conv(level, taps, {}), kernel, height, width);
    sum = sum.defined() ? sum + part : part;
  }
  const auto side_by_side = [](const std::vector<torch::Tensor>& parts) {
    return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
  };
  const auto y = fused_conv(side_by_side(fine), side_by_side(fine_weights), {});
  return sum.defined() ? y + sum : y;
}

torch::Tensor eager_conv_of_levels(const std::vector<torch::Tensor>& levels,
                                   const torch::Tensor& weight) {
  std::vector<torch::Tensor> resized;
  for (const auto& level : levels) resized.push_back(resized_to(level, levels[0]));
  return eager_conv(torch::cat(resized, 1), weight, {}, AfterSum::kNothing);
}

}  // namespace asmlp::nn
