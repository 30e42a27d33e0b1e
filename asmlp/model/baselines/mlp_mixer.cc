#include "asmlp/core/error.h"
#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/baselines/checks.h"

namespace asmlp {

void validate(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  check_range("embed_dim", mixer.embed_dim, 1, 1 << 15);
  check_range("depth", mixer.depth, 0, 256);
  check_patches(mixer.patch_size, spec);
  check_range("token_ratio", mixer.token_ratio, 0, 64);
  check_range("channel_ratio", mixer.channel_ratio, 0, 64);
  check_range("hidden width over tokens (embed_dim * token_ratio)",
              static_cast<double>(mixer.token_width()), 1, 1 << 20);
  check_range("hidden width over channels (embed_dim * channel_ratio)",
              static_cast<double>(mixer.channel_width()), 1, 1 << 20);
}

int64_t parameter_count(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  const int64_t dim = mixer.embed_dim, tokens = mixer.tokens(spec.preprocessing.size);
  const int64_t over_tokens = mixer.token_width(), over_channels = mixer.channel_width();
  const int64_t patch = int64_t{spec.config.in_chans} * mixer.patch_size * mixer.patch_size;
  const int64_t classes = spec.config.num_classes;
  return linear_parameters(patch, dim) +
         mixer.depth *
             (4 * dim + linear_parameters(tokens, over_tokens) +
              linear_parameters(over_tokens, tokens) + linear_parameters(dim, over_channels) +
              linear_parameters(over_channels, dim)) +
         2 * dim + (classes > 0 ? linear_parameters(dim, classes) : 0);
}

int64_t multiply_adds(const ModelSpec& spec, const MlpMixerConfig& mixer, int h, int w) {
  check_image_size(h, w, spec, "MLP-Mixer");
  const int64_t dim = mixer.embed_dim, tokens = mixer.tokens(spec.preprocessing.size);
  const int64_t patch = int64_t{spec.config.in_chans} * mixer.patch_size * mixer.patch_size;
  return tokens * dim * patch +
         mixer.depth * 2 * tokens * dim * (1 + mixer.token_width() + mixer.channel_width()) +
         tokens * dim + dim * spec.config.num_classes;
}

}  // namespace asmlp
