// The golden models: what the authors' module gave, with the configuration to build them.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/support.h"

namespace asmlp::test {

struct GoldenModel {
  std::string name;  // file stem
  Config config;
  std::string file() const { return "golden/" + name + ".safetensors"; }
};

inline std::vector<GoldenModel> golden_models() {
  const auto config = [](int embed_dim, std::vector<int> depths, int shift, int classes) {
    Config c;
    c.embed_dim = embed_dim;
    c.depths = std::move(depths);
    c.shift_size = {shift, shift};
    c.num_classes = classes;
    return c;
  };
  std::vector<GoldenModel> models{
      {"model_c8_shift5", config(8, {1, 1, 1, 1}, 5, 7)},
      {"model_c24_shift5", config(24, {1, 1, 2, 1}, 5, 10)},
      {"model_c16_shift7_rect", config(16, {2, 1, 1, 1}, 7, 10)},
      {"model_c20_shift3_mlp2", config(20, {1, 1, 1, 1}, 3, 10)},
  };
  models.back().config.mlp_ratio = 2.0;
  return models;
}

// Tags of full_size_logits.safetensors and the zoo models they belong to.
struct FullSize {
  const char* tag;
  const char* model;
  int batch;
};
inline constexpr FullSize kFullSizes[] = {
    {"asmlp_mobile", "asmlp_mobile_patch4_shift5_224", 2},
    {"asmlp_tiny", "asmlp_tiny_patch4_shift5_224", 2},
    {"asmlp_small", "asmlp_small_patch4_shift5_224", 1},
    {"asmlp_base", "asmlp_base_patch4_shift5_224", 1},
    {"asmlp_base_384", "asmlp_base_patch4_shift5_384", 1},
};

}  // namespace asmlp::test
