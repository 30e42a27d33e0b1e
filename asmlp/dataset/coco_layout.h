// Where COCO annotation files and their images lie in a folder, as the tools arrange them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace asmlp {

// An annotation file and the folders where its images may be.
struct CocoFiles {
  std::filesystem::path annotations;
  std::vector<std::filesystem::path> image_folders;  // the likeliest first; they exist
  std::string split;  // as the file or its folder is named, e.g. "val2017"; "" without splits
};

// Every annotation file that is found below `root`:
//   annotations/instances_NAME.json                COCO's own, CVAT's
//   annotations/NAME.json, NAME.json               and NAME_annotations.json, annotations_NAME.json
//   NAME/_annotations.coco.json                    Roboflow's; or another .json of COCO's form in
//   it annotations.json, result.json, labels.json,    labelme2coco's, Label Studio's, FiftyOne's:
//   annotations/instances_default.json             without splits
// A file that has none of the telling names (instances_*.json, _annotations.coco.json) must hold
// "images", "annotations" and "categories". NAME is one of train, training, val, valid, validation,
// test with or without a year, or, after instances_, any. Empty when `root` is no such folder.
std::vector<CocoFiles> list_coco(const std::filesystem::path& root);

// The files of a split: "train" (also named training), "validation" (val, valid) or "test", of the
// year 2017 if there are several, or of a split of just this name. Data without splits is its own
// training and validation split (CocoFiles::split is "" then). Error (kNotFound) lists what was
// found and the layouts; it ends with `hint`, if that is not "".
CocoFiles find_coco(const std::filesystem::path& root, const std::string& split,
                    const std::string& hint = "");

// What the user names himself. Error (kNotFound) when the folder or the file is not there.
CocoFiles named_coco(const std::filesystem::path& images, const std::filesystem::path& annotations);

}  // namespace asmlp
