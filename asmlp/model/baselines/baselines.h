// The baselines that AS-MLP is compared with (paper, tables 1, 2 and 5), as plain structs. They
// exist for training with LibTorch only; the native engine runs AS-MLP.
//
// What every family has (in_chans, num_classes, drop_path) stands in ModelSpec::config, the image
// size in ModelSpec::preprocessing.size. `visit` shows each own field with its name in JSON and
// YAML.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "asmlp/model/spec.h"

namespace asmlp {

// AS-MLP itself: ModelSpec::config says everything.
struct AsMlpFamily {
  bool operator==(const AsMlpFamily&) const = default;
};

// What mixes tokens inside the AS-MLP skeleton in the place of the axial shift (torch/baselines).
enum class TokenMixer { kGlobalMlp, kAxialMlp, kWindowMlp };
constexpr auto names_of(TokenMixer) {
  return std::array{std::pair{TokenMixer::kGlobalMlp, "global_mlp"},
                    std::pair{TokenMixer::kAxialMlp, "axial_mlp"},
                    std::pair{TokenMixer::kWindowMlp, "window_mlp"}};
}
const char* to_string(TokenMixer mixer);

// AS-MLP of ModelSpec::config with another token mixer.
struct TokenMixerConfig {
  TokenMixer mixer = TokenMixer::kGlobalMlp;
  int window_size = 7;  // of window_mlp: side of a window in tokens, at most the map
  bool operator==(const TokenMixerConfig&) const = default;
};

// Swin Transformer (Liu et al., ICCV 2021).
struct SwinConfig {
  static constexpr const char* kFamily = "swin";
  int embed_dim = 96;                        // channels of stage 0; stage k has embed_dim * 2^k
  std::vector<int> depths{2, 2, 6, 2};       // blocks per stage
  std::vector<int> num_heads{3, 6, 12, 24};  // per stage; a divisor of its channels
  int patch_size = 4;
  int window_size = 7;     // side of a window in tokens; at most the map at the image size
  double mlp_ratio = 4.0;  // hidden channels are floor(channels * mlp_ratio)
  bool patch_norm = true;  // LayerNorm after the patch embedding

  int num_stages() const { return static_cast<int>(depths.size()); }
  int64_t dim(int stage) const { return int64_t{embed_dim} << stage; }  // channels of a stage
  int64_t hidden_dim(int stage) const;                                  // channels inside its MLP
  int64_t num_features() const { return dim(num_stages() - 1); }        // channels before the head
  // Side of a stage's map for a square image of `size` pixels, in tokens.
  int64_t map_side(int64_t size, int stage) const;
  // Side of a window on a map of side `side`.
  int64_t window(int64_t side) const { return side < window_size ? side : window_size; }
  bool operator==(const SwinConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("embed_dim", self.embed_dim);
    field("depths", self.depths);
    field("num_heads", self.num_heads);
    field("patch_size", self.patch_size);
    field("window_size", self.window_size);
    field("mlp_ratio", self.mlp_ratio);
    field("patch_norm", self.patch_norm);
  }
};

// MLP-Mixer (Tolstikhin et al., NeurIPS 2021).
struct MlpMixerConfig {
  static constexpr const char* kFamily = "mlp_mixer";
  int embed_dim = 768;
  int depth = 12;  // blocks
  int patch_size = 16;
  double token_ratio = 0.5;    // hidden width of the token MLP over embed_dim
  double channel_ratio = 4.0;  // hidden width of the channel MLP over embed_dim

  int64_t token_width() const { return static_cast<int64_t>(embed_dim * token_ratio); }
  int64_t channel_width() const { return static_cast<int64_t>(embed_dim * channel_ratio); }
  int64_t tokens(int image_size) const {
    return int64_t{image_size / patch_size} * (image_size / patch_size);
  }
  bool operator==(const MlpMixerConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("embed_dim", self.embed_dim);
    field("depth", self.depth);
    field("patch_size", self.patch_size);
    field("token_ratio", self.token_ratio);
    field("channel_ratio", self.channel_ratio);
  }
};

// ResMLP (Touvron et al., 2021).
struct ResMlpConfig {
  static constexpr const char* kFamily = "res_mlp";
  int embed_dim = 384;
  int depth = 12;  // blocks
  int patch_size = 16;
  double mlp_ratio = 4.0;     // hidden width of the channel MLP over embed_dim
  double init_values = 1e-4;  // first value of the layer scales

  int64_t hidden_dim() const { return static_cast<int64_t>(embed_dim * mlp_ratio); }
  int64_t tokens(int image_size) const {
    return int64_t{image_size / patch_size} * (image_size / patch_size);
  }
  bool operator==(const ResMlpConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("embed_dim", self.embed_dim);
    field("depth", self.depth);
    field("patch_size", self.patch_size);
    field("mlp_ratio", self.mlp_ratio);
    field("init_values", self.init_values);
  }
};

// Of a family's models: Error(kInvalidArgument) naming the field, its value and the accepted range;
// elements of all parameters; multiply-adds of one forward pass on an h x w image
// (model/architecture.h says how they are counted).
void validate(const ModelSpec& spec, const TokenMixerConfig& mixer);
int64_t parameter_count(const ModelSpec& spec, const TokenMixerConfig& mixer);
int64_t multiply_adds(const ModelSpec& spec, const TokenMixerConfig& mixer, int h, int w);
void validate(const ModelSpec& spec, const SwinConfig& swin);
int64_t parameter_count(const ModelSpec& spec, const SwinConfig& swin);
int64_t multiply_adds(const ModelSpec& spec, const SwinConfig& swin, int h, int w);
void validate(const ModelSpec& spec, const MlpMixerConfig& mixer);
int64_t parameter_count(const ModelSpec& spec, const MlpMixerConfig& mixer);
int64_t multiply_adds(const ModelSpec& spec, const MlpMixerConfig& mixer, int h, int w);
void validate(const ModelSpec& spec, const ResMlpConfig& res_mlp);
int64_t parameter_count(const ModelSpec& spec, const ResMlpConfig& res_mlp);
int64_t multiply_adds(const ModelSpec& spec, const ResMlpConfig& res_mlp, int h, int w);

}  // namespace asmlp
