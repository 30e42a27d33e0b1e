// Masks as run lengths, in COCO's format: what pycocotools calls RLE.
//
// The pixels are walked column by column, each from top to bottom; the counts are the lengths of
// the runs of equal pixels, beginning with zeros (a count of 0 when the first pixel is set). In
// files the counts are a list of integers ("uncompressed") or a string: each count from the fourth
// on is replaced by its difference to the one two before it; every number is written in groups of 5
// bits, lowest first, as characters '0' + group (+ 32 while more follow), and the last group
// carries the sign.
//
// Functions that take a MaskRle throw Error (kBadFormat) when its counts do not add up to its
// pixels.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asmlp {

// The longest side of a mask: 65535 * 65535 pixels still fit a 32-bit count.
inline constexpr int kMaxMaskSide = 65535;

struct MaskRle {
  int height = 0;
  int width = 0;
  std::vector<uint32_t> counts;
  bool operator==(const MaskRle&) const = default;
};

enum class PixelOrder { kRowMajor, kColumnMajor };

// Somebody else's bitmap: height * width bytes without padding; 0 is outside of the object.
struct BitmapView {
  std::span<const uint8_t> pixels;
  int height = 0;
  int width = 0;
  PixelOrder order = PixelOrder::kRowMajor;
};

// The runs of a bitmap. Error (kInvalidArgument) when a side is negative or over kMaxMaskSide, or
// the number of bytes is not height * width.
MaskRle encode_mask(const BitmapView& bitmap);

// The mask of height x width pixels that is empty but for `patch`, whose first pixel lies at (top,
// left): a detection is pasted inside its box only. Error (kInvalidArgument) also when the patch
// does not lie inside.
MaskRle encode_patch(const BitmapView& patch, int top, int left, int height, int width);

// height * width bytes, 0 or 1.
std::vector<uint8_t> decode_mask(const MaskRle& mask, PixelOrder order = PixelOrder::kRowMajor);

// The counts as a string, and back. Error (kBadFormat) when the string is none of this kind, or its
// counts do not add up to height * width.
std::string compress_counts(const MaskRle& mask);
MaskRle mask_from_string(std::string_view counts, int height, int width);

// A mask from the counts of a file, checked. Error (kBadFormat) when they do not add up to
// height * width.
MaskRle mask_from_counts(std::vector<uint32_t> counts, int height, int width);

// Number of pixels that are set.
int64_t mask_area(const MaskRle& mask);

// x, y, width, height of the smallest box around the set pixels, in whole pixels; zeros for an
// empty mask.
std::array<double, 4> mask_box(const MaskRle& mask);

enum class MaskMerge { kUnion, kIntersection };

// One mask of several of the same size; a mask of 0 x 0 of none. Error (kMismatch) when sizes
// differ.
MaskRle merge_masks(std::span<const MaskRle> masks, MaskMerge how);

// Intersection over union of every mask of `a` with every mask of `b`: a.size() rows of b.size()
// columns, 0 where both are empty. Against a mask of `b` that is a crowd (b_is_crowd[j] not 0; an
// empty span: none is) the union is the area of the mask of `a` alone: being inside of the crowd is
// enough. Error (kMismatch) when the masks differ in size, (kInvalidArgument) when the flags are
// not one per mask of `b`.
std::vector<double> mask_iou(std::span<const MaskRle* const> a, std::span<const MaskRle* const> b,
                             std::span<const uint8_t> b_is_crowd = {});

// The same for boxes of x, y, width, height, as pycocotools computes it: in double, from corners.
double coco_box_iou(const std::array<double, 4>& a, const std::array<double, 4>& b,
                    bool b_is_crowd);

// The mask of a polygon x, y, x, y, ... (at least 3 points, in pixels; the outline closes itself),
// exactly as pycocotools rasterizes it: the vertices are rounded to a grid of 5 x 5 points per
// pixel, every edge is a line of grid points that steps along its longer side, and where such a
// line passes the middle of a pixel column, the pixels of the column from there down change between
// inside and outside (even-odd). Error (kInvalidArgument) on fewer than 3 points, an odd number of
// values, or a coordinate that is not finite or over 1e6 in magnitude; (kTooLarge) when the edges
// cross columns more than 2^24 times.
MaskRle mask_from_polygon(std::span<const double> xy, int height, int width);
inline constexpr double kMaxPolygonCoordinate = 1e6;

}  // namespace asmlp
