// asmlp: objects and regions on images. Part of the C++ API: <asmlp/asmlp.hpp> includes it, and
// says what holds of threads, fork(), and errors.
//
//   asmlp::Detector detector("mask_rcnn.safetensors");
//   for (const auto& d : detector.detect("photo.jpg")) use(d.name, d.score, d.x1, d.y1, d.x2,
//   d.y2);
//
// Images keep their ratio: they are resized until their sides fit into ModelInfo::short_side and
// long_side, and padded, as the model's description says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "asmlp/export.h"

namespace asmlp {

// ---- Detection ----

// Pixels of an image of height x width: lengths of runs, column by column from top to bottom, in
// turn outside and inside of the object, beginning with outside (a run of 0 when the first pixel is
// inside). This is COCO's uncompressed RLE.
struct Mask {
  int height = 0;
  int width = 0;
  std::vector<std::uint32_t> counts;
  bool empty() const { return height == 0 || width == 0; }  // there is no mask
};

// height x width bytes, row by row: 1 inside of the object, 0 outside. Error(kBadFormat) for counts
// that are not those of height x width pixels.
ASMLP_API std::vector<std::uint8_t> mask_bitmap(const Mask& mask);
// The same into the caller's memory, whose rows are `row_bytes` apart (0: width), as `inside` and
// 0. Error(kInvalidArgument) for a null pointer or rows that overlap.
ASMLP_API void mask_bitmap(const Mask& mask, std::uint8_t* pixels, std::ptrdiff_t row_bytes = 0,
                           std::uint8_t inside = 1);
// Number of pixels inside.
ASMLP_API std::int64_t mask_area(const Mask& mask);
// The counts as the text that COCO's files and pycocotools have.
ASMLP_API std::string mask_text(const Mask& mask);

// An object, in pixels of the image that was given: x2 - x1 wide, in 0..width and 0..height.
struct Detection {
  float x1, y1, x2, y2;
  float score;       // probability of its class
  int label;         // its class, 0..num_classes-1
  std::string name;  // of the class
  Mask mask;         // of the size of the image; empty of a detector of boxes, or when not wanted
};

struct DetectOptions {
  int threads = 0;    // 1..256, or fewer if the system refuses; 0: every core it may use
  int max_batch = 1;  // images of one size computed at once, 1..4096; results do not change
  // Sides that images are resized to, 1..16384; 0: the model's own.
  int short_side = 0;
  int long_side = 0;
  float score_threshold = 0;  // objects are found above it, below 1; 0: the model's own
  int max_detections = 0;     // the best of each image, up to 2^20; 0: the model's own
  bool masks = true;          // false computes none, which is faster
  // Large pictures by tiles of this many pixels a side, 32..16384, each seen as an image of its
  // own, whose objects are merged; 0: the image as a whole. (docs/guide/detection.md: Large
  // images.)
  int tile = 0;
  int tile_overlap = 0;      // pixels that neighbors share, up to half a tile; 0: a quarter of it
  bool tile_whole = false;   // also the whole image, for objects that fill several tiles
  ReadOptions reading = {};  // of image files
};

class DetectRunner;

// Which objects are on an image, and where? Results are those of `asmlp detect`: by falling score.
class ASMLP_API Detector {
 public:
  // Error(kUnsupported) for a model that is no detector, kInvalidArgument for options out of range.
  explicit Detector(std::shared_ptr<const Model> model, const DetectOptions& options = {});
  // The same of load_model(file).model, for who needs no notes. Errors: load_model's, too.
  explicit Detector(const std::filesystem::path& file, const DetectOptions& options = {});
  ~Detector();
  // An object that was moved from can only be assigned to or destroyed.
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;

  const Model& model() const;

  // Images have any size of 1..65535 pixels a side. Error(kInvalidArgument) for one that is none,
  // or when the network's outputs are not finite.
  std::vector<Detection> detect(const std::filesystem::path& file);
  std::vector<Detection> detect(const ImageView& image);
  // Results come in the order of the images, which may have different sizes.
  std::vector<std::vector<Detection>> detect(const std::vector<ImageView>& images);
  // Normalized and padded by the caller. Coordinates are pixels of the tensor.
  std::vector<std::vector<Detection>> detect(const TensorView& tensor);

 private:
  std::unique_ptr<DetectRunner> runner_;
};

// ---- Segmentation ----

// The part of an image's pixels that a class has.
struct ClassShare {
  int label;         // 0..num_classes-1
  double share;      // above 0, at most 1
  std::string name;  // of the class
};

// The class of every pixel of an image, at the image's own size.
struct Segmentation {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> labels;  // height x width, row by row: 0..num_classes-1
  std::vector<ClassShare> shares;    // of the classes that occur, the largest first
};

// Bytes that somebody else keeps, for labels: rows of width bytes, `row_bytes` apart (0: width).
struct LabelView {
  std::uint8_t* labels = nullptr;
  int height = 0;
  int width = 0;
  std::ptrdiff_t row_bytes = 0;
};

struct SegmentOptions {
  int threads = 0;  // 1..256, or fewer if the system refuses; 0: every core it may use
  // Sides that images are resized to, 1..16384; 0: the model's own.
  int short_side = 0;
  int long_side = 0;
  bool multi_scale = false;  // the mean of six sizes: 0.5, 0.75, ..., 1.75 times these sides
  bool flip = false;         // and of mirrored images
  // A window of this many pixels a side slides over the image, 1..16384, so that memory does not
  // grow with it; 0: the network sees images as a whole.
  int window = 0;
  int window_stride = 0;     // from one window to the next, 1..window; 0: two thirds of it
  bool full_size = false;    // images keep their own size (short_side and long_side do not count)
  ReadOptions reading = {};  // of image files
};

class SegmentRunner;

// What is at every pixel of an image? Results are those of `asmlp segment`.
class ASMLP_API Segmentor {
 public:
  // Error(kUnsupported) for a model that is no segmentor, or has more than 255 classes;
  // kInvalidArgument for options out of range.
  explicit Segmentor(std::shared_ptr<const Model> model, const SegmentOptions& options = {});
  // The same of load_model(file).model, for who needs no notes. Errors: load_model's, too.
  explicit Segmentor(const std::filesystem::path& file, const SegmentOptions& options = {});
  ~Segmentor();
  // An object that was moved from can only be assigned to or destroyed.
  Segmentor(Segmentor&&) noexcept;
  Segmentor& operator=(Segmentor&&) noexcept;

  const Model& model() const;

  Segmentation segment(const std::filesystem::path& file);
  Segmentation segment(const ImageView& image);
  // In the order of the images, which may have different sizes.
  std::vector<Segmentation> segment(const std::vector<ImageView>& images);
  // Normalized by the caller, seen as a whole once; at the tensor's size.
  std::vector<Segmentation> segment(const TensorView& tensor);
  // The labels into the caller's memory, which has the image's size (else Error(kMismatch)).
  void segment(const ImageView& image, const LabelView& out);

 private:
  std::unique_ptr<SegmentRunner> runner_;
};

}  // namespace asmlp
