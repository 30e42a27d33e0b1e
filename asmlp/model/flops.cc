#include "asmlp/model/flops.h"

namespace asmlp {

int64_t backbone_flops(const Config& config, int h, int w) {
  const auto maps = stage_sizes(config, h, w);
  int64_t flops = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const auto index = static_cast<size_t>(stage);
    const int64_t c = config.dim(stage), hidden = config.hidden_dim(stage);
    const int64_t positions = int64_t{maps[index].h} * maps[index].w;
    const int64_t norm = 2 * c * positions;
    if (stage == 0) {
      flops += conv_flops(config.in_chans, c, config.patch_size, positions);
      if (config.patch_norm) flops += norm;
    }
    // norm1, norm2 and the two norms of the axial shift; its four projections; the MLP's two.
    const int64_t block = 4 * norm + 4 * conv_flops(c, c, 1, positions) +
                          conv_flops(c, hidden, 1, positions) + conv_flops(hidden, c, 1, positions);
    flops += config.depths[index] * block + norm;
    if (stage + 1 < config.num_stages()) {
      const int64_t merged = int64_t{maps[index + 1].h} * maps[index + 1].w;
      flops += 2 * 4 * c * merged + conv_flops(4 * c, 2 * c, 1, merged, /*bias=*/false);
    }
  }
  return flops;
}

}  // namespace asmlp
