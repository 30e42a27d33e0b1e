// RandAugment (Cubuk et al. 2020) with the operations, ranges and configuration text of timm
// 0.4.12.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"
#include "asmlp/schema/codec.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// In timm's order, which the weights of w0 follow.
enum class AugmentOp {
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kSolarize,
  kSolarizeAdd,
  kColor,
  kContrast,
  kBrightness,
  kSharpness,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
};
inline constexpr int kAugmentOps = 15;

struct RandAugment {
  double magnitude = 10;     // m: mean of the level, 0..10
  double magnitude_std = 0;  // mstd: standard deviation of the level
  int layers = 2;            // n: operations drawn per image
  bool increasing = false;   // inc: every operation is stronger at a higher level
  bool weighted = false;     // w0: timm's weights, without replacement, instead of even odds
  double probability = 0.5;  // that a drawn operation is applied
};

// "rand-m9-mstd0.5-inc1": "rand" and any of m (integer 0..10), n (1..16), mstd (number >= 0), inc
// (0 or 1) and w (0), each at most once; nothing for "". Error(kInvalidArgument) for anything else,
// naming the part and the nearest known key.
std::optional<RandAugment> parse_rand_augment(const std::string& text);

// What parse_rand_augment reads back: the parts that differ from the defaults.
std::string to_text(const std::optional<RandAugment>& options);

// Of the random resized crop and of the warps; kRandom: bilinear or bicubic, drawn per use.
enum class WarpInterpolation { kBicubic, kBilinear, kRandom };
constexpr auto names_of(WarpInterpolation) {
  return std::array{std::pair{WarpInterpolation::kBicubic, "bicubic"},
                    std::pair{WarpInterpolation::kBilinear, "bilinear"},
                    std::pair{WarpInterpolation::kRandom, "random"}};
}
// The one that is named, or either with even odds.
Interpolation draw_interpolation(WarpInterpolation choice, Random& random);

// The argument of `op` at a level in [0, 10]; draws a sign where the range has two. With l = level:
// Rotate +-3 l degrees; Shear +-0.03 l; Translate +-0.045 l of the side; SolarizeAdd int(11 l);
// increasing: Posterize 4 - int(0.4 l) bits, Solarize 256 - int(25.6 l), Color, Contrast,
// Brightness and Sharpness 1 +- 0.09 l; else: int(0.4 l) bits, int(25.6 l), 0.1 + 0.18 l. 0 where
// an operation takes none.
double augment_argument(AugmentOp op, double level, bool increasing, Random& random);

// The operations of one image: `layers` of them, at even odds or weighted, in which case none
// occurs twice.
std::vector<AugmentOp> draw_ops(const RandAugment& options, Random& random);

// Normal around the magnitude, clipped to [0, 10].
double draw_level(const RandAugment& options, Random& random);

// What every image shares, and buffers that are reused.
struct AugmentContext {
  WarpInterpolation interpolation = WarpInterpolation::kBicubic;
  std::array<uint8_t, 3> fill{128, 128, 128};  // what warps show outside the image
  Image scratch;
};

// Applies `op` in place to an RGB or gray image.
void apply_op(Image& image, AugmentOp op, double argument, Interpolation interpolation,
              AugmentContext& context);

// Draws and applies the operations.
void rand_augment(Image& image, const RandAugment& options, AugmentContext& context,
                  Random& random);

// torchvision's ColorJitter(strength, strength, strength): brightness, contrast and saturation
// (color) by factors uniform in [max(0, 1 - strength), 1 + strength], in a random order.
void color_jitter(Image& image, double strength, Random& random);

}  // namespace asmlp::data

namespace asmlp {

// RandAugment, or none, as its text.
template <>
struct Codec<std::optional<data::RandAugment>> {
  static nlohmann::ordered_json write(const std::optional<data::RandAugment>& value);
  static void read(const nlohmann::json& json, std::optional<data::RandAugment>& value,
                   const std::string& where);
};

}  // namespace asmlp
