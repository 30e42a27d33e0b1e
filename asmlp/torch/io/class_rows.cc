#include "asmlp/torch/io/class_rows.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string_view>

namespace asmlp::nn {
namespace {

// "fc_cls" of "roi_head.bbox_head.fc_cls.weight".
std::string_view layer_of(std::string_view name) {
  const size_t end = name.rfind('.');
  if (end == std::string_view::npos) return {};
  name = name.substr(0, end);
  return name.substr(name.rfind('.') + 1);  // npos + 1 is 0
}

// Rows of one class in a tensor of such a layer; 0 when its rows are no classes.
size_t rows_of_class(std::string_view layer, size_t rows, size_t classes) {
  if (layer == "fc_cls") return rows == classes + 1 ? 1 : 0;
  if (layer == "fc_reg") return rows == 4 * classes ? 4 : 0;
  const bool last = layer == "head" || layer == "conv_logits" || layer == "conv_seg";
  return last && rows == classes ? 1 : 0;
}

}  // namespace

bool reorder_class_rows(TensorMap& tensors, const std::vector<std::string>& from,
                        const std::vector<std::string>& to) {
  const bool same_names = from != to && std::set(from.begin(), from.end()).size() == from.size() &&
                          std::ranges::is_permutation(from, to);
  if (!same_names) return false;
  for (auto& [name, tensor] : tensors) {
    if (tensor.shape.empty()) continue;
    const auto rows = static_cast<size_t>(tensor.shape[0]);
    const size_t each = rows_of_class(layer_of(name), rows, from.size());
    if (each == 0) continue;
    const size_t bytes = tensor.bytes.size() / rows * each;  // of one class
    auto moved = std::make_shared<std::vector<std::byte>>(tensor.bytes.begin(), tensor.bytes.end());
    for (size_t k = 0; k < to.size(); ++k) {
      const auto old = static_cast<size_t>(std::ranges::find(from, to[k]) - from.begin());
      std::memcpy(moved->data() + k * bytes, tensor.bytes.data() + old * bytes, bytes);
    }
    tensor.bytes = *moved;
    tensor.owner = std::move(moved);
    tensor.mapped = false;
  }
  return true;
}

}  // namespace asmlp::nn
