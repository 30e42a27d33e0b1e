// Gathers: what a row of A is made of. The axial shift, the patches and the 2 x 2 merging are index
// maps here and cost no pass over memory (docs/architecture.md, "One GEMM, different gathers").
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/kernels/kernels.h"

namespace asmlp {

// A batch of feature maps, NHWC: pixel (image, y, x) starts at
// data + ((image * h + y) * w + x) * stride, and has `channels` <= stride values.
struct MapView {
  const float* data;
  int h;
  int w;
  int channels;
  int64_t stride;  // floats between pixels; a multiple of 16
  int64_t pixels() const { return int64_t{h} * w; }
  const float* row(int64_t r) const { return data + r * stride; }
};

// The shift along one axis of `extent` positions: channels [begin, end) of group g at position p
// come from position source[g * extent + p], or are zero where that is -1.
struct ShiftTable {
  struct Group {
    int begin;
    int end;
  };
  std::vector<Group> groups;
  std::vector<int> source;
  int extent = 0;
};

enum class Axis { kH, kW };

// The gathers copy whole vectors and so may write up to this many floats past a row of A; rows are
// gathered in order, and the last row needs that much room behind it. Maps need it behind them,
// too.
inline constexpr int64_t kGatherSlack = 8;

// Rows [begin, begin + rows) of the map, shifted along `axis`; A rows are `lda` >= channels apart.
void gather_shifted(const MapView& map, const ShiftTable& table, Axis axis, int64_t begin,
                    int64_t rows, float* a, int64_t lda);

// GroupNorm on the fly: row r belongs to image r / pixels and uses that image's mean and rstd.
struct ImageNorm {
  float mean;
  float rstd;
};
void gather_normalized(const KernelSet& kernels, const MapView& map, const ImageNorm* norms,
                       const float* gamma, const float* beta, int64_t begin, int64_t rows, float* a,
                       int64_t lda);

// Patch merging: row (y, x) of the map with ceil(h/2) x ceil(w/2) pixels is the pixels (2y, 2x),
// (2y+1, 2x), (2y, 2x+1), (2y+1, 2x+1) side by side, normalised with 4 * channels gammas and betas;
// pixels outside are zero before the norm.
void gather_merged(const KernelSet& kernels, const MapView& map, const ImageNorm* norms,
                   const float* gamma, const float* beta, int64_t begin, int64_t rows, float* a,
                   int64_t lda);

// Patch embedding: row (y, x) is the patch x patch pixels at (y * patch, x * patch) of an NCHW
// image, channel by channel; pixels outside are zero.
struct InputView {
  const float* data;
  int channels;
  int height;
  int width;
  int patch;
};
void gather_patches(const InputView& input, int64_t begin, int64_t rows, float* a, int64_t lda);

}  // namespace asmlp
