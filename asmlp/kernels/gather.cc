#include "asmlp/kernels/gather.h"

#include <algorithm>
#include <cstring>

namespace asmlp {
namespace {

constexpr int kBlock = 8;  // floats copied at a time
static_assert(kBlock <= kGatherSlack);

// Copies n floats in whole blocks: the surplus is overwritten by the next group or row.
inline void copy_blocks(const float* source, float* out, int n) {
  for (int i = 0; i < n; i += kBlock) std::memcpy(out + i, source + i, kBlock * sizeof(float));
}

inline void zero_blocks(float* out, int n) {
  for (int i = 0; i < n; i += kBlock) std::memset(out + i, 0, kBlock * sizeof(float));
}

}  // namespace

void gather_shifted(const MapView& map, const ShiftTable& table, Axis axis, int64_t begin,
                    int64_t rows, float* a, int64_t lda) {
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int x = static_cast<int>(r % map.w);
    const int y = static_cast<int>(r / map.w % map.h);
    const int position = axis == Axis::kW ? x : y;
    const int64_t step = axis == Axis::kW ? map.stride : map.stride * map.w;
    const float* pixel = map.row(r);
    const int* source = table.source.data() + position;
    for (const ShiftTable::Group& group : table.groups) {
      const int count = group.end - group.begin;
      if (*source < 0) {
        zero_blocks(a + group.begin, count);
      } else {
        copy_blocks(pixel + (*source - position) * step + group.begin, a + group.begin, count);
      }
      source += table.extent;
    }
  }
}

void gather_normalized(const KernelSet& kernels, const MapView& map, const ImageNorm* norms,
                       const float* gamma, const float* beta, int64_t begin, int64_t rows, float* a,
                       int64_t lda) {
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const ImageNorm& norm = norms[r / map.pixels()];
    kernels.normalize(map.row(r), a, map.channels, {norm.mean, norm.rstd, gamma, beta});
  }
}

void gather_merged(const KernelSet& kernels, const MapView& map, const ImageNorm* norms,
                   const float* gamma, const float* beta, int64_t begin, int64_t rows, float* a,
                   int64_t lda) {
  const int out_w = (map.w + 1) / 2, out_h = (map.h + 1) / 2;
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int64_t image = r / (int64_t{out_h} * out_w);
    const int y = static_cast<int>(r / out_w % out_h) * 2, x = static_cast<int>(r % out_w) * 2;
    for (int quarter = 0; quarter < 4; ++quarter) {
      const int yy = y + quarter % 2, xx = x + quarter / 2;
      const int offset = quarter * map.channels;
      float* out = a + offset;
      const NormArgs norm{norms[image].mean, norms[image].rstd, gamma + offset, beta + offset};
      if (yy < map.h && xx < map.w) {
        kernels.normalize(map.row((image * map.h + yy) * map.w + xx), out, map.channels, norm);
      } else {
        std::fill_n(out, map.channels, 0.0f);
        kernels.normalize(out, out, map.channels, norm);
      }
    }
  }
}

void gather_patches(const InputView& input, int64_t begin, int64_t rows, float* a, int64_t lda) {
  const int patch = input.patch;
  const int64_t out_w = (input.width + patch - 1) / patch;
  const int64_t out_h = (input.height + patch - 1) / patch;
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int64_t image = r / (out_h * out_w);
    const int64_t y0 = r / out_w % out_h * patch, x0 = r % out_w * patch;
    const int inside = static_cast<int>(std::min<int64_t>(patch, input.width - x0));
    float* out = a;
    for (int c = 0; c < input.channels; ++c) {
      for (int64_t y = y0; y < y0 + patch; ++y, out += patch) {
        if (y >= input.height) {
          std::fill_n(out, patch, 0.0f);
          continue;
        }
        const float* line =
            input.data + ((image * input.channels + c) * input.height + y) * input.width + x0;
        std::copy_n(line, inside, out);
        std::fill_n(out + inside, patch - inside, 0.0f);
      }
    }
  }
}

}  // namespace asmlp
