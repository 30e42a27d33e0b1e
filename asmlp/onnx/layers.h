// The layers of AS-MLP and of its heads as ONNX nodes. Maps are [N, C, H, W]; N, H, and W may be
// known at run time only, and every layer is exact for all of them.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/onnx/graph_builder.h"

namespace asmlp {

// The axes of a map.
enum class MapAxis : int64_t { kH = 2, kW = 3 };

class OnnxLayers {
 public:
  using Value = GraphBuilder::Value;

  // Both must live as long as this. Batch norms are folded (weights/fold_batch_norm.h).
  OnnxLayers(GraphBuilder& graph, const TensorMap& tensors) : graph_(graph), tensors_(tensors) {}

  struct Window {
    int64_t kernel = 1, stride = 1;
    int64_t before = 0, after = 0;  // zeros above and left, below and right
  };
  // NAME.weight [out, in, k, k] and, where there is one, NAME.bias.
  Value conv(const std::string& name, const Value& x, const Window& window);
  Value conv(const std::string& name, const Value& x) { return conv(name, x, Window{}); }
  // 3 x 3, of the same size.
  Value conv3(const std::string& name, const Value& x) { return conv(name, x, {3, 1, 1, 1}); }
  // NAME.weight [out, in] on rows [N, in].
  Value linear(const std::string& name, const Value& rows);

  // GroupNorm with one group: of mean 0 and variance 1 over an image, then NAME.weight and
  // NAME.bias.
  Value norm(const std::string& name, const Value& x);
  Value gelu(const Value& x);  // exact, by the error function
  Value relu(const Value& x) { return graph_.node("Relu", {x}); }
  Value add(const Value& a, const Value& b) { return graph_.node("Add", {a, b}); }
  Value concat(const std::vector<Value>& maps) {
    return graph_.node("Concat", maps, {{"axis", int64_t{1}}});
  }
  Value mean_of_pixels(const Value& x);  // [N, C]

  // The shift of `channels` channels along an axis: out[p] = in[p - d] with each group's own d.
  Value shift(const Value& x, MapAxis axis, int channels, const Config& config);
  // The 2 x 2 neighbors side by side: [N, 4 C, ceil(H / 2), ceil(W / 2)], zeros beyond the border.
  Value neighbors(const Value& x);
  // Every second row and column.
  Value halved(const Value& x);

  // To the height and width of another map.
  Value resize_bilinear(const Value& x, const Value& like);  // half pixel centers
  Value resize_nearest(const Value& x, const Value& like);   // source floor(p * from / to)
  // Means over bins x bins parts from floor(i H / bins) to ceil((i + 1) H / bins).
  Value adaptive_pool(const Value& x, int bins);
  // Zeros below and right, up to a multiple.
  Value pad_to_multiple(const Value& x, int64_t multiple);

  // int64 [1] of a map.
  Value extent(const Value& x, MapAxis axis);

 private:
  Value affine(const std::string& name, const Value& x);
  // The axis with `before` and `after` more positions, which hold what `padding` says.
  Value padded(const Value& x, MapAxis axis, int64_t before, int64_t after, Padding padding);
  Value slice(const Value& x, const std::vector<int64_t>& begin, const std::vector<int64_t>& end,
              const std::vector<int64_t>& axes, const std::vector<int64_t>& steps);
  Value size_of_both(const Value& x, const Value& like);
  Value bin_weights(const Value& x, MapAxis axis, int bins);  // [bins, extent]
  const Tensor& tensor(const std::string& name) const;

  GraphBuilder& graph_;
  const TensorMap& tensors_;
};

}  // namespace asmlp
