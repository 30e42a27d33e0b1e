// Gathers: what a row of A is made of. The axial shift, the patches and the 2 x 2 merging are index
// maps here and cost no pass over memory (docs/design/architecture.md, "One GEMM, different
// gathers").
//
// A is written in the panel elements of the matrix that reads it; its rows are `lda` elements
// apart, have room for padded_depth (PackedMatrix) and are zero between the depth and that.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/kernels/packed_matrix.h"

namespace asmlp {

// A batch of feature maps, NHWC: pixel (image, y, x) starts at element
// ((image * h + y) * w + x) * stride, and has `channels` <= stride elements.
template <typename T>
struct MapView {
  const T* data;
  int h;
  int w;
  int channels;
  int64_t stride;
  int64_t pixels() const { return int64_t{h} * w; }
  const T* row(int64_t r) const { return data + r * stride; }
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

// The shifting gather copies whole vectors and so may read up to this many bytes past a pixel and
// write them past a row of A; rows are gathered in order, and the last one needs that much room
// behind it, in the map, too.
inline constexpr int64_t kGatherSlack = 32;

// Rows [begin, begin + rows) of a map of panel elements, shifted along `axis`. T is float,
// uint16_t, or uint8_t, as wide as the element is; `zero` is what stands for zero in it
// (panel_zero).
template <typename T>
void gather_shifted(const MapView<T>& map, const ShiftTable& table, Axis axis, int64_t begin,
                    int64_t rows, T* a, int64_t lda, int64_t padded_depth, T zero = 0);

// What the panels of a matrix are like.
struct PanelFormat {
  PanelFormat(const PackedMatrix& matrix)
      : kernels(matrix.kernels()), quantization(matrix.quantization()) {}
  PanelFormat(const KernelSet& kernels, const Quantization& quantization = {})
      : kernels(kernels), quantization(quantization) {}
  const KernelSet& kernels;
  Quantization quantization;
};

// GroupNorm on the fly: row r belongs to image r / pixels and uses that image's mean and rstd.
struct MapNorm {
  const ImageNorm* images;
  const float* gamma;
  const float* beta;
  float* scratch;  // fold_scratch() floats
};
// Floats that the folded norm of so many channels takes.
int64_t fold_scratch(int64_t channels);
// The norm of one image, folded into `norm.scratch`.
NormArgs fold(const PanelFormat& format, const MapNorm& norm, int64_t image, int64_t channels);

void gather_normalized(const PanelFormat& format, const MapView<float>& map, const MapNorm& norm,
                       int64_t begin, int64_t rows, void* a, int64_t lda, int64_t padded_depth);

// The rows as they are.
void gather_converted(const PanelFormat& format, const MapView<float>& map, int64_t begin,
                      int64_t rows, void* a, int64_t lda, int64_t padded_depth);

// Patch merging: row (y, x) of the map with ceil(h/2) x ceil(w/2) pixels is the pixels (2y, 2x),
// (2y+1, 2x), (2y, 2x+1), (2y+1, 2x+1) side by side, normalized with 4 * channels gammas and betas;
// pixels outside are zero before the norm: `zeros` is such a pixel.
void gather_merged(const PanelFormat& format, const MapView<float>& map, const MapNorm& norm,
                   int64_t begin, int64_t rows, void* a, int64_t lda, int64_t padded_depth,
                   const float* zeros);

// Convolution of kernel x kernel taps (odd), stride 1, zeros around each image: columns
// [depth_begin, depth_end) of the rows, whose depth is [tap row][tap column][channel]. The first of
// them is written to column 0 of A; behind the last one come zeros up to padded_depth columns.
void gather_neighbors(const PanelFormat& format, const MapView<float>& map, int kernel,
                      int64_t begin, int64_t rows, int64_t depth_begin, int64_t depth_end, void* a,
                      int64_t lda, int64_t padded_depth);

// Convolution of 3 x 3 with stride 2, zeros around each image: row (y, x) of the map with ceil(h/2)
// x ceil(w/2) pixels is the pixels (2y + i - 1, 2x + j - 1) of a map of panel elements, j < 3
// within i < 3. `zero` as for gather_shifted.
template <typename T>
void gather_halved(const MapView<T>& map, int64_t begin, int64_t rows, T* a, int64_t lda,
                   int64_t padded_depth, T zero = 0);

// Patch embedding: row (y, x) is the patch x patch pixels at (y * patch, x * patch) of an NCHW
// image, channel by channel; pixels outside are zero. `line` has room for channels * patch * patch
// floats.
struct InputView {
  const float* data;
  int channels;
  int height;
  int width;
  int patch;
};
void gather_patches(const PanelFormat& format, const InputView& input, int64_t begin, int64_t rows,
                    void* a, int64_t lda, int64_t padded_depth, float* line);
// The first convolution of a stem: the 3 x 3 pixels around (2y, 2x), channel by channel; of
// `input`, patch is not read.
void gather_image_halved(const PanelFormat& format, const InputView& input, int64_t begin,
                         int64_t rows, void* a, int64_t lda, int64_t padded_depth, float* line);

}  // namespace asmlp
