#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/baselines/checks.h"
#include "asmlp/model/params.h"
#include "asmlp/schema/fields.h"

namespace asmlp {
namespace {

bool any_size(const TokenMixerConfig& mixer) { return mixer.mixer == TokenMixer::kWindowMlp; }

std::vector<MapSize> maps_of(const ModelSpec& spec) {
  return stage_sizes(spec.config, spec.preprocessing.size, spec.preprocessing.size);
}

// Calls add(stage, its map, its depth) for an h x w image, and sums what it returns per block.
template <typename PerBlock>
int64_t sum_over_blocks(const Config& config, int h, int w, PerBlock per_block) {
  const auto maps = stage_sizes(config, h, w);
  int64_t total = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    total += config.depths[stage] * per_block(int64_t{config.dim(stage)}, maps[stage], stage);
  }
  return total;
}

}  // namespace

const char* to_string(TokenMixer mixer) { return name_of(mixer); }

void validate(const ModelSpec& spec, const TokenMixerConfig& mixer) {
  const Config& config = spec.config;
  const Config standard;
  const char* name = to_string(mixer.mixer);
  require(config.shift_size == standard.shift_size && config.dilation == standard.dilation &&
              config.padding == standard.padding,
          ErrorCode::kInvalidArgument,
          "config: shift_size, dilation and padding mean nothing with token_mixer {}; leave them "
          "out",
          name);
  require(mixer.mixer == TokenMixer::kAxialMlp || config.connection == standard.connection,
          ErrorCode::kInvalidArgument,
          "config: connection means nothing with token_mixer {}; leave it out", name);
  check_range("window_size", mixer.window_size, 1, 64);
  require(
      mixer.mixer == TokenMixer::kWindowMlp || mixer.window_size == TokenMixerConfig{}.window_size,
      ErrorCode::kInvalidArgument,
      "config: window_size means nothing with token_mixer {}; leave it out", name);
  if (mixer.mixer == TokenMixer::kGlobalMlp) {
    const MapSize map = maps_of(spec).front();
    check_range("tokens of the first stage, all mixed by one layer ((img_size / patch_size)^2)",
                double(map.h) * map.w, 1, 1 << 14);
  }
}

int64_t parameter_count(const ModelSpec& spec, const TokenMixerConfig& mixer) {
  const int size = spec.preprocessing.size;
  const auto per_block = [&](int64_t dim, MapSize map, int) -> int64_t {
    const int64_t h = map.h, w = map.w, s = std::min(mixer.window_size, map.h);
    switch (mixer.mixer) {
      case TokenMixer::kGlobalMlp:
        return linear_parameters(h * w, h * w) - linear_parameters(dim, dim);
      case TokenMixer::kWindowMlp:
        return linear_parameters(s * s, s * s) - linear_parameters(dim, dim);
      case TokenMixer::kAxialMlp:
        break;
    }
    return linear_parameters(w, w) + linear_parameters(h, h);
  };
  return asmlp::parameter_count(spec.config) + sum_over_blocks(spec.config, size, size, per_block);
}

int64_t multiply_adds(const ModelSpec& spec, const TokenMixerConfig& mixer, int h, int w) {
  if (!any_size(mixer)) check_image_size(h, w, spec, to_string(mixer.mixer));
  const auto own_maps = maps_of(spec);
  const auto per_block = [&](int64_t dim, MapSize map, int stage) -> int64_t {
    const int64_t tokens = int64_t{map.h} * map.w;
    const int64_t s = std::min(mixer.window_size, own_maps[stage].h);
    switch (mixer.mixer) {
      case TokenMixer::kGlobalMlp:
        return tokens * dim * (tokens - dim - 1);
      case TokenMixer::kWindowMlp:
        return ((map.h + s - 1) / s) * ((map.w + s - 1) / s) * s * s * s * s * dim -
               tokens * dim * (dim + 1);
      case TokenMixer::kAxialMlp:
        break;
    }
    const int64_t sum = spec.config.connection == Connection::kSerial ? 1 : 0;
    return tokens * dim * (map.h + map.w - sum);
  };
  return asmlp::multiply_adds(spec.config, h, w) + sum_over_blocks(spec.config, h, w, per_block);
}

}  // namespace asmlp
