#include "asmlp/torch/ops/conv/conv.h"

#include "asmlp/torch/ops/conv/neighbors.h"
#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

ConvMap map_of(const torch::Tensor& x, int64_t kernel) {
  return {x.size(0), x.size(2), x.size(3), x.size(1), kernel};
}

// Rows of one block: 256 kB of neighbors, which are half of a core's L2 cache or less; of a
// pointwise convolution what a linear layer takes. At least `least`, to pay for reading the
// weights.
int64_t conv_block_rows(const ConvMap& map, int64_t depth, int64_t out, int64_t least) {
  if (map.kernel == 1) return block_rows(map.channels + out, std::max<int64_t>(least, 112));
  return std::clamp<int64_t>(65'536 / depth, least, 448);
}

// How the depth k * k * channels of a product is divided: into kernel rows where it is long, so
// that a block's neighbors and a panel of the weights stay in the cache.
int64_t parts_of(const ConvMap& map) {
  constexpr int64_t kLongest = 1024;
  return map.depth() > kLongest ? map.kernel : 1;
}

// The weight out x in x k x k in the order of neighbors(): parts of out x (taps * in), and of its
// adjoint: (taps * out) x in with the taps turned around.
torch::Tensor forward_order(const torch::Tensor& weight, int64_t parts) {
  if (weight.size(2) == 1) return weight.contiguous();
  return (parts == 1 ? weight.permute({0, 2, 3, 1}) : weight.permute({2, 0, 3, 1})).contiguous();
}
torch::Tensor adjoint_order(const torch::Tensor& weight) {
  if (weight.size(2) == 1) return weight.contiguous();
  return weight.flip({2, 3}).permute({2, 3, 0, 1}).contiguous();
}
// The inverse of forward_order.
torch::Tensor weight_order(const torch::Tensor& ordered, const torch::Tensor& weight,
                           int64_t parts) {
  const int64_t out = weight.size(0), in = weight.size(1), k = weight.size(2);
  if (k == 1) return ordered.view(weight.sizes());
  return parts == 1 ? ordered.view({out, k, k, in}).permute({0, 3, 1, 2}).contiguous()
                    : ordered.view({k, out, k, in}).permute({1, 3, 0, 2}).contiguous();
}

// y = x * weights by parts of the depth, the weights in one of the orders above.
template <typename T>
class ConvProduct {
 public:
  ConvProduct(const ConvMap& map, const T* weights, int64_t cols, bool transposed, const T* bias)
      : map_(map), parts_(parts_of(map)), cols_(cols) {
    const int64_t depth = map.depth() / parts_;
    for (int64_t part = 0; part < parts_; ++part) {
      factors_.emplace_back(weights + part * depth * cols, depth, cols, transposed,
                            part == 0 ? bias : nullptr);
      pack(factors_.back());
    }
  }
  int64_t parts() const { return parts_; }
  int64_t part_depth() const { return map_.depth() / parts_; }
  // Rows [begin, end) of the set to y, dense.
  void run(const T* x, const RowSet& rows, int64_t begin, int64_t end, T* y,
           std::vector<T>& buffer) const {
    for (int64_t part = 0; part < parts_; ++part) {
      const T* taps = neighbors(map_, x, rows, begin, end, part * map_.kernel / parts_,
                                (part + 1) * map_.kernel / parts_, buffer);
      factors_[static_cast<size_t>(part)].multiply(taps, part_depth(), end - begin, y, part > 0);
    }
  }

 private:
  ConvMap map_;
  int64_t parts_, cols_;
  std::vector<PackedWeights<T>> factors_;
};

template <typename T>
void conv_forward(const ConvMap& map, const T* x, const T* weights, const T* bias, T* y,
                  int64_t out, AfterSum after) {
  const ConvProduct<T> product(map, weights, out, /*transposed=*/true, bias);
  parallel_blocks(map.rows(), conv_block_rows(map, product.part_depth(), out, 96),
                  Schedule::kDynamic, [&](int64_t begin, int64_t end) {
                    thread_local std::vector<T> buffer;
                    product.run(x, {map.rows()}, begin, end, y + begin * out, buffer);
                    if (after == AfterSum::kRelu) relu(y + begin * out, (end - begin) * out);
                  });
}

// The rows of a gradient that are not zero. Where detectors sample some anchors and regions, most
// of them are.
class ActiveRows {
 public:
  ActiveRows(const ConvMap& map, std::vector<uint8_t> active)
      : map_(map), active_(std::move(active)), rows_(listed(active_, list_)) {}

  const RowSet& rows() const { return rows_; }

  // The rows whose neighbors are among these; valid as long as this.
  RowSet reached() {
    if (rows_.list == nullptr || map_.kernel == 1) return rows_;
    const int64_t reach = map_.kernel / 2;
    std::vector<uint8_t> marks(active_.size(), 0);
    for (const int64_t row : list_) {
      const int64_t x = row % map_.width, y = row / map_.width % map_.height;
      const int64_t left = std::max<int64_t>(0, x - reach),
                    right = std::min(map_.width, x + reach + 1);
      for (int64_t i = std::max<int64_t>(0, y - reach); i < std::min(map_.height, y + reach + 1);
           ++i) {
        const auto line = marks.begin() + (row - x + (i - y) * map_.width);
        std::fill(line + left, line + right, uint8_t{1});
      }
    }
    return listed(marks, reached_);
  }

 private:
  // All rows where a list would save little: a quarter of them pays for finding the others.
  static RowSet listed(const std::vector<uint8_t>& marks, std::vector<int64_t>& list) {
    const auto count = std::ssize(marks);
    const int64_t marked = std::count(marks.begin(), marks.end(), uint8_t{1});
    if (4 * marked > 3 * count) return {count};
    list.reserve(static_cast<size_t>(marked) + 1);
    for (int64_t row = 0; row < count; ++row) {
      if (marks[static_cast<size_t>(row)] != 0) list.push_back(row);
    }
    return {marked, list.data()};
  }

  ConvMap map_;
  std::vector<uint8_t> active_;
  std::vector<int64_t> list_, reached_;
  RowSet rows_;
};

// Rows [begin, end) of the set side by side, in `buffer` or where they are.
template <typename T>
const T* gathered(const T* values, int64_t channels, const RowSet& rows, int64_t begin, int64_t end,
                  std::vector<T>& buffer) {
  return neighbors({rows.count, 1, 1, channels, 1}, values, rows, begin, end, 0, 1, buffer);
}

// dx, whose rows outside of the set are zero.
template <typename T>
void conv_adjoint(const ConvMap& map, const T* dz, const T* weights, const RowSet& rows, T* dx,
                  int64_t in) {
  if (rows.list != nullptr) std::fill_n(dx, map.rows() * in, T(0));
  if (rows.count == 0) return;
  const ConvProduct<T> product(map, weights, in, /*transposed=*/false, nullptr);
  parallel_blocks(rows.count, conv_block_rows(map, product.part_depth(), in, 96),
                  Schedule::kDynamic, [&](int64_t begin, int64_t end) {
                    thread_local std::vector<T> buffer, result;
                    if (rows.list == nullptr) {
                      product.run(dz, rows, begin, end, dx + begin * in, buffer);
                      return;
                    }
                    result.resize(static_cast<size_t>((end - begin) * in));
                    product.run(dz, rows, begin, end, result.data(), buffer);
                    for (int64_t i = begin; i < end; ++i) {
                      std::copy_n(result.data() + (i - begin) * in, in, dx + rows[i] * in);
                    }
                  });
}

// The gradients of weights and bias: sums over the rows, of each of the slices apart.
template <typename T>
void conv_gradients(const ConvMap& map, const T* x, const T* dz, const RowSet& rows, int64_t out,
                    int64_t slices, T* d_weights, T* d_bias) {
  const int64_t parts = parts_of(map), depth = map.depth() / parts;
  at::parallel_for(0, slices, 1, [&](int64_t first, int64_t last) {
    std::vector<T> buffer, compact;
    for (int64_t slice = first; slice < last; ++slice) {
      const int64_t start = rows.count * slice / slices, stop = rows.count * (slice + 1) / slices;
      for_blocks(start, stop, conv_block_rows(map, depth, out, 168),
                 [&](int64_t begin, int64_t end) {
                   const T* values = gathered(dz, out, rows, begin, end, compact);
                   add_columns(values, end - begin, out, d_bias + slice * out);
                   for (int64_t part = 0; part < parts; ++part) {
                     const T* taps = neighbors(map, x, rows, begin, end, part * map.kernel / parts,
                                               (part + 1) * map.kernel / parts, buffer);
                     multiply_transposed(values, out, taps, depth, end - begin, out, depth,
                                         d_weights + (slice * parts + part) * out * depth, depth,
                                         begin != start);
                   }
                 });
    }
  });
}

torch::Tensor run_conv(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& bias, AfterSum after) {
  const SerialBlas serial;
  const ConvMap map = map_of(x, weight.size(2));
  const auto ordered = forward_order(weight, parts_of(map));
  auto y = torch::empty({map.images, weight.size(0), map.height, map.width},
                        x.options().memory_format(kChannelsLast));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "conv", [&] {
    conv_forward<scalar_t>(map, x.data_ptr<scalar_t>(), ordered.data_ptr<scalar_t>(),
                           data_or_null<scalar_t>(bias), y.data_ptr<scalar_t>(), weight.size(0),
                           after);
  });
  return y;
}

