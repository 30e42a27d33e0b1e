#include "asmlp/engine/heads/packed_conv.h"

namespace asmlp {

void add_conv(WeightPacker& packer, PackedConv& conv, const TensorMap& tensors,
              const std::string& name) {
  const Shape& shape = tensors.at(name + ".weight").shape;
  conv.kernel = shape.size() == 4 ? static_cast<int>(shape[2]) : 1;
  packer.add(conv.matrix, name, int64_t{conv.kernel} * conv.kernel);
}

}  // namespace asmlp
