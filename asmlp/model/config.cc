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

int Config::stem_convs() const {
  return stem == Stem::kPatch ? 0 : static_cast<int>(std::lround(std::log2(patch_size))) - 1;
}

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
  if (config.stem == Stem::kPatch) return;
  require(config.patch_size == 4 || config.patch_size == 8, ErrorCode::kInvalidArgument,
          "patch_size is {}, must be 4 or 8 with stem conv, which halves the image two or three "
          "times",
          config.patch_size);
  require(config.embed_dim % (1 << config.stem_convs()) == 0, ErrorCode::kInvalidArgument,
          "embed_dim is {}, must be a multiple of {} with stem conv, whose channels double from "
          "convolution to convolution",
          config.embed_dim, 1 << config.stem_convs());
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

std::vector<MapSize> stem_sizes(const Config& config, int h, int w) {
  std::vector<MapSize> sizes;
  for (int i = 0; i < config.stem_convs(); ++i) {
    h = (h + 1) / 2;
    w = (w + 1) / 2;
    sizes.push_back({h, w});
  }
  return sizes;
}

int stem_kernel(const Config& config) { return config.stem == Stem::kConv ? 3 : config.patch_size; }
int downsample_kernel(const Config& config) {
  return config.downsample == Downsample::kConv ? 3 : 1;
}
int downsample_norm_dim(const Config& config, int stage) {
  return config.dim(stage) * (config.downsample == Downsample::kConv ? 1 : 4);
}

}  // namespace asmlp
