// Modules with the weights of the golden data, for tests.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::nn {

// A tensor by the fill rule (weights/fill.h).
inline torch::Tensor filled(const std::string& name, torch::IntArrayRef shape) {
  const auto values = to_f32(fill_tensor(name, Shape(shape.begin(), shape.end())));
  return torch::tensor(values).view(shape);
}

// The fill rule on all parameters and buffers; the counts of batches are 7.
inline void fill_module(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    item.value().copy_(filled(item.key(), item.value().sizes()));
  }
  for (auto& item : module.named_buffers()) {
    if (item.key().ends_with("num_batches_tracked")) {
      item.value().fill_(7);
    } else {
      item.value().copy_(filled(item.key(), item.value().sizes()));
    }
  }
}

// max |a - b| / max |b|; infinity when the shapes differ or a value is not finite.
inline double difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes() || !a.isfinite().all().item<bool>()) return INFINITY;
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

// A file of tests/data/downstream: numbers by name, every one of which must be asked for.
class DownstreamGolden {
 public:
  explicit DownstreamGolden(const std::filesystem::path& path) : file_(read_safetensors(path)) {}
  ~DownstreamGolden() {
    EXPECT_EQ(seen_.size(), file_.tensors.size()) << "not every figure was compared";
  }
  DownstreamGolden(const DownstreamGolden&) = delete;
  DownstreamGolden& operator=(const DownstreamGolden&) = delete;

  const std::string& config() const { return file_.metadata.at("config"); }

  // fp32 against fp64 rounded to fp32: the error of a layer is epsilon times the root of the length
  // of its sums, at most some 300 products here, and the numbers lie behind up to 40 layers.
  void expect(const std::string& name, const torch::Tensor& actual) {
    const double bound = std::numeric_limits<float>::epsilon() * std::sqrt(300.0) * 40;
    seen_.insert(name);
    ASSERT_TRUE(file_.tensors.contains(name)) << name;
    const Tensor& golden = file_.tensors.at(name);
    const auto values = to_f32(golden);
    EXPECT_LT(difference(actual, torch::tensor(values).view(golden.shape)), bound) << name;
  }

  // The module's keys and shapes are those that the script has listed.
  void expect_keys(const torch::nn::Module& module) const {
    const auto keys = nlohmann::json::parse(file_.metadata.at("keys"));
    const TensorMap state = export_state(module);
    EXPECT_EQ(state.size(), keys.size());
    for (const auto& [name, shape] : keys.items()) {
      const auto found = state.find(name);
      ASSERT_TRUE(found != state.end()) << name;
      EXPECT_EQ(found->second.shape, shape.get<Shape>()) << name;
    }
  }

 private:
  TensorFile file_;
  std::set<std::string> seen_;
};

}  // namespace asmlp::nn
