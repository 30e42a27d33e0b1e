#include "asmlp/core/error.h"
#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/baselines/checks.h"

namespace asmlp {

void validate(const ModelSpec& spec, const ResMlpConfig& res_mlp) {
  check_range("embed_dim", res_mlp.embed_dim, 1, 1 << 15);
  check_range("depth", res_mlp.depth, 0, 256);
  check_patches(res_mlp.patch_size, spec);
  check_range("mlp_ratio", res_mlp.mlp_ratio, 0, 64);
  check_range("hidden channels (embed_dim * mlp_ratio)", static_cast<double>(res_mlp.hidden_dim()),
              1, 1 << 20);
  check_range("init_values", res_mlp.init_values, 0, 1);
}

int64_t parameter_count(const ModelSpec& spec, const ResMlpConfig& res_mlp) {
  const int64_t dim = res_mlp.embed_dim, tokens = res_mlp.tokens(spec.preprocessing.size);
  const int64_t patch = int64_t{spec.config.in_chans} * res_mlp.patch_size * res_mlp.patch_size;
  const int64_t classes = spec.config.num_classes;
  return linear_parameters(patch, dim) +
         res_mlp.depth * (6 * dim + linear_parameters(tokens, tokens) +
                          linear_parameters(dim, res_mlp.hidden_dim()) +
                          linear_parameters(res_mlp.hidden_dim(), dim)) +
         2 * dim + (classes > 0 ? linear_parameters(dim, classes) : 0);
}

int64_t multiply_adds(const ModelSpec& spec, const ResMlpConfig& res_mlp, int h, int w) {
  check_image_size(h, w, spec, "ResMLP");
  const int64_t dim = res_mlp.embed_dim, tokens = res_mlp.tokens(spec.preprocessing.size);
  const int64_t patch = int64_t{spec.config.in_chans} * res_mlp.patch_size * res_mlp.patch_size;
  return tokens * dim * patch +
         res_mlp.depth * tokens * dim * (4 + tokens + 2 * res_mlp.hidden_dim()) + tokens * dim +
         dim * spec.config.num_classes;
}

}  // namespace asmlp
