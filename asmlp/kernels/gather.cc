#include "asmlp/kernels/gather.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace asmlp {
namespace {

// Copies n elements in whole blocks: the surplus is overwritten by the next group or row.
template <typename T>
inline void copy_blocks(const T* source, T* out, int n) {
  constexpr int kBlock = kGatherSlack / sizeof(T);
  for (int i = 0; i < n; i += kBlock) std::memcpy(out + i, source + i, kGatherSlack);
}

// A block of one value.
template <typename T>
struct Filling {
  explicit Filling(T value) { std::fill_n(values, kBlock, value); }
  void fill(T* out, int n) const {
    for (int i = 0; i < n; i += kBlock) std::memcpy(out + i, values, kGatherSlack);
  }
  static constexpr int kBlock = kGatherSlack / sizeof(T);
  T values[kBlock];
};

void* at(void* panel, int64_t element, int64_t size) {
  return static_cast<std::byte*>(panel) + element * size;
}

// A product reads padded_depth elements; the surplus must not be what happened to lie there.
void zero_tail(void* row, int64_t depth, int64_t padded_depth, int64_t size) {
  if (depth < padded_depth) std::memset(at(row, depth, size), 0, (padded_depth - depth) * size);
}

}  // namespace

template <typename T>
void gather_shifted(const MapView<T>& map, const ShiftTable& table, Axis axis, int64_t begin,
                    int64_t rows, T* a, int64_t lda, int64_t padded_depth, T zero) {
  const Filling<T> outside(zero);
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int x = static_cast<int>(r % map.w);
    const int y = static_cast<int>(r / map.w % map.h);
    const int position = axis == Axis::kW ? x : y;
    const int64_t step = axis == Axis::kW ? map.stride : map.stride * map.w;
    const T* pixel = map.row(r);
    const int* source = table.source.data() + position;
    for (const ShiftTable::Group& group : table.groups) {
      const int count = group.end - group.begin;
      if (*source < 0) {
        outside.fill(a + group.begin, count);
      } else {
        copy_blocks(pixel + (*source - position) * step + group.begin, a + group.begin, count);
      }
      source += table.extent;
    }
    zero_tail(a, map.channels, padded_depth, sizeof(T));
  }
}
template void gather_shifted(const MapView<float>&, const ShiftTable&, Axis, int64_t, int64_t,
                             float*, int64_t, int64_t, float);
template void gather_shifted(const MapView<uint16_t>&, const ShiftTable&, Axis, int64_t, int64_t,
                             uint16_t*, int64_t, int64_t, uint16_t);
template void gather_shifted(const MapView<uint8_t>&, const ShiftTable&, Axis, int64_t, int64_t,
                             uint8_t*, int64_t, int64_t, uint8_t);

void gather_normalized(const PanelFormat& format, const MapView<float>& map, const ImageNorm* norms,
                       const float* gamma, const float* beta, int64_t begin, int64_t rows, void* a,
                       int64_t lda, int64_t padded_depth) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const ImageNorm& norm = norms[r / map.pixels()];
    kernels.normalize_panel(map.row(r), a, map.channels,
                            {norm.mean, norm.rstd, gamma, beta, format.quantization});
    zero_tail(a, map.channels, padded_depth, size);
  }
}

void gather_converted(const PanelFormat& format, const MapView<float>& map, int64_t begin,
                      int64_t rows, void* a, int64_t lda, int64_t padded_depth) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    kernels.convert_panel(map.row(r), a, map.channels);
    zero_tail(a, map.channels, padded_depth, size);
  }
}

void gather_merged(const PanelFormat& format, const MapView<float>& map, const ImageNorm* norms,
                   const float* gamma, const float* beta, int64_t begin, int64_t rows, void* a,
                   int64_t lda, int64_t padded_depth, const float* zeros) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  const int out_w = (map.w + 1) / 2, out_h = (map.h + 1) / 2;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const int64_t image = r / (int64_t{out_h} * out_w);
    const int y = static_cast<int>(r / out_w % out_h) * 2, x = static_cast<int>(r % out_w) * 2;
    for (int quarter = 0; quarter < 4; ++quarter) {
      const int yy = y + quarter % 2, xx = x + quarter / 2;
      const bool inside = yy < map.h && xx < map.w;
      const float* pixel = inside ? map.row((image * map.h + yy) * map.w + xx) : zeros;
      const int offset = quarter * map.channels;
      kernels.normalize_panel(pixel, at(a, offset, size), map.channels,
                              {norms[image].mean, norms[image].rstd, gamma + offset, beta + offset,
                               format.quantization});
    }
    zero_tail(a, 4 * int64_t{map.channels}, padded_depth, size);
  }
}

namespace {

// The patch x patch pixels of one channel at `source`, whose rows are `width` floats apart, as far
// as they lie inside of the image.
void copy_patch(const float* source, int64_t width, int64_t rows, int64_t columns, int patch,
                float* out) {
  constexpr int kUsual = 4;  // a copy of a size that the compiler knows is one instruction
  if (patch == kUsual && rows == kUsual && columns == kUsual) {
    for (int y = 0; y < kUsual; ++y) {
      std::memcpy(out + y * kUsual, source + y * width, kUsual * sizeof(float));
    }
    return;
  }
  for (int64_t y = 0; y < patch; ++y, source += width, out += patch) {
    const int64_t inside = y < rows ? columns : 0;
    if (inside > 0) std::copy_n(source, inside, out);
    std::fill_n(out + inside, patch - inside, 0.0f);
  }
}

}  // namespace

void gather_patches(const PanelFormat& format, const InputView& input, int64_t begin, int64_t rows,
                    void* a, int64_t lda, int64_t padded_depth, float* line) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  const int patch = input.patch;
  const int64_t depth = int64_t{input.channels} * patch * patch;
  const int64_t out_w = (input.width + patch - 1) / patch;
  const int64_t out_h = (input.height + patch - 1) / patch;
  const int64_t plane = int64_t{input.height} * input.width;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const int64_t image = r / (out_h * out_w);
    const int64_t y = r / out_w % out_h * patch, x = r % out_w * patch;
    const float* source = input.data + image * input.channels * plane + y * input.width + x;
    // Loads that are wider than the stores before them wait, so a conversion is left out if it can.
    float* out = kernels.element == PanelElement::kF32 ? static_cast<float*>(a) : line;
    for (int c = 0; c < input.channels; ++c) {
      copy_patch(source + c * plane, input.width, std::min<int64_t>(patch, input.height - y),
                 std::min<int64_t>(patch, input.width - x), patch, out + c * patch * patch);
    }
    if (out == line) kernels.convert_panel(line, a, depth);
    zero_tail(a, depth, padded_depth, size);
  }
}

}  // namespace asmlp
