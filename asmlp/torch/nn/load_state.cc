#include "asmlp/torch/nn/load_state.h"

#include <cstring>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::nn {
namespace {

Shape shape_of(const torch::Tensor& tensor) {
  return Shape(tensor.sizes().begin(), tensor.sizes().end());
}

// Parameters and buffers, whose storage is the module's.
std::map<std::string, torch::Tensor> state_of(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : module.named_parameters()) state.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) state.emplace(item.key(), item.value());
  return state;
}

// The elements as a LibTorch tensor of the file's own type where LibTorch shares it with us.
torch::Tensor values_of(const Tensor& tensor) {
  if (tensor.dtype == DType::kI64) {
    auto values = torch::empty(tensor.shape, torch::kInt64);
    std::memcpy(values.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  if (tensor.dtype == DType::kF64) {
    auto values = torch::empty(tensor.shape, torch::kFloat64);
    std::memcpy(values.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  auto values = to_f32(tensor);
  return torch::from_blob(values.data(), tensor.shape, torch::kFloat32).clone();
}

DType dtype_of(const torch::Tensor& tensor, const std::string& name) {
  switch (tensor.scalar_type()) {
    case torch::kFloat64:
      return DType::kF64;
    case torch::kFloat32:
      return DType::kF32;
    case torch::kFloat16:
      return DType::kF16;
    case torch::kBFloat16:
      return DType::kBF16;
    case torch::kInt64:
      return DType::kI64;
    default:
      fail(ErrorCode::kUnsupported, "'{}' has the type {}, which weight files do not hold", name,
           c10::toString(tensor.scalar_type()));
  }
}

std::string first_names(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kShown ? text + ", ..." : text;
}

}  // namespace

std::string describe(const StateReport& report) {
  std::string text;
  for (const auto& [names, kind] :
       {std::pair{&report.unexpected, "unexpected"}, std::pair{&report.missing, "missing"}}) {
    if (names->empty()) continue;
    text += fmt::format("{}{} {} ({})", text.empty() ? "" : ", ", names->size(), kind,
                        first_names(*names));
  }
  return text;
}

StateReport load_state(torch::nn::Module& module, const TensorMap& tensors,
                       const std::string& what) {
  require_unquantized(tensors, what);
  StateReport report;
  auto state = state_of(module);
  for (const auto& [name, tensor] : tensors) {
    const auto found = state.find(name);
    if (found == state.end()) {
      report.unexpected.push_back(name);
      continue;
    }
    const Shape expected = shape_of(found->second);
    require(tensor.shape == expected, ErrorCode::kMismatch,
            "{}: '{}' has shape {} there, the network needs {}; is it for another size or number "
            "of classes?",
            what, name, to_string(tensor.shape), to_string(expected));
  }
  const torch::NoGradGuard no_grad;
  for (auto& [name, target] : state) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      report.missing.push_back(name);
    } else {
      target.copy_(values_of(found->second));
    }
  }
  return report;
}

void require_complete(const StateReport& report, const std::string& what) {
  require(report.complete(), ErrorCode::kMismatch,
          "{}: its tensors are not the network's: {}; is the architecture another one?", what,
          describe(report));
}

Tensor view_of(const torch::Tensor& tensor, const std::string& name) {
  const auto owner = std::make_shared<torch::Tensor>(tensor.detach().to(torch::kCPU).contiguous());
  return {dtype_of(*owner, name), shape_of(*owner),
          std::span(static_cast<const std::byte*>(owner->data_ptr()), owner->nbytes()), owner};
}

TensorMap export_state(const torch::nn::Module& module) {
  TensorMap tensors;
  for (const auto& [name, value] : state_of(module)) tensors[name] = view_of(value, name);
  return tensors;
}

int64_t parameter_count(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace asmlp::nn
