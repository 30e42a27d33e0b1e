#include "asmlp/model/flops.h"

namespace asmlp {
namespace {

// The convolutions before patch_embed.norm, the last of which makes `positions` pixels.
int64_t stem_flops(const Config& config, int h, int w, int64_t positions) {
  const auto halved = stem_sizes(config, h, w);
  int64_t flops = 0, in = config.in_chans;
  for (int i = 0; i < config.stem_convs(); ++i) {
    const int64_t out = config.stem_dim(i), pixels = int64_t{halved[i].h} * halved[i].w;
    flops += conv_flops(in, out, 3, pixels) + 2 * out * pixels;
    in = out;
  }
  return flops + conv_flops(in, config.embed_dim, stem_kernel(config), positions);
}

}  // namespace

int64_t backbone_flops(const Config& config, int h, int w) {
  const auto maps = stage_sizes(config, h, w);
  int64_t flops = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const auto index = static_cast<size_t>(stage);
    const int64_t c = config.dim(stage), hidden = config.hidden_dim(stage);
    const int64_t positions = int64_t{maps[index].h} * maps[index].w;
    const int64_t norm = 2 * c * positions;
    if (stage == 0) {
      flops += stem_flops(config, h, w, positions);
      if (config.patch_norm) flops += norm;
    }
    // norm1, norm2 and the two norms of the axial shift; its four projections; the MLP's two.
    const int64_t block = 4 * norm + 4 * conv_flops(c, c, 1, positions) +
                          conv_flops(c, hidden, 1, positions) + conv_flops(hidden, c, 1, positions);
    flops += config.depths[index] * block + norm;
    if (stage + 1 < config.num_stages()) {
      const int64_t merged = int64_t{maps[index + 1].h} * maps[index + 1].w;
      const int kernel = downsample_kernel(config);
      const int64_t in = downsample_norm_dim(config, stage);
      flops += kernel == 1 ? 2 * 4 * c * merged : norm;  // merging norms the zeros around, too
      flops += conv_flops(in, 2 * c, kernel, merged, /*bias=*/false);
    }
  }
  return flops;
}

}  // namespace asmlp
