// Where RoIAlign samples: the bilinear samples of a bin, added up, are a small matrix product,
// since both the positions and the interpolation separate into rows and columns. A bin is then
//   sum_y sum_x  Y[bin row][y] * X[bin column][x] * map[y][x] / divisor.
// In the arithmetic of T, float or double.
#pragma once

#include <cstdint>
#include <vector>

namespace asmlp::detect {

// A matrix whose rows are zero outside of one run of columns each. Its rows are numbered from
// `origin`; columns are cells of the map (or bins, when transposed).
template <typename T>
struct Band {
  int64_t origin = 0;
  std::vector<int32_t> first;     // of row origin + i: first column
  std::vector<int32_t> begin{0};  // and where its weights begin; one entry more than rows
  std::vector<T> weights;

  struct Row {
    int64_t first, count;
    const T* weights;
  };
  int64_t rows() const { return static_cast<int64_t>(first.size()); }
  Row row(int64_t index) const {
    const int64_t i = index - origin;
    return {first[i], begin[i + 1] - begin[i], weights.data() + begin[i]};
  }
  void reserve(int64_t rows, int64_t most_weights);
  // Empties it, and begins at row 0.
  void clear();
  // The next row: `count` zeros from `first_column` on, which are returned.
  T* append(int64_t first_column, int64_t count);
};

// The columns of a band (from the first to the last that is not zero) as rows.
template <typename T>
Band<T> transposed(const Band<T>& band);

struct RoiGrid {
  int64_t height, width;   // bins
  int64_t sampling_ratio;  // samples per bin and axis; 0: as many as the bin covers cells
};

// The samples of one RoI on a map of `cells_y` x `cells_x`.
template <typename T>
struct RoiSamples {
  Band<T> y, x;   // bins x cells
  T divisor = 1;  // samples per bin, at least 1
  int64_t image = 0, map = 0;
  // For bins x bins and maps of at most `cells` a side: sample_roi then allocates nothing.
  void reserve(int64_t cells, int64_t bins);
};

// Sets the bands and the divisor of `out`, which keeps its memory, and leaves its image and map.
// `box` is x1, y1, x2, y2 in pixels, `scale` cells per pixel. Positions are box * scale - 0.5 (the
// center of the first cell is 0), bins are an equal part of the RoI, which has no least size, and
// an adaptive bin has ceil(its size) samples: a RoI of no (or negative) size has none and gives 0.
// A sample outside of [-1, cells] counts 0; one beyond the center of an edge cell takes that cell.
// Error(kInvalidArgument) when the box is not finite or larger than 2^22 cells.
template <typename T>
void sample_roi(const T* box, T scale, const RoiGrid& grid, int64_t cells_y, int64_t cells_x,
                RoiSamples<T>& out);

}  // namespace asmlp::detect
