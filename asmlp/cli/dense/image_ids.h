// Ids of images and categories for what `detect` finds.
#pragma once

#include <filesystem>
#include <string>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco/coco_image_index.h"
#include "asmlp/image/image.h"
#include "asmlp/model/detector_config.h"

namespace asmlp::cli {

// Those of an annotation file, or counted from 1.
class ImageIds {
 public:
  // `annotations` may be "". Notes on standard error say what of it was skipped and which classes
  // were taken for which. Errors: read_coco's and match_categories'.
  ImageIds(const std::string& annotations, const DetectorSpec& spec);

  // The index of this image, the `position`-th of the command line from 0. Error(kNotFound,
  // kMismatch) when the annotations have no such image, or one of another size.
  int add(const std::filesystem::path& file, int64_t position, const Image& image);
  const CocoAnnotations& coco() const { return coco_; }

  // What the annotations say of this image; null where there are none or they do not have it.
  const CocoImage* find(const std::filesystem::path& file) const;

 private:
  bool from_file_;
  CocoAnnotations coco_;
  PathEnds names_;
};

}  // namespace asmlp::cli