// dz = dy behind the ReLU, whose result is y (undefined without one), and the rows where it is not
// 0.
template <typename T>
std::pair<torch::Tensor, std::vector<uint8_t>> behind_relu(const torch::Tensor& y,
                                                           const torch::Tensor& dy) {
  const int64_t channels = dy.size(1), rows = dy.numel() / channels;
  const auto dz = y.defined() ? torch::empty_like(dy) : dy;
  std::vector<uint8_t> active(static_cast<size_t>(rows));
  const T* results = data_or_null<T>(y);
  at::parallel_for(0, rows, (1 << 15) / channels + 1, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * channels;
    relu_backward(results != nullptr ? results + at : nullptr, dy.data_ptr<T>() + at,
                  dz.data_ptr<T>() + at, end - begin, channels, active.data() + begin);
  });
  return {dz, std::move(active)};
}

// Of the gradients, those that are wanted: not null. d_bias comes with d_weight.
template <typename T>
void run_backward(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& y,
                  const torch::Tensor& dy, torch::Tensor* dx, torch::Tensor* d_weight,
                  torch::Tensor* d_bias) {
  const ConvMap map = map_of(x, weight.size(2));
  const int64_t out = weight.size(0), parts = parts_of(map);
  auto [dz, marks] = behind_relu<T>(y, dy);
  ActiveRows active(map, std::move(marks));
  const RowSet rows = active.rows();
  if (d_weight != nullptr) {
    const int64_t slices = slice_count(rows.count, 64);
    const auto sums = rows.count > 0 ? torch::empty({slices, map.depth() * out}, x.options())
                                     : torch::zeros({slices, map.depth() * out}, x.options());
    const auto bias_sums = torch::zeros({slices, out}, x.options());
    if (rows.count > 0) {
      conv_gradients(map, x.data_ptr<T>(), dz.template data_ptr<T>(), rows, out, slices,
                     sums.data_ptr<T>(), bias_sums.data_ptr<T>());
    }
    *d_weight = weight_order(slices == 1 ? sums[0] : sums.sum(0), weight, parts);
    *d_bias = slices == 1 ? bias_sums[0] : bias_sums.sum(0);
  }
  if (dx != nullptr) {
    *dx = torch::empty(x.sizes(), x.options().memory_format(kChannelsLast));
    const ConvMap adjoint{map.images, map.height, map.width, out, map.kernel};
    conv_adjoint(adjoint, dz.template data_ptr<T>(), adjoint_order(weight).template data_ptr<T>(),
                 active.reached(), dx->data_ptr<T>(), map.channels);
  }
}

