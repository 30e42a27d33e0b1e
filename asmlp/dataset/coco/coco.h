// COCO's annotation files (instances_train2017.json and whatever has its form), read without
// holding the JSON in memory.
//
// The file is mapped and parsed once; each record of "images", "annotations" and "categories"
// becomes values of the types below and is forgotten, everything else in the file is passed over. A
// generated file of the size of instances_train2017.json (860,001 annotations with one polygon of
// 12 to 40 points, 492 MB of text) took 449 MB of memory, 462 MB at most while it was read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/core/thread_pool.h"
#include "asmlp/metrics/coco_eval.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp {

struct CocoCategory {
  int64_t id = 0;
  std::string name;
  std::string supercategory = {};  // "" when the file names none
  // False for a class of a model that the file does not have (match_categories); its id means
  // nothing then.
  bool in_file = true;
  bool operator==(const CocoCategory&) const = default;
};

// The 80 categories of COCO 2017, by id. Ids go from 1 to 90 and leave out ten.
std::span<const CocoCategory> coco_categories();

struct CocoImage {
  int64_t id = 0;
  std::string file_name;  // relative to the folder of the images
  int height = 0;         // 0, as the width, when the file does not say it (open_coco finds it out)
  int width = 0;
};

// The polygons of an object. A coordinate takes 4 bytes where all of its polygon are whole
// hundredths of a pixel, as COCO writes them, else 8; at() gives the doubles of the file back
// exactly in both cases.
class CocoPolygons {
 public:
  void add(std::span<const double> xy);
  bool empty() const { return data_.empty(); }
  int size() const;                           // number of polygons
  std::vector<double> at(int polygon) const;  // x, y, x, y, ...; polygon in [0, size())
  void shrink_to_fit() { data_.shrink_to_fit(); }

 private:
  // Polygon after polygon: the number of its values, negative when they are doubles of two words
  // each; then the values.
  std::vector<int32_t> data_;
};

struct CocoAnnotation {
  int64_t id = 0;
  int image = 0;  // index into CocoAnnotations::images
  int label = 0;  // index into CocoAnnotations::categories
  CocoBox box{};  // x, y, width, height; finite, sides >= 0
  double area = 0;
  bool crowd = false;
  // The outline is polygons, or run lengths of the size of the image, or neither: an object of a
  // box alone, which counts for boxes and has no part in masks.
  CocoPolygons polygons;
  MaskRle mask;
  bool has_outline() const { return !polygons.empty() || !mask.counts.empty(); }
};

// What of a file could not be used, or not as it is written, by reason.
struct CocoSkips {
  enum Reason {
    // Annotations that are left out.
    kMalformed,        // no object, or without a whole image_id or category_id
    kUnknownImage,     // its image_id is not in "images"
    kUnknownCategory,  // its category_id is not in "categories"
    kDuplicate,        // the same id, image, category and box as another
    kBadBox,           // no usable bbox, and no outline that says where it is
    kBadCrowd,         // iscrowd is neither a flag nor a number
    // Annotations that are kept.
    kBadSegmentation,  // the outline is unusable: the object has a box alone
    kShortPolygon,     // one polygon of fewer than 3 points is left out of the outline
    kBoxOfOutline,     // bbox is unusable; the box is the outline's
    kNoArea,           // area is missing or unusable: it is that of the mask, else of the box
    kNoId,             // without a whole id
    kRepeatedId,       // another object with the id of one before; pycocotools confuses the two
    kIdZero,           // pycocotools never counts a match of this object
    // Other records.
    kBadImage,     // an entry of "images" without id or file name, or that is there twice
    kBadCategory,  // an entry of "categories" without id, or that is there twice
    kReasons
  };
  int64_t counts[kReasons] = {};
  std::string first[kReasons];  // what was wrong with the first of each reason

  int64_t annotations() const;  // that were left out
  // One line per reason that occurred, e.g. "3 annotations left out, of unknown images; first:
  // ..."; empty when all is well.
  std::string report() const;
  void add(Reason reason, const std::string& which);
};

struct CocoAnnotations {
  std::vector<CocoCategory> categories;     // the index is the label; as read, by rising id
  std::vector<CocoImage> images;            // by rising id
  std::vector<CocoAnnotation> annotations;  // in the order of the file
  CocoSkips skips;

  // Indices of the annotations of an image in [0, images.size()), in the order of the file.
  std::span<const int> of_image(int image) const {
    return std::span(by_image).subspan(begin[image], begin[image + 1] - begin[image]);
  }
  // Index of an image or label of a category by its id, or -1.
  int find_image(int64_t id) const;
  int find_category(int64_t id) const;
  // Fills what of_image needs; for who changes the images or annotations.
  void group_by_image();

  std::vector<int> by_image;  // annotations, image after image
  std::vector<size_t> begin;  // images.size() + 1 positions in by_image
};

// Reads an annotation file. Values are taken where they are unambiguous: numbers and flags as text,
// whole numbers as 12.0, NaN and Infinity as no value, outlines as polygons, one flat polygon, a
// list of points or run lengths. What cannot be used is passed over and counted in `skips`. A file
// whose structure is broken is an Error (kBadFormat) that names place and remedy: no JSON, no list
// of images or categories, none of an image or category that can be used, two different ones of the
// same id. "annotations" may be missing, as in COCO's lists of test images. Boxes without area are
// kept, as they count in the evaluation (coco_training_images drops them). Error (kNotFound, kIo)
// when the file cannot be read.
CocoAnnotations read_coco(const std::filesystem::path& path);

// The same from text; `what` names it in errors.
CocoAnnotations parse_coco(std::string_view json, const std::string& what);

// The mask of an annotation of this image: its run lengths, or the union of its polygons as
// pycocotools rasterizes them. A mask without any set pixel when it has no outline. Error
// (kTooLarge) as mask_from_polygon.
MaskRle coco_mask(const CocoAnnotation& annotation, const CocoImage& image);

// Whether any object has an outline, so that masks can be trained and evaluated.
bool has_masks(const CocoAnnotations& annotations);

// All annotations as the evaluator wants them; for CocoTask::kMask those that have an outline.
std::vector<CocoGroundTruth> coco_ground_truth(const CocoAnnotations& annotations, CocoTask task,
                                               ThreadPool& pool);

// Error (kBadFormat), naming `what` and what was left out, when there is no object to find: no
// annotation, or crowd regions only.
void require_objects(const CocoAnnotations& annotations, const std::string& what);

// The images for which `keep` is true, with their annotations and all categories.
CocoAnnotations subset(const CocoAnnotations& annotations, const std::vector<bool>& keep);

// An image to train on, and its objects.
struct CocoTrainingImage {
  int image = 0;                 // index into CocoAnnotations::images
  std::vector<int> annotations;  // indices into CocoAnnotations::annotations; may be empty
};

// What the authors' detectors train on (mmdetection's CocoDataset with filter_empty_gt): images
// that have at least one annotation and whose shorter side is at least 32 pixels; of their
// annotations those that are no crowd, have an area > 0, a box at least 1 pixel wide and high, and
// share some area with the image. An image keeps its place when only crowds or unusable boxes are
// in it; crowd regions are background.
std::vector<CocoTrainingImage> coco_training_images(const CocoAnnotations& annotations);

}  // namespace asmlp
