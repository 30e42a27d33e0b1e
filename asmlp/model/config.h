// The architecture of an AS-MLP as a plain struct. (Lian et al., ICLR 2022, section 3.)
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/schema/field_info.h"

namespace asmlp {

// What a shifted channel group sees beyond the border of the feature map (paper, ablations).
enum class Padding { kZero, kCircular, kReflect, kReplicate };

// How the horizontal and the vertical shift are combined (paper, ablations):
//   parallel  GELU(conv2_1(shift_w(x))) + GELU(conv2_2(shift_h(x)))
//   serial    GELU(conv2_2(shift_h(GELU(conv2_1(shift_w(x))))))
enum class Connection { kParallel, kSerial };

// How the image becomes the first map, with one pixel per patch_size x patch_size:
//   patch  a projection of the patches (the paper's)
//   conv   convolutions of 3 x 3 with stride 2, as many as halvings are needed, with GroupNorm and
//          GELU between them (Xiao et al., "Early Convolutions Help Transformers See Better", 2021)
enum class Stem { kPatch, kConv };

// How a stage's map becomes the next one's, of half the sides and twice the channels:
//   merging  the 2 x 2 neighbors side by side, GroupNorm, projection (the paper's)
//   conv     GroupNorm, convolution of 3 x 3 with stride 2: neighborhoods overlap
enum class Downsample { kMerging, kConv };

constexpr auto names_of(Padding) {
  return std::array{std::pair{Padding::kZero, "zero"}, std::pair{Padding::kCircular, "circular"},
                    std::pair{Padding::kReflect, "reflect"},
                    std::pair{Padding::kReplicate, "replicate"},
                    std::pair{Padding::kZero, "zeros"}};  // PyTorch's word, only read
}
constexpr auto names_of(Connection) {
  return std::array{std::pair{Connection::kParallel, "parallel"},
                    std::pair{Connection::kSerial, "serial"}};
}
constexpr auto names_of(Stem) {
  return std::array{std::pair{Stem::kPatch, "patch"}, std::pair{Stem::kConv, "conv"}};
}
constexpr auto names_of(Downsample) {
  return std::array{std::pair{Downsample::kMerging, "merging"},
                    std::pair{Downsample::kConv, "conv"}};
}
const char* to_string(Padding padding);
const char* to_string(Connection connection);

// Number of shift positions per axis, 1..255; {5, 5} is the published models'. 1 shifts nothing.
struct ShiftSize {
  int h = 5;
  int w = 5;
  bool operator==(const ShiftSize&) const = default;
};

// "5", or "[5, 3]" for h and w.
std::string to_string(const ShiftSize& size);

struct Config {
  int in_chans = 3;                     // channels of the input image, 1..64
  int num_classes = 1000;               // outputs of the head; 0 leaves the head out
  int embed_dim = 96;                   // channels C of stage 0; stage k has C * 2^k
  std::vector<int> depths{2, 2, 6, 2};  // blocks per stage, at least one stage
  int patch_size = 4;                   // side of the square patches, in pixels
  Stem stem = Stem::kPatch;             // conv: of patches of 4 or 8 pixels
  double mlp_ratio = 4.0;               // hidden channels of the MLP are floor(dim * mlp_ratio)
  ShiftSize shift_size;                 // positions per axis
  int dilation = 1;                     // pixels between neighboring positions
  Padding padding = Padding::kZero;
  Connection connection = Connection::kParallel;
  Downsample downsample = Downsample::kMerging;
  bool patch_norm = true;  // GroupNorm after the patch embedding
  double drop_path = 0.0;  // largest stochastic-depth rate (training only), [0, 1)

  int num_stages() const { return static_cast<int>(depths.size()); }
  int dim(int stage) const { return embed_dim << stage; }     // channels of a stage
  int hidden_dim(int stage) const;                            // channels inside its MLP
  int num_features() const { return dim(num_stages() - 1); }  // channels before the head
  // Convolutions of the stem before the last one, which is patch_embed.proj; 0 for patches. The
  // channels double from one to the next, up to embed_dim after the last.
  int stem_convs() const;
  int stem_dim(int conv) const { return embed_dim >> (stem_convs() - conv); }
  int num_blocks() const;  // sum of depths
  bool operator==(const Config&) const = default;
  static void visit(auto& self, auto&& field) {
    field("in_chans", self.in_chans, FieldInfo{.low = 1, .high = 64});
    field("num_classes", self.num_classes, FieldInfo{.low = 0, .high = 1 << 20});
    field("embed_dim", self.embed_dim, FieldInfo{.low = 1, .high = 4096});
    field("depths", self.depths, FieldInfo{.low = 0, .high = 256});
    field("patch_size", self.patch_size, FieldInfo{.low = 1, .high = 64});
    field("stem", self.stem);
    field("mlp_ratio", self.mlp_ratio, FieldInfo{.low = 0, .high = 64});
    field("shift_size", self.shift_size);
    field("dilation", self.dilation, FieldInfo{.low = 1, .high = 255});
    field("padding", self.padding, FieldInfo{.alias = "padding_mode"});
    field("connection", self.connection);
    field("downsample", self.downsample);
    field("patch_norm", self.patch_norm);
    field("drop_path", self.drop_path,
          FieldInfo{.low = 0, .high = 0.999, .alias = "drop_path_rate"});
  }
};

// The backbone of a detector or segmentor: without classes.
inline Config without_head(Config config = {}) {
  config.num_classes = 0;
  return config;
}

// A config as the field of a description that has no classes of its own ("num_classes" is left out)
// and must say its shift size.
template <typename C>
struct BackboneField {
  C& value;
};
template <typename C>
BackboneField<C> backbone_field(C& config) {
  return {config};
}

// Epsilon of every GroupNorm (PyTorch's default, which the authors keep).
inline constexpr float kNormEps = 1e-5f;

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const Config& config);

// Displacement of channel `c` of `channels` when the axis has `positions` positions:
//   (c / ceil(channels / positions) - floor(positions / 2)) * dilation,   out[p] = in[p - d].
// torch.chunk's rule: there can be fewer groups than positions and a shorter last group.
int shift_of_channel(int c, int channels, int positions, int dilation);

// Where position `p` (which may lie outside) of an axis of `extent` >= 1 pixels reads from, or -1
// for zero. Circular is p mod extent, reflect mirrors without repeating the border (and goes on
// mirroring for displacements beyond one period; an axis of one pixel reflects onto itself),
// replicate clamps.
int padded_index(int p, int extent, Padding padding);

// Size of the feature maps for an image of `h` x `w` pixels: stage 0 has ceil(h / patch_size) rows
// (the patch embedding zero-pads right and bottom), each merging halves rounding up.
struct MapSize {
  int h = 0;
  int w = 0;
  bool operator==(const MapSize&) const = default;
};
std::vector<MapSize> stage_sizes(const Config& config, int h, int w);

// The maps of the stem's convolutions before the last one, each half of the one before, rounded up.
std::vector<MapSize> stem_sizes(const Config& config, int h, int w);

// Side of the kernel of patch_embed.proj, and of layers.K.downsample.reduction.
int stem_kernel(const Config& config);
int downsample_kernel(const Config& config);
// Channels that layers.K.downsample.norm is of.
int downsample_norm_dim(const Config& config, int stage);

}  // namespace asmlp
