#include "asmlp/cli/draw/cam.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/core/error.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/report/canvas.h"
#include "asmlp/report/palette.h"

namespace asmlp::cli {
namespace {

// The two neighbors of a position on an axis of map pixels, and the weight of the second.
struct Neighbors {
  int low;
  int high;
  float weight;
};

Neighbors neighbors(int pixel, int stride, int extent) {
  const float at = (static_cast<float>(pixel) + 0.5f) / static_cast<float>(stride) - 0.5f;
  const float clamped = std::clamp(at, 0.0f, static_cast<float>(extent - 1));
  const int low = static_cast<int>(clamped);
  return {low, std::min(low + 1, extent - 1), clamped - static_cast<float>(low)};
}

// Each pixel repeated factor x factor times.
Image enlarge(const Image& image, int factor) {
  Image large(image.height * factor, image.width * factor, 3);
  for (int y = 0; y < large.height; ++y) {
    uint8_t* to = large.row(y);
    for (int x = 0; x < large.width; ++x, to += 3) {
      const uint8_t* from = image.row(y / factor) + size_t(x / factor) * image.channels;
      for (int c = 0; c < 3; ++c) to[c] = from[image.channels == 3 ? c : 0];
    }
  }
  return large;
}

}  // namespace

ActivationMap class_activation_map(std::span<const float> features, MapSize size,
                                   std::span<const float> weight, float bias) {
  const size_t pixels = static_cast<size_t>(size.h) * static_cast<size_t>(size.w);
  require(features.size() == pixels * weight.size(), ErrorCode::kInvalidArgument,
          "activation map: {} features for {} x {} pixels of {} channels", features.size(), size.h,
          size.w, weight.size());
  ActivationMap map{size.h, size.w, std::vector<float>(pixels)};
  for (size_t pixel = 0; pixel < pixels; ++pixel) {
    const auto feature = features.subspan(pixel * weight.size(), weight.size());
    map.values[pixel] = static_cast<float>(
        std::inner_product(feature.begin(), feature.end(), weight.begin(), double{bias}));
  }
  return map;
}

std::vector<float> sample_map(const ActivationMap& map, int stride, int height, int width) {
  std::vector<float> sampled;
  sampled.reserve(static_cast<size_t>(height) * static_cast<size_t>(width));
  const auto at = [&](int y, int x) {
    return map
        .values[static_cast<size_t>(y) * static_cast<size_t>(map.width) + static_cast<size_t>(x)];
  };
  for (int y = 0; y < height; ++y) {
    const Neighbors v = neighbors(y, stride, map.height);
    for (int x = 0; x < width; ++x) {
      const Neighbors h = neighbors(x, stride, map.width);
      sampled.push_back(std::lerp(std::lerp(at(v.low, h.low), at(v.low, h.high), h.weight),
                                  std::lerp(at(v.high, h.low), at(v.high, h.high), h.weight),
                                  v.weight));
    }
  }
  return sampled;
}

void write_cam(const std::filesystem::path& path, const CamPicture& picture) {
  constexpr int kSmallest = 224;
  constexpr int kMargin = 16;
  constexpr int kTop = 68;
  constexpr int kBottom = 58;
  const Image& image = picture.image;
  const int factor = (kSmallest + image.width - 1) / image.width;
  const Image shown = enlarge(image, factor);

  // The map is sampled at the enlarged pixels, so it stays smooth over a coarse image.
  const std::vector<float> values =
      sample_map(picture.map, picture.stride * factor, shown.height, shown.width);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  // A map of one value (a 1 x 1 feature map) is drawn at mid scale.
  const double span = *high > *low ? double{*high} - *low : 0;
  Image overlay = to_rgb(to_gray(shown));
  for (size_t i = 0; i < values.size(); ++i) {
    const double level = span > 0 ? (double{values[i]} - *low) / span : 0.5;
    uint8_t* pixel = &overlay.pixels[i * 3];
    // Over gray, so that the colors mean evidence and nothing else; weak places stay dim.
    const Color mixed = mix({pixel[0], pixel[1], pixel[2]}, heat_color(level), 0.5 + 0.2 * level);
    pixel[0] = mixed.r;
    pixel[1] = mixed.g;
    pixel[2] = mixed.b;
  }

  const int side = shown.width;
  Canvas canvas(2 * side + 3 * kMargin, side + kTop + kBottom, {255, 255, 255});
  const double right = 2 * kMargin + side;
  const double full = 2 * side + kMargin;
  const Color gray{110, 110, 110};
  const std::string percent = fmt::format("{:.1f} %", picture.probability * 100);
  const Canvas::TextStyle title{.size = 20, .bold = true, .max_width = full - 90};
  canvas.text(kMargin, 32, picture.label, title);
  canvas.text(kMargin + full, 32, percent, {.size = 20, .anchor = Anchor::kRight, .bold = true});
  canvas.text(kMargin, 53, picture.file, {.size = 12, .color = gray, .max_width = full});
  canvas.image(shown, kMargin, kTop, side, side, Scaling::kNearest);
  canvas.image(overlay, right, kTop, side, side, Scaling::kNearest);

  const double under = kTop + side;
  canvas.text(kMargin, under + 20, "what the model sees", {.size = 12, .color = gray});
  for (int x = 0; x < side; ++x) {
    canvas.fill(right + x, under + 8, 1, 12, heat_color(x / double(side - 1)));
  }
  const double mean = std::accumulate(picture.map.values.begin(), picture.map.values.end(), 0.0) /
                      static_cast<double>(picture.map.values.size());
  canvas.text(right, under + 36, fmt::format("{:+.1f}", *low), {.size = 12, .color = gray});
  canvas.text(right + side, under + 36, fmt::format("{:+.1f}", *high),
              {.size = 12, .color = gray, .anchor = Anchor::kRight});
  canvas.text(right + side / 2.0, under + 36, fmt::format("mean {:+.2f} = logit", mean),
              {.size = 12, .color = gray, .anchor = Anchor::kCenter});
  canvas.save(path);
}

}  // namespace asmlp::cli
