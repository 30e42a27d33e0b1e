#include "asmlp/model/config.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/core/error.h"
#include "asmlp/model/config_fields.h"

namespace asmlp {

const char* to_string(Padding padding) { return name_of(padding); }
const char* to_string(Connection connection) { return name_of(connection); }

std::string to_string(const ShiftSize& size) {
  return size.h == size.w ? fmt::format("{}", size.h) : fmt::format("[{}, {}]", size.h, size.w);
}

int Config::hidden_dim(int stage) const { return static_cast<int>(dim(stage) * mlp_ratio); }

int Config::num_blocks() const { return std::accumulate(depths.begin(), depths.end(), 0); }

// The limits are far above every sensible model and low enough that no product of them overflows.
void validate(const Config& config) {
  check_range("number of stages (depths)", config.num_stages(), 1, 8);
  check_ranges(config);
  check_range("channels of the last stage (embed_dim * 2^(stages-1))", config.num_features(), 1,
              1 << 15);
  check_range("hidden channels (embed_dim * mlp_ratio)", config.hidden_dim(0), 1, 1 << 20);
  check_range("shift_size (h)", config.shift_size.h, 1, 255);
  check_range("shift_size (w)", config.shift_size.w, 1, 255);
}

int shift_of_channel(int c, int channels, int positions, int dilation) {
  const int group = (channels + positions - 1) / positions;
  return (c / group - positions / 2) * dilation;
}

int padded_index(int p, int extent, Padding padding) {
  if (p >= 0 && p < extent) return p;
  switch (padding) {
    case Padding::kZero:
      return -1;
    case Padding::kCircular:
      return ((p % extent) + extent) % extent;
    case Padding::kReplicate:
      return std::clamp(p, 0, extent - 1);
    case Padding::kReflect: {
      if (extent == 1) return 0;
      const int period = 2 * (extent - 1);
      const int phase = ((p % period) + period) % period;
      return phase < extent ? phase : period - phase;
    }
  }
  return -1;
}

std::vector<MapSize> stage_sizes(const Config& config, int h, int w) {
  std::vector<MapSize> sizes;
  MapSize size{(h + config.patch_size - 1) / config.patch_size,
               (w + config.patch_size - 1) / config.patch_size};
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    sizes.push_back(size);
    size = {(size.h + 1) / 2, (size.w + 1) / 2};
  }
  return sizes;
}

}  // namespace asmlp
