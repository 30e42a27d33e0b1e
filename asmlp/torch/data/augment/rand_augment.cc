#include "asmlp/torch/data/augment/rand_augment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/torch/data/augment/affine.h"
#include "asmlp/torch/data/augment/color.h"

namespace asmlp::data {
namespace {

constexpr double kMaxLevel = 10;

// timm's set 0, in the order of AugmentOp.
constexpr std::array<double, kAugmentOps> kWeights{
    0.025, 0.005, 0, 0.3, 0, 0.005, 0.005, 0.025, 0.005, 0.005, 0.025, 0.2, 0.2, 0.1, 0.1};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find('-', begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

// The number of a part such as "mstd0.5"; within [low, high], whole if asked.
double number_of(const std::string& text, const std::string& part, size_t at, double low,
                 double high, bool whole) {
  double value = 0;
  const char* end = part.data() + part.size();
  const auto [stop, error] = std::from_chars(part.data() + at, end, value);
  const bool good = error == std::errc() && stop == end && value >= low && value <= high &&
                    (!whole || value == std::floor(value));
  require(good, ErrorCode::kInvalidArgument, "aa {}: '{}' must be '{}' and {} {}..{}", text, part,
          part.substr(0, at), whole ? "a whole number" : "a number", low, high);
  return value;
}

double signed_by(Random& random, double value) { return random.uniform() < 0.5 ? -value : value; }

}  // namespace

Interpolation draw_interpolation(WarpInterpolation choice, Random& random) {
  if (choice == WarpInterpolation::kBicubic) return Interpolation::kBicubic;
  if (choice == WarpInterpolation::kBilinear) return Interpolation::kBilinear;
  return random.uniform() < 0.5 ? Interpolation::kBilinear : Interpolation::kBicubic;
}

std::optional<RandAugment> parse_rand_augment(const std::string& text) {
  if (text.empty() || text == "none" || text == "off") return std::nullopt;
  const std::vector<std::string> parts = split(text);
  require(
      parts[0] == "rand", ErrorCode::kInvalidArgument,
      "aa {}: '{}' is not known; did you mean 'rand', as in rand-m9-mstd0.5-inc1? (none is none)",
      text, parts[0]);
  RandAugment result;
  std::set<std::string> seen;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    const size_t at = std::min(part.find_first_of("0123456789.+"), part.size());
    const std::string key = part.substr(0, at);
    const std::vector<std::string> known{"m", "n", "mstd", "inc", "w"};
    require(std::find(known.begin(), known.end(), key) != known.end(), ErrorCode::kInvalidArgument,
            "aa {}: unknown part '{}'{} (m, n, mstd, inc and w are known)", text, part,
            did_you_mean(key, known));
    require(seen.insert(key).second, ErrorCode::kInvalidArgument, "aa {}: '{}' is there twice",
            text, key);
    if (key == "m") {
      result.magnitude = number_of(text, part, at, 0, kMaxLevel, true);
    } else if (key == "n") {
      result.layers = static_cast<int>(number_of(text, part, at, 1, 16, true));
    } else if (key == "mstd") {
      result.magnitude_std = number_of(text, part, at, 0, 100, false);
    } else if (key == "inc") {
      result.increasing = number_of(text, part, at, 0, 1, true) != 0;
    } else {
      number_of(text, part, at, 0, 0, true);
      result.weighted = true;
    }
  }
  const auto usable =
      std::count_if(kWeights.begin(), kWeights.end(), [](double w) { return w > 0; });
  require(!result.weighted || result.layers <= usable, ErrorCode::kInvalidArgument,
          "aa {}: n{} with w0; it draws without replacement from {} operations", text,
          result.layers, usable);
  return result;
}

std::string to_text(const std::optional<RandAugment>& options) {
  if (!options) return "";
  const RandAugment plain;
  std::string text = "rand";
  if (options->magnitude != plain.magnitude) text += fmt::format("-m{}", options->magnitude);
  if (options->layers != plain.layers) text += fmt::format("-n{}", options->layers);
  if (options->magnitude_std > 0) text += fmt::format("-mstd{}", options->magnitude_std);
  if (options->increasing) text += "-inc1";
  if (options->weighted) text += "-w0";
  return text;
}

std::vector<AugmentOp> draw_ops(const RandAugment& options, Random& random) {
  std::vector<AugmentOp> ops;
  std::array<double, kAugmentOps> weights = kWeights;
  for (int layer = 0; layer < options.layers; ++layer) {
    int64_t op = 0;
    if (options.weighted) {
      double total = 0;
      for (const double weight : weights) total += weight;
      double rest = random.uniform() * total;
      int64_t last = 0;  // rounding may leave some rest behind the last weight
      for (op = 0; op < kAugmentOps; ++op) {
        if (weights[op] <= 0) continue;
        last = op;
        if (rest < weights[op]) break;
        rest -= weights[op];
      }
      op = last;
      weights[op] = 0;
    } else {
      op = random.below(kAugmentOps);
    }
    ops.push_back(static_cast<AugmentOp>(op));
  }
  return ops;
}

double draw_level(const RandAugment& options, Random& random) {
  double level = options.magnitude;
  if (options.magnitude_std > 0) level += options.magnitude_std * random.normal();
  return std::clamp(level, 0.0, kMaxLevel);
}

double augment_argument(AugmentOp op, double level, bool increasing, Random& random) {
  const double share = level / kMaxLevel;
  switch (op) {
    case AugmentOp::kAutoContrast:
    case AugmentOp::kEqualize:
    case AugmentOp::kInvert:
      return 0;
    case AugmentOp::kRotate:
      return signed_by(random, share * 30);
    case AugmentOp::kPosterize:
      return increasing ? 4 - std::trunc(share * 4) : std::trunc(share * 4);
    case AugmentOp::kSolarize:
      return increasing ? 256 - std::trunc(share * 256) : std::trunc(share * 256);
    case AugmentOp::kSolarizeAdd:
      return std::trunc(share * 110);
    case AugmentOp::kColor:
    case AugmentOp::kContrast:
    case AugmentOp::kBrightness:
    case AugmentOp::kSharpness:
      return increasing ? 1 + signed_by(random, share * 0.9) : share * 1.8 + 0.1;
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return signed_by(random, share * 0.3);
    case AugmentOp::kTranslateX:
    case AugmentOp::kTranslateY:
      return signed_by(random, share * 0.45);
  }
  return 0;
}

void apply_op(Image& image, AugmentOp op, double argument, Interpolation interpolation,
              AugmentContext& context) {
  const auto warp = [&](const AffineMatrix& matrix) {
    affine(image, matrix, interpolation, context.fill, context.scratch);
    std::swap(image, context.scratch);
  };
  switch (op) {
    case AugmentOp::kAutoContrast:
      return autocontrast(image);
    case AugmentOp::kEqualize:
      return equalize(image);
    case AugmentOp::kInvert:
      return invert(image);
    case AugmentOp::kRotate:
      return warp(rotation(argument, image.height, image.width));
    case AugmentOp::kPosterize:
      return posterize(image, static_cast<int>(argument));
    case AugmentOp::kSolarize:
      return solarize(image, static_cast<int>(argument));
    case AugmentOp::kSolarizeAdd:
      return solarize_add(image, static_cast<int>(argument));
    case AugmentOp::kColor:
      return color(image, argument);
    case AugmentOp::kContrast:
      return contrast(image, argument);
    case AugmentOp::kBrightness:
      return brightness(image, argument);
    case AugmentOp::kSharpness:
      return sharpness(image, argument, context.scratch);
    case AugmentOp::kShearX:
      return warp({1, argument, 0, 0, 1, 0});
    case AugmentOp::kShearY:
      return warp({1, 0, 0, argument, 1, 0});
    case AugmentOp::kTranslateX:
      return warp({1, 0, argument * image.width, 0, 1, 0});
    case AugmentOp::kTranslateY:
      return warp({1, 0, 0, 0, 1, argument * image.height});
  }
}

void rand_augment(Image& image, const RandAugment& options, AugmentContext& context,
                  Random& random) {
  for (const AugmentOp op : draw_ops(options, random)) {
    if (random.uniform() >= options.probability) continue;
    const double level = draw_level(options, random);
    const double argument = augment_argument(op, level, options.increasing, random);
    apply_op(image, op, argument, draw_interpolation(context.interpolation, random), context);
  }
}

void color_jitter(Image& image, double strength, Random& random) {
  std::array<void (*)(Image&, double), 3> ops{brightness, contrast, color};
  for (int i = 2; i > 0; --i) std::swap(ops[i], ops[random.below(i + 1)]);
  for (const auto op : ops) op(image, random.uniform(std::max(0.0, 1 - strength), 1 + strength));
}

}  // namespace asmlp::data

namespace asmlp {

using RandAugmentCodec = Codec<std::optional<data::RandAugment>>;

nlohmann::ordered_json RandAugmentCodec::write(const std::optional<data::RandAugment>& value) {
  return data::to_text(value);
}

void RandAugmentCodec::read(const nlohmann::json& json, std::optional<data::RandAugment>& value,
                            const std::string& where) {
  std::string text;
  // `aa:` and `aa: off` in YAML.
  if (json.is_null() || json == false) {
    value.reset();
    return;
  }
  read_json(json, text, where);
  value = data::parse_rand_augment(text);
}

}  // namespace asmlp
