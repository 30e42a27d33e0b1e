#include "asmlp/torch/nn/axial_shift.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"

namespace asmlp::nn {
namespace {

// Consecutive channels with the same displacement.
struct Group {
  int begin = 0;
  int end = 0;
  int displacement = 0;
};

std::vector<Group> groups_of(int channels, const AxialShift& shift) {
  std::vector<Group> groups;
  for (int c = 0; c < channels; ++c) {
    const int d = shift_of_channel(c, channels, shift.positions, shift.dilation);
    if (groups.empty() || groups.back().displacement != d) groups.push_back({c, c, d});
    groups.back().end = c + 1;
  }
  return groups;
}

// For every group and position p of the axis the positions whose sum it receives. Forward there is
// at most one; the adjoint turns the relation round, and a border that was read twice collects
// twice.
struct SourceTable {
  std::vector<int> first;  // first[group * extent + p] .. first[group * extent + p + 1] in source
  std::vector<int> source;
};

SourceTable source_table(const std::vector<Group>& groups, int extent, Padding padding,
                         bool adjoint) {
  SourceTable table;
  std::vector<std::vector<int>> sources(extent);
  for (const Group& group : groups) {
    for (auto& list : sources) list.clear();
    for (int p = 0; p < extent; ++p) {
      const int from = padded_index(p - group.displacement, extent, padding);
      if (from >= 0) adjoint ? sources[from].push_back(p) : sources[p].push_back(from);
    }
    for (const auto& list : sources) {
      table.first.push_back(static_cast<int>(table.source.size()));
      table.source.insert(table.source.end(), list.begin(), list.end());
    }
  }
  table.first.push_back(static_cast<int>(table.source.size()));
  return table;
}

// A group of a pixel is one contiguous run.
template <typename T>
void gather(const T* in, T* out, int64_t images, int64_t h, int64_t w, int64_t channels, Axis axis,
            const std::vector<Group>& groups, const SourceTable& table) {
  const int64_t row = w * channels;
  const int64_t extent = axis == Axis::kHeight ? h : w;
  const int64_t step = axis == Axis::kHeight ? row : channels;  // between positions of the axis
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / row);
  at::parallel_for(0, images * h, grain, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      for (int64_t x = 0; x < w; ++x) {
        const int64_t p = axis == Axis::kHeight ? line % h : x;
        T* pixel = out + line * row + x * channels;
        const T* axis_start = in + line * row + x * channels - p * step;
        for (size_t g = 0; g < groups.size(); ++g) {
          const int64_t c = groups[g].begin;
          const int64_t count = groups[g].end - c;
          const int* source = &table.source[0] + table.first[g * extent + p];
          const int* stop = &table.source[0] + table.first[g * extent + p + 1];
          if (source == stop) {
            std::fill_n(pixel + c, count, T(0));
            continue;
          }
          std::copy_n(axis_start + *source * step + c, count, pixel + c);
          for (++source; source != stop; ++source) {
            const T* from = axis_start + *source * step + c;
            for (int64_t i = 0; i < count; ++i) pixel[c + i] += from[i];
          }
        }
      }
    }
  });
}

torch::Tensor run_kernel(const torch::Tensor& input, const AxialShift& shift, bool adjoint) {
  const auto in = input.contiguous();
  auto out = torch::empty_like(in);
  const auto groups = groups_of(static_cast<int>(in.size(3)), shift);
  const auto extent = static_cast<int>(in.size(static_cast<int>(shift.axis)));
  const auto table = source_table(groups, extent, shift.padding, adjoint);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, in.scalar_type(), "axial_shift", [&] {
    gather(in.data_ptr<scalar_t>(), out.data_ptr<scalar_t>(), in.size(0), in.size(1), in.size(2),
           in.size(3), shift.axis, groups, table);
  });
  return out;
}

class AxialShiftFunction : public torch::autograd::Function<AxialShiftFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& input, AxialShift shift, bool adjoint) {
    context->saved_data["axis"] = static_cast<int64_t>(shift.axis);
    context->saved_data["positions"] = int64_t{shift.positions};
    context->saved_data["dilation"] = int64_t{shift.dilation};
    context->saved_data["padding"] = static_cast<int64_t>(shift.padding);
    context->saved_data["adjoint"] = adjoint;
    return run_kernel(input, shift, adjoint);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = [&](const char* name) { return context->saved_data[name].toInt(); };
    const AxialShift shift{static_cast<Axis>(saved("axis")), static_cast<int>(saved("positions")),
                           static_cast<int>(saved("dilation")),
                           static_cast<Padding>(saved("padding"))};
    const bool adjoint = context->saved_data["adjoint"].toBool();
    return {AxialShiftFunction::apply(gradients[0], shift, !adjoint), {}, {}};
  }
};

void check(const torch::Tensor& input, const AxialShift& shift) {
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

}  // namespace

torch::Tensor axial_shift(const torch::Tensor& input, const AxialShift& shift) {
  const bool dense_cpu = input.device().is_cpu() && input.layout() == at::kStrided;
  if (!dense_cpu) return axial_shift_composed(input, shift);
  check(input, shift);
  if (shift.positions == 1) return input;
  return AxialShiftFunction::apply(input, shift, /*adjoint=*/false);
}

torch::Tensor axial_shift_composed(const torch::Tensor& input, const AxialShift& shift) {
  check(input, shift);
  if (shift.positions == 1) return input;
  const int axis = static_cast<int>(shift.axis);
  const int extent = static_cast<int>(input.size(axis));
  std::vector<torch::Tensor> shifted;
  for (const Group& group : groups_of(static_cast<int>(input.size(3)), shift)) {
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
