#include "asmlp/cli/dense/tile_options.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"

namespace asmlp::cli {

void add_tile_options(CLI::App& app, TileRequest& request,
                      const std::function<CLI::Option*(CLI::Option*)>& wrap) {
  wrap(app.add_option("--tiles", request.size,
                      "cut images into overlapping tiles of this side in pixels, detect on each as "
                      "on an image, and merge: for small objects in large pictures"))
      ->check(CLI::Range(32, 16384))
      ->type_name("SIZE");
  wrap(
      app.add_option("--tile-overlap", request.overlap,
                     "pixels that neighboring tiles share, up to half a tile (default: a quarter); "
                     "objects up to this size are seen whole"))
      ->check(CLI::Range(0, 8192))
      ->type_name("N");
  wrap(app.add_flag("--tile-whole", request.whole,
                    "with --tiles: look at the whole image, too, for objects larger than a tile"));
}

std::optional<detect::TileOptions> tile_options(const TileRequest& request) {
  if (!request.size) {
    require(!request.overlap && !request.whole, ErrorCode::kInvalidArgument,
            "--tile-overlap and --tile-whole belong to --tiles; add it or leave them out");
    return std::nullopt;
  }
  detect::TileOptions options;
  options.size = *request.size;
  options.overlap = request.overlap;
  options.whole = request.whole;
  validate(options);
  return options;
}

ImageDetector::ImageDetector(DetectorRunner& runner, const DetectorSpec& spec,
                             const std::optional<detect::TileOptions>& tiles, int batch)
    : runner_(runner), spec_(spec), tiles_(tiles), batch_(batch) {}

std::vector<detect::Detection> ImageDetector::detect(const Image& image) {
  return std::move(detect({&image, 1})[0]);
}

std::vector<std::vector<detect::Detection>> ImageDetector::detect(std::span<const Image> images) {
  if (!tiles_) return runner_.detect(images, spec_.preprocessing);
  std::vector<std::vector<detect::Detection>> found;
  for (const Image& image : images) found.push_back(detect_tiles(image));
  return found;
}

// The limit of the model is one for each tile: a large image may hold many more objects.
std::vector<detect::Detection> ImageDetector::detect_tiles(const Image& image) {
  return detect::detect_tiled(
      {image.height, image.width}, *tiles_, 0, batch_, [&](std::span<const detect::Tile> tiles) {
        std::vector<Image> pixels;
        for (const detect::Tile& tile : tiles) {
          pixels.push_back(crop(image, {tile.top, tile.left, tile.height, tile.width}));
        }
        return runner_.detect(pixels, spec_.preprocessing);
      });
}

}  // namespace asmlp::cli
