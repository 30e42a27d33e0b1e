// The classes of the pixels in their colors over the image: of `segment`, with a legend, and in the
// report of a training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/image/labels/label_png.h"

namespace asmlp {

// The colors of a segmentor's classes: those of `palette`, "#rrggbb" each, if it has any;
// mmsegmentation's for ADE20K's, which are known by their names, and are 150 where there are no
// names; class_color (image/labels/class_color.h) for all others.
std::vector<Color> class_colors(int classes, const std::vector<std::string>& names,
                                const std::vector<std::string>& palette = {});

struct ClassArea {
  int index = 0;
  int64_t pixels = 0;
  double share = 0;  // of all pixels
  bool operator==(const ClassArea&) const = default;
};

// The classes on a label map, the largest first, of equal ones the lower index.
std::vector<ClassArea> class_areas(const Image& labels);

// The image with every pixel mixed with its class's color; opacity 1 shows the color alone. Along
// the edges of the regions the color is not mixed. Pixels of the label 255 stay as they are, unless
// it has a color, too. `image` is H x W x 3, `labels` H x W x 1 of indices into `colors`, else
// Error(kInvalidArgument).
Image overlay(const Image& image, const Image& labels, const std::vector<Color>& colors,
              double opacity);

// Writes the overlay and, to its right, the classes present with their shares as a PNG file. Names
// that `classes` lacks are "class k"; `colors` are indexed by the labels. Small images are enlarged
// by a whole number. Error(kIo), and kTooLarge for more than 32767 pixels to a side.
void write_segmentation(const std::filesystem::path& path, const Image& image, const Image& labels,
                        const std::vector<std::string>& classes, const std::vector<Color>& colors,
                        double opacity);

}  // namespace asmlp
