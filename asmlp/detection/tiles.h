// Large images (aerial, microscope) by tiles: a detector sees one tile at a time at its own
// resolution, and what it finds becomes the objects of the image.
//
// Tiles overlap. An object that a neighbor also sees is there twice, and one that the border of a
// tile cuts is there in part. Two detections of a class from two tiles are the same object when
//   - the intersection over union of their boxes reaches `merge_iou`, or
//   - one is cut by a border of its tile that the other passes, and the other covers `merge_part`
//     of what both tiles see of it (of the masks, where there are any; of the boxes otherwise).
// Intersection over the smaller area alone, a common choice, loses small objects in front of large
// ones of their class; here it counts for what is cut only. Of detections that are not cut the one
// with the highest score is kept. A cut one is dropped where one that is not cut is the same
// object. Cut ones that nobody sees whole are joined: the box around all, the union of the masks,
// the highest score.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "asmlp/detection/detection.h"
#include "asmlp/detection/pixel_runs.h"

namespace asmlp::detect {

struct TileOptions {
  int size = 1024;  // side of a tile in pixels of the image, 32..16384
  // Pixels that neighbors share, 0..size / 2; none: a quarter of the size. Objects up to this size
  // are seen whole by some tile.
  std::optional<int> overlap = {};
  bool whole = false;       // also the image as a whole, for objects larger than a tile
  double merge_iou = 0.5;   // above 0, up to 1
  double merge_part = 0.5;  // above 0, up to 1
};

// Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const TileOptions& options);

// The tiles of an image, row by row: size x size, or the whole of a side that is shorter. The last
// one of a row or column is moved inside, so it may overlap more. With options.whole and more than
// one tile the last is the image. Errors: validate's; kInvalidArgument for an image without pixels
// or with a side over 65535, kTooLarge for more than 2^16 tiles.
std::vector<Tile> tiles_of(ImageSize image, const TileOptions& options);

// The objects of an image from those of its tiles: found[i] are those of tiles[i], in pixels of the
// tile, masks (if any) of its size. By falling score, at most `max_detections` (0: all), with masks
// of the size of the image. The order of `found` within a tile does not matter but for equal
// scores. Errors: validate's; kInvalidArgument for a tile that leaves the image, kMismatch when
// there are not as many lists as tiles or a mask has another size than its tile, kBadFormat for a
// broken mask.
std::vector<Detection> merge_tiles(ImageSize image, std::span<const Tile> tiles,
                                   std::span<const std::vector<Detection>> found,
                                   const TileOptions& options, int max_detections);

// What a detector finds on each of some tiles, in pixels of the tile.
using DetectTiles = std::function<std::vector<std::vector<Detection>>(std::span<const Tile>)>;

// tiles_of, `detect` of up to `batch` (at least 1) of them at a time, merge_tiles. Only the whole
// image may have another size than the other tiles.
std::vector<Detection> detect_tiled(ImageSize image, const TileOptions& options, int max_detections,
                                    int batch, const DetectTiles& detect);

}  // namespace asmlp::detect
