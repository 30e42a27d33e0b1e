#include "asmlp/model/config.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/core/error.h"

namespace asmlp {

const char* to_string(Padding padding) {
  switch (padding) {
    case Padding::kZero:
      return "zero";
    case Padding::kCircular:
      return "circular";
    case Padding::kReflect:
      return "reflect";
    case Padding::kReplicate:
      return "replicate";
  }
  return "?";
}

const char* to_string(Connection connection) {
  return connection == Connection::kSerial ? "serial" : "parallel";
}

int Config::hidden_dim(int stage) const { return static_cast<int>(dim(stage) * mlp_ratio); }

int Config::num_blocks() const { return std::accumulate(depths.begin(), depths.end(), 0); }

namespace {

void check_range(const char* field, double value, double low, double high) {
  require(value >= low && value <= high, ErrorCode::kInvalidArgument,
          "config: {} is {}, must be between {} and {}", field, value, low, high);
}

}  // namespace

// The limits are far above every sensible model and low enough that no product of them overflows.
void validate(const Config& config) {
  check_range("in_chans", config.in_chans, 1, 64);
  check_range("num_classes", config.num_classes, 0, 1 << 20);
  check_range("embed_dim", config.embed_dim, 1, 4096);
  check_range("number of stages (depths)", config.num_stages(), 1, 8);
  for (int depth : config.depths) check_range("depth of a stage (depths)", depth, 0, 256);
  check_range("patch_size", config.patch_size, 1, 64);
  check_range("channels of the last stage (embed_dim * 2^(stages-1))", config.num_features(), 1,
              1 << 15);
  check_range("mlp_ratio", config.mlp_ratio, 0.0, 64.0);
  check_range("hidden channels (embed_dim * mlp_ratio)", config.hidden_dim(0), 1, 1 << 20);
  check_range("shift_size (h)", config.shift_size.h, 1, 255);
  check_range("shift_size (w)", config.shift_size.w, 1, 255);
  check_range("dilation", config.dilation, 1, 255);
  check_range("drop_path", config.drop_path, 0.0, 0.999);
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
