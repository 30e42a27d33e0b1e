#include "asmlp/detection/tiles.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::detect {
namespace {

constexpr int64_t kMostTiles = 1 << 16;
// A box that ends this close to a border of its tile is taken to be cut by it: a pixel, and what
// regression misses (8 pixels of 1024).
float cut_margin(int side) { return 1 + static_cast<float>(side) / 128; }

std::vector<int> starts_of(int64_t length, int size, int overlap) {
  std::vector<int> starts{0};
  const int step = size - overlap;
  while (starts.back() + size < length) {
    starts.push_back(static_cast<int>(std::min<int64_t>(starts.back() + step, length - size)));
  }
  return starts;
}

int overlap_of(const TileOptions& options) {
  return options.overlap ? *options.overlap : options.size / 4;
}

// A detection in pixels of the image, and how its tile cuts it.
struct Candidate {
  size_t tile = 0;
  Detection found;  // without the mask
  PixelRuns runs;
  bool masked = false;
  bool cut_top = false, cut_left = false, cut_bottom = false, cut_right = false;

  bool cut() const { return cut_top || cut_left || cut_bottom || cut_right; }
  float x1() const { return found.box[0]; }
  float y1() const { return found.box[1]; }
  float x2() const { return found.box[2]; }
  float y2() const { return found.box[3]; }
};

double length(double low, double high) { return high > low ? high - low : 0; }

double box_area(const Candidate& a) { return length(a.x1(), a.x2()) * length(a.y1(), a.y2()); }

double common_area(const Candidate& a, const Candidate& b) {
  return length(std::max(a.x1(), b.x1()), std::min(a.x2(), b.x2())) *
         length(std::max(a.y1(), b.y1()), std::min(a.y2(), b.y2()));
}

class TileMerger {
 public:
  TileMerger(ImageSize image, std::span<const Tile> tiles, const TileOptions& options)
      : image_(image), tiles_(tiles), options_(options), of_tile_(tiles.size()) {
    find_neighbors();
  }

  void add(size_t tile, const Detection& found) {
    const Tile& at = tiles_[tile];
    Candidate candidate;
    candidate.tile = tile;
    candidate.found.label = found.label;
    candidate.found.score = found.score;
    candidate.masked = found.mask.height != 0 || found.mask.width != 0;
    if (candidate.masked) {
      require(found.mask.height == at.height && found.mask.width == at.width, ErrorCode::kMismatch,
              "a mask of {} x {} in a tile of {} x {}", found.mask.height, found.mask.width,
              at.height, at.width);
      candidate.runs = runs_in_image(found.mask, at, image_.height);
    }
    const auto& box = found.box;
    const float x_margin = cut_margin(at.width), y_margin = cut_margin(at.height);
    candidate.cut_left = at.left > 0 && box[0] < x_margin;
    candidate.cut_top = at.top > 0 && box[1] < y_margin;
    candidate.cut_right =
        at.left + at.width < image_.width && box[2] > static_cast<float>(at.width) - x_margin;
    candidate.cut_bottom =
        at.top + at.height < image_.height && box[3] > static_cast<float>(at.height) - y_margin;
    const auto left = static_cast<float>(at.left), top = static_cast<float>(at.top);
    candidate.found.box = {box[0] + left, box[1] + top, box[2] + left, box[3] + top};
    of_tile_[tile].push_back(all_.size());
    all_.push_back(std::move(candidate));
  }

  std::vector<Detection> merged(int max_detections) {
    sort();
    kept_.assign(all_.size(), false);
    for (const size_t i : order_) {
      if (!all_[i].cut()) kept_[i] = !is_known(i);
    }
    std::vector<size_t> pieces;
    for (const size_t i : order_) {
      if (all_[i].cut() && !is_known(i)) pieces.push_back(i);
    }
    for (const size_t i : pieces) kept_[i] = true;
    join(pieces);
    sort();
    std::vector<Detection> result;
    for (const size_t i : order_) {
      if (!kept_[i]) continue;
      if (max_detections > 0 && std::ssize(result) >= max_detections) break;
      result.push_back(all_[i].found);
      if (all_[i].masked) result.back().mask = mask_of(all_[i].runs, image_);
    }
    return result;
  }

 private:
  // Tiles that share pixels with a tile.
  void find_neighbors() {
    neighbors_.resize(tiles_.size());
    std::vector<size_t> by_top(tiles_.size());
    std::iota(by_top.begin(), by_top.end(), size_t{0});
    std::ranges::stable_sort(by_top, {}, [&](size_t i) { return tiles_[i].top; });
    for (size_t k = 0; k < by_top.size(); ++k) {
      const Tile& tile = tiles_[by_top[k]];
      for (size_t l = k + 1; l < by_top.size(); ++l) {
        const Tile& other = tiles_[by_top[l]];
        if (other.top >= tile.top + tile.height) break;
        if (other.left >= tile.left + tile.width || tile.left >= other.left + other.width) continue;
        neighbors_[by_top[k]].push_back(by_top[l]);
        neighbors_[by_top[l]].push_back(by_top[k]);
      }
    }
  }