class ConvFunction : public torch::autograd::Function<ConvFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const c10::optional<torch::Tensor>& optional_bias, AfterSum after) {
    const auto bias = optional_bias.value_or(torch::Tensor());
    const auto y = run_conv(x, weight, bias, after);
    context->save_for_backward({x, weight, bias, after == AfterSum::kRelu ? y : torch::Tensor()});
    context->saved_data["after"] = static_cast<int64_t>(after);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &y = saved[3];
    const auto after = static_cast<AfterSum>(context->saved_data["after"].toInt());
    if (at::GradMode::is_enabled()) {
      auto result = differentiable_gradients({eager_conv(x, weight, bias, after)},
                                             {x, weight, bias}, {gradients[0]});
      result.emplace_back();
      return result;
    }
    const SerialBlas serial;
    const bool of_weights = weight.requires_grad() || (bias.defined() && bias.requires_grad());
    torch::Tensor dx, d_weight, d_bias;
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "conv_backward", [&] {
      run_backward<scalar_t>(x, weight, y, gradients[0].contiguous(kChannelsLast),
                             context->needs_input_grad(0) ? &dx : nullptr,
                             of_weights ? &d_weight : nullptr, &d_bias);
    });
    if (!bias.defined()) d_bias.reset();
    return {dx, d_weight, d_bias, {}};
  }
};

