#include "asmlp/dataset/synthetic/scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/synthetic/scene_background.h"

namespace asmlp {
namespace {

constexpr int kMaxItemSide = 256;
constexpr uint8_t kOpaque = 24;     // the darkest gray of an item; scans of black are below
constexpr size_t kMaxSpot = 10;     // pixels of a dark spot that is part of an item
constexpr double kMaxShare = 0.75;  // of the image's short side, of an item
constexpr double kStretch = 0.15;
constexpr double kBeyond = 0.2;  // of an item's frame that may be outside
constexpr int64_t kMinPixels = 20;
constexpr double kCameraNoise = 8;  // levels

// An item as it lies in the scene.
struct Cutout {
  SceneObject object;
  Image gray, mask;  // of one size; mask 0..255, half and more belongs to the item
  int top = 0, left = 0;
  std::array<double, 3> dark, light;  // colors of gray 0 and 255
};

void mirror(Image& image) {
  for (int y = 0; y < image.height; ++y) std::reverse(image.row(y), image.row(y) + image.width);
}

Cutout draw_item(const Dataset& items, const SceneOptions& options, SceneRandom& random) {
  Cutout cutout;
  cutout.object.item = random.below(items.size());
  Sample sample = items.get(cutout.object.item);
  Image& item = sample.image;
  require(item.channels == 1 && std::max(item.height, item.width) <= kMaxItemSide,
          ErrorCode::kUnsupported,
          "item {}: {} x {} pixels with {} channels; scenes are made of gray items with sides of "
          "at most {}",
          sample.name, item.width, item.height, item.channels, kMaxItemSide);
  cutout.object.target = sample.target;
  const double room = kMaxShare * std::min(options.height, options.width);
  const double largest =
      std::clamp(room / std::max(item.height, item.width), options.min_scale, options.max_scale);
  // Small ones are more frequent, as in photographs.
  const double u = random.uniform();
  const double scale = options.min_scale + (largest - options.min_scale) * u * u;
  const auto stretched = [&](int side) {
    const double stretch = random.uniform(1 - kStretch, 1 + kStretch);
    return std::max(1, static_cast<int>(side * scale * stretch + 0.5));
  };
  const int height = stretched(item.height), width = stretched(item.width);
  if (random.uniform() < 0.5 && options.flips == SceneFlips::kHorizontal) mirror(item);
  const auto place = [&](int side, int length) {
    return static_cast<int>(
        std::floor(random.uniform(-kBeyond * side, length - (1 - kBeyond) * side)));
  };
  cutout.top = place(height, options.height);
  cutout.left = place(width, options.width);
  for (double& part : cutout.light) part = random.uniform(50, 255);
  const double contrast = random.uniform(0.5, 1);
  for (size_t c = 0; c < 3; ++c) cutout.dark[c] = cutout.light[c] * (1 - contrast);
  cutout.mask = resize(item_mask(item), height, width, Interpolation::kBilinear);
  cutout.gray = resize(item, height, width, Interpolation::kBilinear);
  return cutout;
}

// Calls visit(y, x, offset) for every pixel of the item that is inside the image, with the offset
// of its samples in the cutout.
template <typename Visit>
void for_pixels_inside(const Cutout& cutout, const Image& image, const Visit& visit) {
  const int first_y = std::max(0, cutout.top), first_x = std::max(0, cutout.left);
  const int end_y = std::min(image.height, cutout.top + cutout.mask.height);
  const int end_x = std::min(image.width, cutout.left + cutout.mask.width);
  for (int y = first_y; y < end_y; ++y) {
    for (int x = first_x; x < end_x; ++x) {
      visit(y, x, static_cast<size_t>(y - cutout.top) * cutout.mask.width + (x - cutout.left));
    }
  }
}

bool is_item(uint8_t mask) { return mask >= 128; }

// Gives the pixels of the item that are still free to owner `number`, and says in the cutout's
// object which they are; false, and nothing is given, when those are too few.
bool take_pixels(Cutout& cutout, Image& owners, uint8_t number, double min_visible) {
  const int64_t all = std::ranges::count_if(cutout.mask.pixels, is_item);
  int top = owners.height, left = owners.width, bottom = -1, right = -1;
  int64_t seen = 0;
  for_pixels_inside(cutout, owners, [&](int y, int x, size_t i) {
    if (!is_item(cutout.mask.pixels[i]) || owners.row(y)[x] != 0) return;
    top = std::min(top, y);
    left = std::min(left, x);
    bottom = std::max(bottom, y);
    right = std::max(right, x);
    ++seen;
  });
  if (seen < kMinPixels || static_cast<double>(seen) < min_visible * static_cast<double>(all)) {
    return false;
  }
  cutout.object.box = {top, left, bottom - top + 1, right - left + 1};
  cutout.object.area = seen;
  for_pixels_inside(cutout, owners, [&](int y, int x, size_t i) {
    uint8_t& owner = owners.row(y)[x];
    if (is_item(cutout.mask.pixels[i]) && owner == 0) owner = number;
  });
  return true;
}

uint8_t to_byte(double level) { return static_cast<uint8_t>(std::clamp(level + 0.5, 0.0, 255.0)); }

// The item over what is there, its edge blended in.
void paint(const Cutout& cutout, Image& image) {
  for_pixels_inside(cutout, image, [&](int y, int x, size_t i) {
    const double opaque = cutout.mask.pixels[i] / 255.0, level = cutout.gray.pixels[i] / 255.0;
    uint8_t* pixel = image.row(y) + 3 * x;
    for (size_t c = 0; c < 3; ++c) {
      const double color = cutout.dark[c] + (cutout.light[c] - cutout.dark[c]) * level;
      pixel[c] = to_byte(pixel[c] + (color - pixel[c]) * opaque);
    }
  });
}

void check(const SceneOptions& options) {
  for (const int side : {options.height, options.width}) {
    require(side >= 32 && side <= 2048, ErrorCode::kInvalidArgument,
            "scenes of {} x {} pixels (height x width); sides are 32..2048", options.height,
            options.width);
  }
  require(
      options.min_items >= 1 && options.min_items <= options.max_items && options.max_items <= 100,
      ErrorCode::kInvalidArgument,
      "{} to {} items in a scene; 1 to 100 are possible, the smaller number first",
      options.min_items, options.max_items);
  require(
      options.min_scale >= 0.1 && options.min_scale <= options.max_scale && options.max_scale <= 10,
      ErrorCode::kInvalidArgument,
      "items scaled by {} to {}; 0.1 to 10 are possible, the smaller number first",
      options.min_scale, options.max_scale);
  for (const auto& [name, value] : {std::pair{"visible part of an item", options.min_visible},
                                    std::pair{"clutter", options.clutter}}) {
    require(value >= 0 && value <= 1, ErrorCode::kInvalidArgument, "{} of {}; 0 to 1 is possible",
            name, value);
  }
}

}  // namespace

Image item_mask(const Image& item) {
  Image mask(item.height, item.width, 1);
  std::ranges::transform(item.pixels, mask.pixels.begin(),
                         [](uint8_t gray) { return gray >= kOpaque ? 255 : 0; });
  // Every connected dark region (of neighbors that share a side), from its first pixel.
  std::vector<uint8_t> visited = mask.pixels;
  std::vector<size_t> region;
  for (size_t first = 0; first < visited.size(); ++first) {
    if (visited[first] != 0) continue;
    bool at_edge = false;
    region.assign(1, first);
    visited[first] = 1;
    for (size_t next = 0; next < region.size(); ++next) {
      const int y = static_cast<int>(region[next] / item.width);
      const int x = static_cast<int>(region[next] % item.width);
      for (const auto& [to_y, to_x] : {std::pair{y - 1, x}, {y + 1, x}, {y, x - 1}, {y, x + 1}}) {
        if (to_y < 0 || to_y >= item.height || to_x < 0 || to_x >= item.width) {
          at_edge = true;
          continue;
        }
        const size_t to = static_cast<size_t>(to_y) * item.width + to_x;
        if (visited[to] != 0) continue;
        visited[to] = 1;
        region.push_back(to);
      }
    }
    if (at_edge || region.size() > kMaxSpot) continue;
    for (const size_t pixel : region) mask.pixels[pixel] = 255;
  }
  return mask;
}

Scene make_scene(const Dataset& items, const SceneOptions& options, SceneRandom& random) {
  check(options);
  Scene scene;
  scene.image = scene_background(options.height, options.width, options.clutter, random);
  scene.owners = Image(options.height, options.width, 1);
  const int64_t count = options.min_items + random.below(options.max_items - options.min_items + 1);
  // From the front to the back, so that an item that is left out hides nothing behind it.
  std::vector<Cutout> kept;
  for (int64_t i = 0; i < count; ++i) {
    Cutout cutout = draw_item(items, options, random);
    if (take_pixels(cutout, scene.owners, static_cast<uint8_t>(kept.size() + 1),
                    options.min_visible)) {
      kept.push_back(std::move(cutout));
    } else {
      ++scene.hidden;
    }
  }
  for (size_t i = kept.size(); i-- > 0;) paint(kept[i], scene.image);
  for (const Cutout& cutout : kept) scene.objects.push_back(cutout.object);
  const double noise = random.uniform(0, kCameraNoise);
  for (uint8_t& level : scene.image.pixels) level = to_byte(level + random.uniform(-noise, noise));
  return scene;
}

}  // namespace asmlp
