// --tiles: large images seen tile by tile.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <vector>

#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/detection/tiles.h"

namespace asmlp::cli {

struct TileRequest {
  std::optional<int> size, overlap;  // pixels of the image
  bool whole = false;                // also the image as a whole
};

// `wrap` puts each option into its part of the help.
void add_tile_options(CLI::App& app, TileRequest& request,
                      const std::function<CLI::Option*(CLI::Option*)>& wrap);

// What was asked for; nothing without --tiles. Error(kInvalidArgument) for the other options
// without it, and those of detect::validate.
std::optional<detect::TileOptions> tile_options(const TileRequest& request);

// Finds the objects of images on a backend: of tiles where there are options for them.
class ImageDetector {
 public:
  // `spec` must outlive it. `batch` tiles are given to the runner at once.
  ImageDetector(DetectorRunner& runner, const DetectorSpec& spec,
                const std::optional<detect::TileOptions>& tiles, int batch = 1);

  // The objects of each image, of the channels that the detector takes, by falling score.
  std::vector<std::vector<detect::Detection>> detect(std::span<const Image> images);
  std::vector<detect::Detection> detect(const Image& image);

 private:
  std::vector<detect::Detection> detect_tiles(const Image& image);

  DetectorRunner& runner_;
  const DetectorSpec& spec_;
  std::optional<detect::TileOptions> tiles_;
  int batch_;
};

}  // namespace asmlp::cli