void check_conv(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  require(x.dim() == 4 && weight.dim() == 4 && x.size(1) == weight.size(1) && weight.size(1) > 0 &&
              weight.size(2) == weight.size(3) && weight.size(2) % 2 == 1 &&
              (!bias.defined() || bias.numel() == weight.size(0)),
          ErrorCode::kInvalidArgument, "convolution: input {} does not fit the weight {}",
          to_string(Shape(x.sizes().begin(), x.sizes().end())),
          to_string(Shape(weight.sizes().begin(), weight.sizes().end())));
}

}  // namespace

torch::Tensor fused_conv(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, AfterSum after) {
  check_conv(x, weight, bias);
  if (widens_bf16(x)) {
    const AutocastGuard fp32(torch::kCPU, torch::kFloat);
    return fused_conv(x.to(torch::kFloat), weight, bias, after).to(torch::kBFloat16);
  }
  if (x.numel() == 0 || !product_fits({x, weight, bias})) {
    return eager_conv(x, weight, bias, after);
  }
  const auto map = x.contiguous(kChannelsLast);
  const auto offset = bias.defined() ? bias.contiguous() : bias;
  if (needs_gradient({x, weight, bias})) {
    return ConvFunction::apply(map, weight, optional(offset), after);
  }
  return run_conv(map, weight, offset, after);
}

torch::Tensor eager_conv(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, AfterSum after) {
  const auto y = torch::conv2d(x, weight, bias, 1, weight.size(2) / 2);
  return after == AfterSum::kRelu ? torch::relu(y) : y;
}

torch::Tensor fused_dense(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, AfterSum after) {
  require(x.dim() == 2 && weight.dim() == 2, ErrorCode::kInvalidArgument,
          "layer: input of {} and weight of {} dimensions, must be matrices", x.dim(),
          weight.dim());
  const auto as_map = [](const torch::Tensor& matrix) { return matrix.unsqueeze(2).unsqueeze(3); };
  return fused_conv(as_map(x), as_map(weight), bias, after).flatten(1);
}

torch::Tensor upsampled_conv(const torch::Tensor& x, const torch::Tensor& up_weight,
                             const torch::Tensor& up_bias, const torch::Tensor& weight,
                             const torch::Tensor& bias) {
  require(x.dim() == 4 && up_weight.dim() == 4 && up_weight.size(0) == x.size(1) &&
              up_weight.size(2) == 2 && up_weight.size(3) == 2,
          ErrorCode::kInvalidArgument, "upsampling: input {} does not fit the weight {}",
          to_string(Shape(x.sizes().begin(), x.sizes().end())),
          to_string(Shape(up_weight.sizes().begin(), up_weight.sizes().end())));
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3), middle = up_weight.size(1);
  const auto projection =
      up_weight.permute({2, 3, 1, 0}).reshape({4 * middle, up_weight.size(0), 1, 1});
  const auto cells = fused_conv(x, projection, up_bias.repeat(4), AfterSum::kRelu);
  // The cells' four parts one below the other: N x middle x (h * w) x 4, channels-last still.
  const auto parts =
      cells.permute({0, 2, 3, 1}).reshape({n, h * w, 4, middle}).permute({0, 3, 1, 2});
  const int64_t out = weight.size(0);
  return fused_conv(parts, weight, bias)
      .reshape({n, out, h, w, 2, 2})
      .permute({0, 1, 2, 4, 3, 5})
      .reshape({n, out, 2 * h, 2 * w});
}

}  // namespace asmlp::nn
