#include "asmlp/onnx/layers.h"

#include <algorithm>
#include <limits>
#include <numbers>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Value = GraphBuilder::Value;

constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();

}  // namespace

const Tensor& OnnxLayers::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  require(found != tensors_.end(), ErrorCode::kMismatch, "the weights have no '{}'", name);
  return found->second;
}

Value OnnxLayers::conv(const std::string& name, const Value& x, const Window& window) {
  const Tensor& weight = tensor(name + ".weight");
  const int64_t out = weight.shape.at(0);
  std::vector<Value> inputs{x, graph_.weight(name + ".weight", weight, weight.shape)};
  if (const auto bias = tensors_.find(name + ".bias"); bias != tensors_.end()) {
    inputs.push_back(graph_.weight(name + ".bias", bias->second, {out}));
  }
  const std::vector<int64_t> pads{window.before, window.before, window.after, window.after};
  return graph_.node("Conv", inputs,
                     {{"kernel_shape", std::vector<int64_t>{window.kernel, window.kernel}},
                      {"strides", std::vector<int64_t>{window.stride, window.stride}},
                      {"pads", pads}});
}

Value OnnxLayers::linear(const std::string& name, const Value& rows) {
  const Tensor &weight = tensor(name + ".weight"), &bias = tensor(name + ".bias");
  return graph_.node("Gemm",
                     {rows, graph_.weight(name + ".weight", weight, weight.shape),
                      graph_.weight(name + ".bias", bias, bias.shape)},
                     {{"transB", int64_t{1}}});
}

Value OnnxLayers::affine(const std::string& name, const Value& x) {
  const Tensor &gamma = tensor(name + ".weight"), &beta = tensor(name + ".bias");
  const Shape shape{gamma.shape.at(0), 1, 1};
  const Value scaled = graph_.node("Mul", {x, graph_.weight(name + ".weight", gamma, shape)});
  return add(scaled, graph_.weight(name + ".bias", beta, shape));
}

Value OnnxLayers::norm(const std::string& name, const Value& x) {
  // In two passes, which keeps the digits that a difference of squares loses.
  const std::vector<int64_t> axes{1, 2, 3};
  const Value mean = graph_.node("ReduceMean", {x}, {{"axes", axes}});
  const Value centered = graph_.node("Sub", {x, mean});
  const Value square = graph_.node("Mul", {centered, centered});
  const Value variance = graph_.node("ReduceMean", {square}, {{"axes", axes}});
  const Value deviation = graph_.node("Sqrt", {add(variance, graph_.scalar(kNormEps))});
  return affine(name, graph_.node("Div", {centered, deviation}));
}

Value OnnxLayers::gelu(const Value& x) {
  const Value root = graph_.scalar(static_cast<float>(std::numbers::sqrt2));
  const Value erf = graph_.node("Erf", {graph_.node("Div", {x, root})});
  const Value product = graph_.node("Mul", {x, add(erf, graph_.scalar(1))});
  return graph_.node("Mul", {product, graph_.scalar(0.5f)});
}

Value OnnxLayers::mean_of_pixels(const Value& x) {
  return graph_.node("ReduceMean", {x},
                     {{"axes", std::vector<int64_t>{2, 3}}, {"keepdims", int64_t{0}}});
}

Value OnnxLayers::slice(const Value& x, const std::vector<int64_t>& begin,
                        const std::vector<int64_t>& end, const std::vector<int64_t>& axes,
                        const std::vector<int64_t>& steps) {
  return graph_.node(
      "Slice", {x, graph_.ints(begin), graph_.ints(end), graph_.ints(axes), graph_.ints(steps)});
}

Value OnnxLayers::extent(const Value& x, MapAxis axis) {
  const auto at = static_cast<int64_t>(axis);
  return graph_.node("Shape", {x}, {{"start", at}, {"end", at + 1}});
}

// padded_index of model/config.h for the positions -before .. extent + after - 1. ONNX's own modes
// do for zeros and replicated borders; its reflection ends at one period, and opset 17 has no
// circular mode, so those two are gathered.
Value OnnxLayers::padded(const Value& x, MapAxis axis, int64_t before, int64_t after,
                         Padding padding) {
  if (padding == Padding::kZero || padding == Padding::kReplicate) {
    std::vector<int64_t> pads(8, 0);  // before and after, N, C, H, W each
    pads[static_cast<size_t>(axis)] = before;
    pads[4 + static_cast<size_t>(axis)] = after;
    const char* mode = padding == Padding::kZero ? "constant" : "edge";
    return graph_.node("Pad", {x, graph_.ints(pads)}, {{"mode", std::string(mode)}});
  }
  const Value one = graph_.int_scalar(1);
  const Value size = graph_.node("Squeeze", {extent(x, axis)});
  const Value end = add(size, graph_.int_scalar(after));
  const Value positions = graph_.node("Range", {graph_.int_scalar(-before), end, one});
  Value index;
  if (padding == Padding::kCircular) {
    index = graph_.node("Mod", {positions, size});  // of the sign of the divisor: never negative
  } else {
    const Value twice = graph_.node("Mul", {graph_.node("Sub", {size, one}), graph_.int_scalar(2)});
    const Value period = graph_.node("Max", {twice, one});
    const Value phase = graph_.node("Mod", {positions, period});
    index = graph_.node("Min", {phase, graph_.node("Sub", {period, phase})});
  }
  return graph_.node("Gather", {x, index}, {{"axis", static_cast<int64_t>(axis)}});
}

