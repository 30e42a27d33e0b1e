// The axial shift as an index map over pixels: the rows of the matrix that a projection multiplies
// are gathered a block at a time, so that no shifted feature map is ever stored.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/torch/ops/axial_shift.h"

namespace asmlp::nn {

// An AxialShift among what an autograd function keeps for its backward pass.
inline c10::IValue pack_shift(const AxialShift& shift) {
  return std::vector<int64_t>{static_cast<int64_t>(shift.axis), shift.positions, shift.dilation,
                              static_cast<int64_t>(shift.padding)};
}
inline AxialShift unpack_shift(const c10::IValue& value) {
  const std::vector<int64_t> fields = value.toIntVector();
  return {static_cast<Axis>(fields[0]), static_cast<int>(fields[1]), static_cast<int>(fields[2]),
          static_cast<Padding>(fields[3])};
}

// Channel groups of each displacement, `begin` and `end` of them in order.
struct ShiftGroup {
  int begin = 0;
  int end = 0;
  int displacement = 0;
};
std::vector<ShiftGroup> shift_groups(int channels, const AxialShift& shift);

// The shift (or, with `adjoint`, its transpose) of N x h x w x channels maps.
class ShiftRows {
 public:
  ShiftRows(const AxialShift& shift, bool adjoint, int64_t h, int64_t w, int64_t channels);

  // Pixels [begin, end) of all N * h * w of the shifted map, dense, at `out`; added to what is
  // there with `add`. `in` is the whole map. T is float, double, or one of c10's 16-bit types; or T
  // is Bf16 and Out the same or, for sums, float.
  template <typename T, typename Out = T>
  void gather(const T* in, int64_t begin, int64_t end, Out* out, bool add = false) const;

 private:
  int64_t h_, w_, channels_;
  bool along_h_;
  std::vector<ShiftGroup> groups_;
  // For every group g and position p of the axis the positions whose sum it receives:
  // first_[g * extent + p] .. first_[g * extent + p + 1] in source_. Forward there is at most one;
  // the adjoint turns the relation round, and a border that was read twice collects twice.
  std::vector<int> first_, source_;
};

}  // namespace asmlp::nn
