#include "asmlp/core/error.h"
#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/baselines/checks.h"

namespace asmlp {

int64_t SwinConfig::hidden_dim(int stage) const {
  return static_cast<int64_t>(static_cast<double>(dim(stage)) * mlp_ratio);
}

int64_t SwinConfig::map_side(int64_t size, int stage) const {
  int64_t side = (size + patch_size - 1) / patch_size;
  for (; stage > 0; --stage) side = (side + 1) / 2;
  return side;
}

void validate(const ModelSpec&, const SwinConfig& swin) {
  check_range("embed_dim", swin.embed_dim, 1, 4096);
  check_range("number of stages (depths)", swin.num_stages(), 1, 8);
  require(swin.num_heads.size() == swin.depths.size(), ErrorCode::kInvalidArgument,
          "config: num_heads has {} values, must have one per stage (depths has {})",
          swin.num_heads.size(), swin.depths.size());
  for (int stage = 0; stage < swin.num_stages(); ++stage) {
    check_range("depth of a stage (depths)", swin.depths[stage], 0, 256);
    check_range("heads of a stage (num_heads)", swin.num_heads[stage], 1, 1024);
    require(swin.dim(stage) % swin.num_heads[stage] == 0, ErrorCode::kInvalidArgument,
            "config: num_heads is {} in stage {}, must divide its {} channels",
            swin.num_heads[stage], stage, swin.dim(stage));
  }
  check_range("channels of the last stage (embed_dim * 2^(stages-1))",
              static_cast<double>(swin.num_features()), 1, 1 << 15);
  check_range("patch_size", swin.patch_size, 1, 64);
  check_range("window_size", swin.window_size, 1, 64);
  check_range("mlp_ratio", swin.mlp_ratio, 0, 64);
  check_range("hidden channels (embed_dim * mlp_ratio)", static_cast<double>(swin.hidden_dim(0)), 1,
              1 << 20);
}

int64_t parameter_count(const ModelSpec& spec, const SwinConfig& swin) {
  const int64_t patch = int64_t{spec.config.in_chans} * swin.patch_size * swin.patch_size;
  int64_t total = linear_parameters(patch, swin.embed_dim);
  if (swin.patch_norm) total += 2 * swin.embed_dim;
  for (int stage = 0; stage < swin.num_stages(); ++stage) {
    const int64_t dim = swin.dim(stage), hidden = swin.hidden_dim(stage);
    const int64_t span = 2 * swin.window(swin.map_side(spec.preprocessing.size, stage)) - 1;
    total +=
        swin.depths[stage] * (4 * dim + linear_parameters(dim, 3 * dim) +
                              linear_parameters(dim, dim) + span * span * swin.num_heads[stage] +
                              linear_parameters(dim, hidden) + linear_parameters(hidden, dim));
    if (stage + 1 < swin.num_stages()) total += 8 * dim + 4 * dim * 2 * dim;
  }
  const int64_t features = swin.num_features(), classes = spec.config.num_classes;
  return total + 2 * features + (classes > 0 ? linear_parameters(features, classes) : 0);
}

int64_t multiply_adds(const ModelSpec& spec, const SwinConfig& swin, int h, int w) {
  const auto up = [](int64_t size, int64_t multiple) { return (size + multiple - 1) / multiple; };
  int64_t rows = up(h, swin.patch_size), columns = up(w, swin.patch_size);
  const int64_t patches = rows * columns;
  const int64_t pixels = int64_t{spec.config.in_chans} * swin.patch_size * swin.patch_size;
  int64_t total = patches * swin.embed_dim * (pixels + (swin.patch_norm ? 1 : 0));
  for (int stage = 0; stage < swin.num_stages(); ++stage) {
    const int64_t dim = swin.dim(stage), hidden = swin.hidden_dim(stage);
    const int64_t side = swin.window(swin.map_side(spec.preprocessing.size, stage));
    const int64_t windows = up(rows, side) * up(columns, side), tokens = side * side;
    total += swin.depths[stage] * (rows * columns * (2 * dim + 2 * dim * hidden) +
                                   windows * (4 * tokens * dim * dim + 2 * tokens * tokens * dim));
    if (stage + 1 == swin.num_stages()) break;
    const int64_t merged = up(rows, 2) * up(columns, 2);
    // The authors' norm before the projection is counted on the tokens before they are padded.
    total += rows * columns * dim + merged * 4 * dim * 2 * dim;
    rows = up(rows, 2);
    columns = up(columns, 2);
  }
  const int64_t features = swin.num_features();
  return total + features * patches / (int64_t{1} << swin.num_stages()) +
         features * spec.config.num_classes;
}

}  // namespace asmlp
