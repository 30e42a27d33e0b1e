// COCO's result files: a JSON list of detections, as pycocotools' loadRes and the COCO servers read
// it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp {

// Writes one record per detection: image_id, category_id, score and, by the task, bbox or
// segmentation (size and compressed counts). A file of masks has no bbox: with one, pycocotools
// would take the area of the box for that of the mask. Detections of classes that are not in_file
// have no id and are left out. Numbers read back as the same doubles. Error
// (kInvalidArgument) when an image or label is not in `annotations` or a number is not finite,
// (kMismatch) when a mask has not the size of its image, (kIo) when the file cannot be written.
void write_coco_results(const std::filesystem::path& path, CocoTask task,
                        const CocoAnnotations& annotations,
                        std::span<const CocoDetection> detections);

// Reads such a file, in its order. For boxes every record needs a bbox, for masks a segmentation in
// run lengths (counts as a string or a list); other members are passed over. Error (kBadFormat)
// names the first record that is broken or of the wrong kind, (kMismatch) the first whose image or
// category is not in `annotations`, (kNotFound, kIo) when the file cannot be read.
std::vector<CocoDetection> read_coco_results(const std::filesystem::path& path, CocoTask task,
                                             const CocoAnnotations& annotations);

// The same from text; `what` names it in errors.
std::vector<CocoDetection> parse_coco_results(std::string_view json, const std::string& what,
                                              CocoTask task, const CocoAnnotations& annotations);

}  // namespace asmlp
