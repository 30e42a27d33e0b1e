// An image with the objects in it, on the way from the file to a detector in training: the
// geometric operations of the authors' pipeline (mmdetection's RandomFlip, Resize, RandomCrop).
#pragma once

#include <torch/torch.h>

#include <array>
#include <functional>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp::detect {

struct ImageObject {
  std::array<float, 4> box{};  // x1, y1, x2, y2 in pixels of the image
  int label = 0;               // class, from 0
  int source = 0;              // the caller's number of the object, by which it names the mask
  bool outlined = true;        // it has a mask
};

// Pixels and boxes change with every operation, masks do not: flips, crops and nearest-neighbor
// resizing choose a row and a column of the file for every row and column of the image, so it is
// enough to remember which. masks() then draws each mask once, and only those of the objects that
// are left.
class ObjectImage {
 public:
  // An image as it is in the file, of at least one pixel, with boxes in its pixels. Boxes are kept
  // as they are, also without area or outside of the image. Error(kInvalidArgument) for an image
  // without pixels.
  ObjectImage(Image image, std::vector<ImageObject> objects);

  // Mirrors left to right: of a width W, x1 and x2 become W - x2 and W - x1.
  void flip_horizontal();
  // Mirrors top to bottom, in the same way.
  void flip_vertical();
  // The image bilinearly, masks by nearest neighbor, both as OpenCV does it (cv_resize.h). Boxes
  // are multiplied by (new width / width, new height / height) rounded to fp32, then clipped to the
  // image. No object is lost.
  void resize(CvSize size);
  // The window of `size` (at least one pixel) whose first pixel is (top, left), inside of the
  // image. Boxes are shifted and clipped; an object stays when x1 < x2 and y1 < y2 then. A box is
  // not made to fit what is left of its mask.
  void crop(int top, int left, CvSize size);

  // Changes colors, by a function that keeps the size.
  template <typename Change>
  void change_colors(Change&& change) {
    change(image_);
  }

  const Image& image() const { return image_; }
  CvSize size() const { return {image_.height, image_.width}; }
  CvSize original_size() const { return original_; }
  const std::vector<ImageObject>& objects() const { return objects_; }

  // Of the objects, in their order: fp32 G x 4, and int64 G.
  torch::Tensor boxes() const;
  torch::Tensor labels() const;

  // The mask of the object with this `source` in the image as it is in the file.
  using MaskOf = std::function<MaskRle(int source)>;
  // The masks of the outlined objects: uint8, M x height x width of 0 and 1; the image's first
  // pixel is the mask's, and beyond the image there are zeros. height and width are at least the
  // image's. `mask_of` is called once for each of these objects. Error(kMismatch) for a mask of
  // another size than the file's image, and what mask_of throws.
  torch::Tensor masks(const MaskOf& mask_of, int64_t height, int64_t width) const;
  // The row of each object there, int64 G: -1 of one without outline.
  torch::Tensor mask_rows() const;

 private:
  Image image_;
  CvSize original_;
  std::vector<ImageObject> objects_;
  // The row and the column of the file that each row and column of the image shows: rising, or
  // falling after a flip.
  std::vector<int> rows_, columns_;
};

}  // namespace asmlp::detect