Value OnnxLayers::shift(const Value& x, MapAxis axis, int channels, const Config& config) {
  const int positions = axis == MapAxis::kH ? config.shift_size.h : config.shift_size.w;
  const auto shift_of = [&](int c) {
    return int64_t{shift_of_channel(c, channels, positions, config.dilation)};
  };
  // The displacements grow with the channel.
  const int64_t before = std::max<int64_t>(0, shift_of(channels - 1));
  const int64_t after = std::max<int64_t>(0, -shift_of(0));
  if (before == 0 && after == 0) return x;
  const Value wide = padded(x, axis, before, after, config.padding);
  std::vector<Value> groups;
  for (int first = 0; first < channels;) {
    int last = first;
    while (last < channels && shift_of(last) == shift_of(first)) ++last;
    const int64_t begin = before - shift_of(first), left = after + shift_of(first);
    groups.push_back(slice(wide, {first, begin}, {last, left == 0 ? kToEnd : -left},
                           {1, static_cast<int64_t>(axis)}, {1, 1}));
    first = last;
  }
  return concat(groups);
}

Value OnnxLayers::neighbors(const Value& x) {
  // One row and column of zeros more, which only the second neighbors of an odd size reach: the
  // first ones end before it.
  const Value wide = graph_.node("Pad", {x, graph_.ints({0, 0, 0, 0, 0, 0, 1, 1})},
                                 {{"mode", std::string("constant")}});
  std::vector<Value> quarters;
  for (const int64_t column : {0, 1}) {
    for (const int64_t row : {0, 1}) {
      quarters.push_back(slice(wide, {row, column},
                               {row == 0 ? -1 : kToEnd, column == 0 ? -1 : kToEnd}, {2, 3},
                               {2, 2}));
    }
  }
  return concat(quarters);
}

Value OnnxLayers::halved(const Value& x) {
  return slice(x, {0, 0}, {kToEnd, kToEnd}, {2, 3}, {2, 2});
}

Value OnnxLayers::size_of_both(const Value& x, const Value& like) {
  const Value images = graph_.node("Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{2}}});
  const Value sides = graph_.node("Shape", {like}, {{"start", int64_t{2}}, {"end", int64_t{4}}});
  return graph_.node("Concat", {images, sides}, {{"axis", int64_t{0}}});
}

Value OnnxLayers::resize_bilinear(const Value& x, const Value& like) {
  return graph_.node("Resize", {x, "", "", size_of_both(x, like)},
                     {{"mode", std::string("linear")},
                      {"coordinate_transformation_mode", std::string("half_pixel")}});
}

Value OnnxLayers::resize_nearest(const Value& x, const Value& like) {
  return graph_.node("Resize", {x, "", "", size_of_both(x, like)},
                     {{"mode", std::string("nearest")},
                      {"coordinate_transformation_mode", std::string("asymmetric")},
                      {"nearest_mode", std::string("floor")}});
}

// Row i is 1 / count at the positions of bin i, 0 elsewhere.
Value OnnxLayers::bin_weights(const Value& x, MapAxis axis, int bins) {
  const Value size = extent(x, axis);
  std::vector<int64_t> first(static_cast<size_t>(bins)), second(static_cast<size_t>(bins));
  for (int i = 0; i < bins; ++i) {
    first[static_cast<size_t>(i)] = i;
    second[static_cast<size_t>(i)] = i + 1;
  }
  const Value count = graph_.ints({bins}), column = graph_.ints({-1, 1});
  const Value low = graph_.node("Div", {graph_.node("Mul", {graph_.ints(first), size}), count});
  const Value more = graph_.node("Mul", {graph_.ints(second), size});
  const Value high = graph_.node("Div", {add(more, graph_.ints({bins - 1})), count});
  const auto as_column = [&](const Value& v) { return graph_.node("Reshape", {v, column}); };
  const Value at = graph_.node(
      "Range", {graph_.int_scalar(0), graph_.node("Squeeze", {size}), graph_.int_scalar(1)});
  const Value inside = graph_.node("And", {graph_.node("GreaterOrEqual", {at, as_column(low)}),
                                           graph_.node("Less", {at, as_column(high)})});
  const auto to_float = [&](const Value& v) {
    return graph_.node("Cast", {v}, {{"to", int64_t{onnx::TensorProto::FLOAT}}});
  };
  return graph_.node("Div",
                     {to_float(inside), to_float(as_column(graph_.node("Sub", {high, low})))});
}

Value OnnxLayers::adaptive_pool(const Value& x, int bins) {
  const Value rows = graph_.node("MatMul", {bin_weights(x, MapAxis::kH, bins), x});
  const Value columns = graph_.node("Transpose", {bin_weights(x, MapAxis::kW, bins)},
                                    {{"perm", std::vector<int64_t>{1, 0}}});
  return graph_.node("MatMul", {rows, columns});
}

Value OnnxLayers::pad_to_multiple(const Value& x, int64_t multiple) {
  if (multiple == 1) return x;
  const Value sides = graph_.node("Shape", {x}, {{"start", int64_t{2}}, {"end", int64_t{4}}});
  const Value missing = graph_.node("Mod", {graph_.node("Neg", {sides}), graph_.ints({multiple})});
  const Value pads =
      graph_.node("Concat", {graph_.ints({0, 0, 0, 0, 0, 0}), missing}, {{"axis", int64_t{0}}});
  return graph_.node("Pad", {x, pads}, {{"mode", std::string("constant")}});
}

}  // namespace asmlp