  // By falling score; equal ones, and those without a number last, in the order of the tiles.
  void sort() {
    order_.resize(all_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::ranges::stable_sort(order_, std::greater(), [&](size_t i) {
      const float score = all_[i].found.score;
      return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
    });
  }

  // Calls use(j) for the detections of i's class in the tiles that share pixels with i's.
  template <typename Use>
  void for_neighbors(size_t i, const Use& use) const {
    for (const size_t tile : neighbors_[all_[i].tile]) {
      for (const size_t j : of_tile_[tile]) {
        if (all_[j].found.label == all_[i].found.label) use(j);
      }
    }
  }

  // Whether something that is kept and not cut is the same object.
  bool is_known(size_t i) const {
    bool known = false;
    for_neighbors(i, [&](size_t j) {
      if (known || !kept_[j] || all_[j].cut()) return;
      known = overlap(all_[i], all_[j]) >= options_.merge_iou ||
              part(all_[i], all_[j]) >= options_.merge_part;
    });
    return known;
  }

  static double overlap(const Candidate& a, const Candidate& b) {
    const double common = common_area(a, b);
    return common > 0 ? common / (box_area(a) + box_area(b) - common) : 0;
  }

  // The share of `piece`, as far as the tile of `other` sees it, that `other` covers; 0 unless
  // `other` passes a border that cuts the piece.
  double part(const Candidate& piece, const Candidate& other) const {
    const Tile& tile = tiles_[piece.tile];
    const bool passes =
        (piece.cut_left && other.x1() < static_cast<float>(tile.left)) ||
        (piece.cut_top && other.y1() < static_cast<float>(tile.top)) ||
        (piece.cut_right && other.x2() > static_cast<float>(tile.left + tile.width)) ||
        (piece.cut_bottom && other.y2() > static_cast<float>(tile.top + tile.height));
    const double common = passes ? common_area(piece, other) : 0;
    if (common <= 0) return 0;
    const Tile& seen = tiles_[other.tile];
    if (piece.masked && other.masked) {
      const int64_t inside = pixels_inside(piece.runs, seen, image_.height);
      return inside > 0 ? static_cast<double>(common_pixels(piece.runs, other.runs)) /
                              static_cast<double>(inside)
                        : 0;
    }
    const double inside = length(std::max<double>(piece.x1(), seen.left),
                                 std::min<double>(piece.x2(), seen.left + seen.width)) *
                          length(std::max<double>(piece.y1(), seen.top),
                                 std::min<double>(piece.y2(), seen.top + seen.height));
    return inside > 0 ? common / inside : 0;
  }

  // Joins pieces of the same object, the surest pairs first. Two pieces of one tile never become
  // one: its detector has told them apart.
  void join(const std::vector<size_t>& pieces) {
    struct Pair {
      double share;
      size_t a, b;
    };
    std::vector<Pair> pairs;
    for (const size_t i : pieces) {
      for_neighbors(i, [&](size_t j) {
        if (j <= i || !kept_[j] || !all_[j].cut()) return;
        const double iou = overlap(all_[i], all_[j]);
        const double share = std::max(part(all_[i], all_[j]), part(all_[j], all_[i]));
        if (iou < options_.merge_iou && share < options_.merge_part) return;
        pairs.push_back({std::max(iou, share), i, j});
      });
    }
    std::ranges::stable_sort(pairs, std::greater(), &Pair::share);
    std::vector<size_t> group(all_.size());
    std::iota(group.begin(), group.end(), size_t{0});
    std::vector<std::vector<size_t>> members(all_.size());
    for (const size_t i : pieces) members[i] = {i};
    for (const Pair& pair : pairs) {
      size_t a = group[pair.a], b = group[pair.b];
      if (a == b || share_a_tile(members[a], members[b])) continue;
      if (members[a].size() < members[b].size()) std::swap(a, b);
      for (const size_t i : members[b]) group[i] = a;
      members[a].insert(members[a].end(), members[b].begin(), members[b].end());
      members[b].clear();
    }
    for (const size_t i : pieces) {
      if (members[i].size() > 1) join_into_one(members[i]);
    }
  }

  bool share_a_tile(const std::vector<size_t>& a, const std::vector<size_t>& b) const {
    return std::ranges::any_of(a, [&](size_t i) {
      return std::ranges::any_of(b, [&](size_t j) { return all_[i].tile == all_[j].tile; });
    });
  }

  void join_into_one(const std::vector<size_t>& members) {
    Candidate& one = all_[members[0]];
    for (const size_t i : members) {
      if (i == members[0]) continue;
      Candidate& other = all_[i];
      kept_[i] = false;
      auto& box = one.found.box;
      box = {std::min(box[0], other.x1()), std::min(box[1], other.y1()),
             std::max(box[2], other.x2()), std::max(box[3], other.y2())};
      one.found.score = std::max(one.found.score, other.found.score);
      one.masked |= other.masked;
      one.runs = joined(one.runs, std::exchange(other.runs, {}));
    }
  }

  ImageSize image_;
  std::span<const Tile> tiles_;
  TileOptions options_;
  std::vector<std::vector<size_t>> neighbors_;  // of each tile
  std::vector<std::vector<size_t>> of_tile_;    // candidates
  std::vector<Candidate> all_;
  std::vector<size_t> order_;
  std::vector<bool> kept_;
};

}  // namespace

void validate(const TileOptions& options) {
  require(options.size >= 32 && options.size <= 1 << 14, ErrorCode::kInvalidArgument,
          "tile size {}: must be 32..16384", options.size);
  const int overlap = overlap_of(options);
  require(overlap >= 0 && overlap <= options.size / 2, ErrorCode::kInvalidArgument,
          "tile overlap {}: must be 0..{}, half of the tile size", overlap, options.size / 2);
  const auto check = [](const char* name, double value) {
    require(value > 0 && value <= 1, ErrorCode::kInvalidArgument,
            "{} {}: must be above 0 and at most 1", name, value);
  };
  check("merge_iou", options.merge_iou);
  check("merge_part", options.merge_part);
}

std::vector<Tile> tiles_of(ImageSize image, const TileOptions& options) {
  validate(options);
  require(image.height > 0 && image.width > 0 && image.height <= kMaxMaskSide &&
              image.width <= kMaxMaskSide,
          ErrorCode::kInvalidArgument, "an image of {} x {}: sides must be 1..{}", image.height,
          image.width, kMaxMaskSide);
  const auto tops = starts_of(image.height, options.size, overlap_of(options));
  const auto lefts = starts_of(image.width, options.size, overlap_of(options));
  const auto count = static_cast<int64_t>(tops.size() * lefts.size());
  require(count <= kMostTiles, ErrorCode::kTooLarge,
          "an image of {} x {} has {} tiles of {} pixels, at most {}: choose larger tiles",
          image.height, image.width, count, options.size, kMostTiles);
  const int height = static_cast<int>(std::min<int64_t>(options.size, image.height));
  const int width = static_cast<int>(std::min<int64_t>(options.size, image.width));
  std::vector<Tile> tiles;
  for (const int top : tops) {
    for (const int left : lefts) tiles.push_back({top, left, height, width});
  }
  if (options.whole && tiles.size() > 1) {
    tiles.push_back({0, 0, static_cast<int>(image.height), static_cast<int>(image.width)});
  }
  return tiles;
}

std::vector<Detection> merge_tiles(ImageSize image, std::span<const Tile> tiles,
                                   std::span<const std::vector<Detection>> found,
                                   const TileOptions& options, int max_detections) {
  validate(options);
  require(tiles.size() == found.size(), ErrorCode::kMismatch, "{} tiles, detections of {}",
          tiles.size(), found.size());
  for (const Tile& tile : tiles) {
    require(tile.top >= 0 && tile.left >= 0 && tile.height > 0 && tile.width > 0 &&
                tile.top + tile.height <= image.height && tile.left + tile.width <= image.width,
            ErrorCode::kInvalidArgument,
            "a tile of {} x {} at ({}, {}) is not inside the image of {} x {}", tile.height,
            tile.width, tile.top, tile.left, image.height, image.width);
  }
  TileMerger merger(image, tiles, options);
  for (size_t tile = 0; tile < tiles.size(); ++tile) {
    for (const Detection& detection : found[tile]) merger.add(tile, detection);
  }
  return merger.merged(max_detections);
}

std::vector<Detection> detect_tiled(ImageSize image, const TileOptions& options, int max_detections,
                                    int batch, const DetectTiles& detect) {
  require(batch >= 1, ErrorCode::kInvalidArgument, "batch {}: must be at least 1", batch);
  const std::vector<Tile> tiles = tiles_of(image, options);
  std::vector<std::vector<Detection>> found;
  while (found.size() < tiles.size()) {
    const size_t count = std::min(static_cast<size_t>(batch), tiles.size() - found.size());
    auto some = detect(std::span(tiles).subspan(found.size(), count));
    require(some.size() == count, ErrorCode::kMismatch, "{} tiles, detections of {}", count,
            some.size());
    std::ranges::move(some, std::back_inserter(found));
  }
  return merge_tiles(image, tiles, found, options, max_detections);
}

}  // namespace asmlp::detect
