// The models that AS-MLP is compared with (paper, tables 1, 2 and 5), as plain structs. They exist
// for training with LibTorch only; the native engine runs AS-MLP.
//
// What every family has (in_chans, num_classes, drop_path) stands in ModelSpec::config, the image
// size in ModelSpec::preprocessing.size. `visit` shows each own field with its name in JSON and
// YAML.
#pragma once

#include <vector>

namespace asmlp::nn {

// AS-MLP itself: ModelSpec::config says everything.
struct AsMlpFamily {
  bool operator==(const AsMlpFamily&) const = default;
};

// What mixes tokens inside the AS-MLP skeleton in the place of the axial shift (token_mixers.h).
enum class TokenMixer { kGlobalMlp, kAxialMlp, kWindowMlp };
const char* to_string(TokenMixer mixer);  // "global_mlp", "axial_mlp", "window_mlp"

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
  bool operator==(const ResMlpConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("embed_dim", self.embed_dim);
    field("depth", self.depth);
    field("patch_size", self.patch_size);
    field("mlp_ratio", self.mlp_ratio);
    field("init_values", self.init_values);
  }
};

}  // namespace asmlp::nn
