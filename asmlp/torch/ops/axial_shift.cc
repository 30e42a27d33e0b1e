#include "asmlp/torch/ops/axial_shift.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/ops/shift_rows.h"

namespace asmlp::nn {
namespace {

torch::Tensor run_kernel(const torch::Tensor& input, const AxialShift& shift, bool adjoint) {
  const auto in = input.contiguous();
  auto out = torch::empty_like(in);
  const ShiftRows rows(shift, adjoint, in.size(1), in.size(2), in.size(3));
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / in.size(3));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, in.scalar_type(), "axial_shift", [&] {
    const scalar_t* from = in.data_ptr<scalar_t>();
    scalar_t* to = out.data_ptr<scalar_t>();
    at::parallel_for(0, in.numel() / in.size(3), grain, [&](int64_t begin, int64_t end) {
      rows.gather(from, begin, end, to + begin * in.size(3));
    });
  });
  return out;
}

class AxialShiftFunction : public torch::autograd::Function<AxialShiftFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& input, AxialShift shift, bool adjoint) {
    context->saved_data["shift"] = pack_shift(shift);
    context->saved_data["adjoint"] = adjoint;
    return run_kernel(input, shift, adjoint);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const AxialShift shift = unpack_shift(context->saved_data["shift"]);
    const bool adjoint = context->saved_data["adjoint"].toBool();
    return {AxialShiftFunction::apply(gradients[0], shift, !adjoint), {}, {}};
  }
};

}  // namespace

void check_shift(const torch::Tensor& input, const AxialShift& shift) {
  require(input.dim() == 4 && input.size(1) > 0 && input.size(2) > 0 && input.size(3) > 0,
          ErrorCode::kInvalidArgument, "axial shift: input is {}, must be N x H x W x C, not empty",
          to_string(Shape(input.sizes().begin(), input.sizes().end())));
  require(at::isFloatingType(input.scalar_type()), ErrorCode::kInvalidArgument,
          "axial shift: input is of type {}, must be floating-point",
          c10::toString(input.scalar_type()));
  require(shift.positions >= 1 && shift.dilation >= 1, ErrorCode::kInvalidArgument,
          "axial shift: {} positions with dilation {}, both must be at least 1", shift.positions,
          shift.dilation);
}

torch::Tensor axial_shift(const torch::Tensor& input, const AxialShift& shift) {
  const bool dense_cpu = input.device().is_cpu() && input.layout() == at::kStrided;
  if (!dense_cpu) return axial_shift_composed(input, shift);
  check_shift(input, shift);
  if (shift.positions == 1) return input;
  return AxialShiftFunction::apply(input, shift, /*adjoint=*/false);
}

torch::Tensor axial_shift_composed(const torch::Tensor& input, const AxialShift& shift) {
  check_shift(input, shift);
  if (shift.positions == 1) return input;
  const int axis = static_cast<int>(shift.axis);
  const int extent = static_cast<int>(input.size(axis));
  std::vector<torch::Tensor> shifted;
  for (const ShiftGroup& group : shift_groups(static_cast<int>(input.size(3)), shift)) {
    const auto part = input.slice(3, group.begin, group.end);
    if (shift.padding == Padding::kZero) {
      // Positive displacements lose the far end and gain zeros at the near one.
      const int d = std::clamp(group.displacement, -extent, extent);
      const int near = std::max(d, 0);
      const int far = std::max(-d, 0);
      const auto kept = part.slice(axis, far, extent - near);
      shifted.push_back(axis == 1 ? torch::constant_pad_nd(kept, {0, 0, 0, 0, near, far})
                                  : torch::constant_pad_nd(kept, {0, 0, near, far}));
      continue;
    }
    std::vector<int64_t> index(extent);
    for (int p = 0; p < extent; ++p) {
      index[p] = padded_index(p - group.displacement, extent, shift.padding);
    }
    shifted.push_back(part.index_select(axis, torch::tensor(index).to(input.device())));
  }
  return torch::cat(shifted, 3);
}

}  // namespace asmlp::nn
