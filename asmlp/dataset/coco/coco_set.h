// A split of a data set in COCO's format: its annotations together with its image files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco_layout.h"

namespace asmlp {

struct CocoSet {
  CocoAnnotations annotations;
  // The folder of the images: CocoImage::file_name of those that are there is relative to it, or
  // absolute.
  std::filesystem::path images;
  std::filesystem::path file;        // of the annotations
  std::vector<std::string> missing;  // images that are not there (or of unreadable size)
  // What a user should know: what was skipped, which images are missing.
  std::vector<std::string> notes() const;
};

// Reads the annotations and finds every image they name: in that one of the folders which holds the
// most of them, by its file name as it is or as a path of this machine (local_name). Names of
// another machine (absolute paths, addresses), or all names where none fits, are found by the end
// of their path, where only one file has it. Sizes that the records lack are read from the images.
// Errors: read_coco's; kNotFound when no image is there, naming the folders.
CocoSet open_coco(const CocoFiles& files);

// The set without about `fraction` of its images, and these (hold_out; the strata are the rarest
// classes of the images). Errors: hold_out's.
std::pair<CocoSet, CocoSet> hold_out_images(const CocoSet& set, double fraction, uint64_t seed);

}  // namespace asmlp
