#include "asmlp/torch/detect/roi/roi_align.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <variant>

#include "asmlp/detection/roi_kernels.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What forward and backward need to know about the maps and the RoIs.
struct Plan : torch::CustomClassHolder {
  RoiGrid grid;
  std::vector<std::vector<int64_t>> sizes;  // of the maps
  at::MemoryFormat format;                  // of all tensors: channels-last, or contiguous
  std::variant<std::vector<RoiSamples<float>>, std::vector<RoiSamples<double>>> rois;

  bool rows() const { return format == at::MemoryFormat::ChannelsLast; }
};
using PlanPointer = c10::intrusive_ptr<Plan>;

template <typename T>
std::vector<RoiSamples<T>> sample_rois(const Plan& plan, const std::vector<double>& scales,
                                       const torch::Tensor& rois, const torch::Tensor& levels) {
  constexpr auto kType = c10::CppTypeToScalarType<T>::value;
  const auto values = rois.detach().to(torch::kCPU, kType).contiguous();
  const auto maps = levels.to(torch::kCPU, torch::kInt64).contiguous();
  const T* value = values.template data_ptr<T>();
  const int64_t* map = maps.template data_ptr<int64_t>();
  std::vector<RoiSamples<T>> samples(rois.size(0));
  at::parallel_for(0, rois.size(0), 32, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t count = static_cast<int64_t>(plan.sizes.size());
      require(map[r] >= 0 && map[r] < count, ErrorCode::kInvalidArgument,
              "roi_align: RoI {} is on level {} of {}", r, map[r], count);
      const auto& size = plan.sizes[map[r]];
      const T image = value[5 * r];
      require(image >= 0 && image < static_cast<T>(size[0]), ErrorCode::kInvalidArgument,
              "roi_align: RoI {} is in image {} of {}", r, image, size[0]);
      sample_roi(value + 5 * r + 1, static_cast<T>(scales[map[r]]), plan.grid, size[2], size[3],
                 samples[r]);
      samples[r].image = static_cast<int64_t>(image), samples[r].map = map[r];
    }
  });
  return samples;
}

// Channels-last: every bin is a sum of rows of channels.
template <typename T>
void pool_rows(const Plan& plan, const std::vector<RoiSamples<T>>& rois,
               const std::vector<const T*>& maps, int64_t channels, T* out) {
  const auto [height, width, ratio] = plan.grid;
  at::parallel_for(0, static_cast<int64_t>(rois.size()) * height, 1,
                   [&, height = height, width = width](int64_t begin, int64_t end) {
                     std::vector<Term<T>> terms;
                     for (int64_t task = begin; task < end; ++task) {
                       const RoiSamples<T>& roi = rois[task / height];
                       const auto& size = plan.sizes[roi.map];
                       const T* map = maps[roi.map] + roi.image * size[2] * size[3] * channels;
                       for (int64_t bin = 0; bin < width; ++bin) {
                         set_terms(roi, task % height, bin, size[3], channels, terms);
                         combine_rows(map, terms.data(), static_cast<int64_t>(terms.size()),
                                      channels, roi.divisor, out + (task * width + bin) * channels);
                       }
                     }
                   });
}

// The adjoint for one map: a thread owns some rows of cells and adds the RoIs in their order, so
// that the sums do not depend on the division. Every cell is a sum of rows of bins.
template <typename T>
void spread_rows(const Plan& plan, const std::vector<RoiSamples<T>>& rois, int64_t map,
                 int64_t channels, const T* d_out, T* d_map) {
  const auto& size = plan.sizes[map];
  const int64_t cells_y = size[2], cells_x = size[3], rows = size[0] * cells_y;
  struct Adjoint {
    int64_t roi;
    Band<T> y{}, x{};  // cells x bins
  };
  std::vector<Adjoint> adjoints;
  for (int64_t r = 0; r < static_cast<int64_t>(rois.size()); ++r) {
    if (rois[r].map == map) adjoints.push_back({r});
  }
  at::parallel_for(0, static_cast<int64_t>(adjoints.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      adjoints[i].y = transposed(rois[adjoints[i].roi].y);
      adjoints[i].x = transposed(rois[adjoints[i].roi].x);
    }
  });
  // Work up to each row, in rows of channels: to clear it, and for each cell of a RoI.
  std::vector<int64_t> work(rows + 1, 0);
  for (int64_t row = 0; row < rows; ++row) work[row + 1] = 1 + cells_x / 4;
  for (const auto& [r, y, x] : adjoints) {
    int64_t* first = work.data() + rois[r].image * cells_y + 1;
    for (int64_t i = 0; i < y.rows(); ++i) first[y.origin + i] += 2 * x.rows();
  }
  std::partial_sum(work.begin(), work.end(), work.begin());
  const int64_t parts = at::get_num_threads();
  const auto part_begin = [&](int64_t part) {
    return std::lower_bound(work.begin(), work.end(), work.back() * part / parts) - work.begin();
  };
  at::parallel_for(0, parts, 1, [&](int64_t first_part, int64_t last_part) {
    const int64_t from = part_begin(first_part), to = part_begin(last_part);
    std::fill(d_map + from * cells_x * channels, d_map + to * cells_x * channels, T(0));
    std::vector<Term<T>> terms;
    for (const auto& [r, y, x] : adjoints) {
      const RoiSamples<T>& roi = rois[r];
      const int64_t top = roi.image * cells_y, bottom = y.origin + y.rows();
      for (int64_t cy = std::max(y.origin, from - top); cy < std::min(bottom, to - top); ++cy) {
        const auto bins_y = y.row(cy);
        for (int64_t cx = x.origin; cx < x.origin + x.rows(); ++cx) {
          const auto bins_x = x.row(cx);
          terms.clear();
          for (int64_t i = 0; i < bins_y.count; ++i) {
            for (int64_t j = 0; j < bins_x.count; ++j) {
              const int64_t bin =
                  (r * plan.grid.height + bins_y.first + i) * plan.grid.width + bins_x.first + j;
              const T weight = bins_y.weights[i] * bins_x.weights[j];
              if (weight != 0) terms.push_back({bin * channels, weight / roi.divisor});
            }
          }
          add_combined_rows(d_out, terms.data(), static_cast<int64_t>(terms.size()), channels,
                            d_map + ((top + cy) * cells_x + cx) * channels);
        }
      }
    }
  });
}

// Planes: a thread takes all RoIs of a channel before the next channel, whose planes then stay in
// the cache (those of P2 have 0.2 MB).
template <typename T>
void pool_planes(const Plan& plan, const std::vector<RoiSamples<T>>& rois,
                 const std::vector<const T*>& maps, int64_t channels, T* out) {
  const int64_t bins = plan.grid.height * plan.grid.width;
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> line;
    for (int64_t channel = begin; channel < end; ++channel) {
      for (size_t r = 0; r < rois.size(); ++r) {
        const auto& size = plan.sizes[rois[r].map];
        const T* plane =
            maps[rois[r].map] + (rois[r].image * channels + channel) * size[2] * size[3];
        pool_plane(plane, size[3], rois[r], line,
                   out + (static_cast<int64_t>(r) * channels + channel) * bins);
      }
    }
  });
}

// The adjoint: a thread owns some planes of the gradient.
template <typename T>
void spread_planes(const Plan& plan, const std::vector<RoiSamples<T>>& rois, int64_t map,
                   int64_t channels, const T* d_out, T* d_map) {
  const auto& size = plan.sizes[map];
  const int64_t bins = plan.grid.height * plan.grid.width, cells = size[2] * size[3];
  at::parallel_for(0, size[0] * channels, 1, [&](int64_t begin, int64_t end) {
    std::fill(d_map + begin * cells, d_map + end * cells, T(0));
    std::vector<T> line;
    for (int64_t plane = begin; plane < end; ++plane) {
      for (size_t r = 0; r < rois.size(); ++r) {
        if (rois[r].map != map || rois[r].image != plane / channels) continue;
        spread_plane(d_out + (static_cast<int64_t>(r) * channels + plane % channels) * bins,
                     size[3], rois[r], line, d_map + plane * cells);
      }
    }
  });
}

torch::Tensor run_forward(const Plan& plan, at::TensorList maps) {
  const int64_t channels = plan.sizes[0][1];
  return std::visit(
      [&]<typename T>(const std::vector<RoiSamples<T>>& rois) {
        std::vector<torch::Tensor> dense;
        std::vector<const T*> pointers;
        for (const auto& map : maps) {
          dense.push_back(map.contiguous(plan.format));
          pointers.push_back(dense.back().template data_ptr<T>());
        }
        auto out = torch::empty(
            {static_cast<int64_t>(rois.size()), channels, plan.grid.height, plan.grid.width},
            maps[0].options().memory_format(plan.format));
        (plan.rows() ? pool_rows<T> : pool_planes<T>)(plan, rois, pointers, channels,
                                                      out.template data_ptr<T>());
        return out;
      },
      plan.rois);
}

variable_list run_backward(const Plan& plan, const torch::Tensor& d_out) {
  const int64_t channels = plan.sizes[0][1];
  const auto dense = d_out.contiguous(plan.format);
  return std::visit(
      [&]<typename T>(const std::vector<RoiSamples<T>>& rois) {
        variable_list d_maps;
        for (size_t map = 0; map < plan.sizes.size(); ++map) {
          d_maps.push_back(
              torch::empty(plan.sizes[map], dense.options().memory_format(plan.format)));
          (plan.rows() ? spread_rows<T> : spread_planes<T>)(plan, rois, static_cast<int64_t>(map),
                                                            channels, dense.template data_ptr<T>(),
                                                            d_maps.back().template data_ptr<T>());
        }
        return d_maps;
      },
      plan.rois);
}

PlanPointer plan_of(AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<Plan>(context->saved_data["plan"].toCapsule());
}

// Pooling is linear in the maps, so each of the two is the other's gradient.
struct Pool : torch::autograd::Function<Pool> {
  static torch::Tensor forward(AutogradContext* context, const PlanPointer& plan,
                               at::TensorList maps) {
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return run_forward(*plan, maps);
  }
  static variable_list backward(AutogradContext* context, const variable_list& d_outputs);
};

struct Spread : torch::autograd::Function<Spread> {
  static variable_list forward(AutogradContext* context, const PlanPointer& plan,
                               const torch::Tensor& d_out) {
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return run_backward(*plan, d_out);
  }
  static variable_list backward(AutogradContext* context, const variable_list& d_maps) {
    const auto plan = plan_of(context);
    return {torch::Tensor(), Pool::apply(plan, at::TensorList(d_maps))};
  }
};

variable_list Pool::backward(AutogradContext* context, const variable_list& d_outputs) {
  auto d_maps = Spread::apply(plan_of(context), d_outputs[0]);
  d_maps.insert(d_maps.begin(), torch::Tensor());  // of the plan
  return d_maps;
}

void check(const std::vector<torch::Tensor>& maps, const std::vector<double>& scales,
           const torch::Tensor& rois, const torch::Tensor& levels, const RoiAlignOptions& options) {
  require(!maps.empty() && maps.size() == scales.size(), ErrorCode::kInvalidArgument,
          "roi_align: {} maps and {} scales, must be as many, not none", maps.size(),
          scales.size());
  for (const auto& map : maps) {
    require(map.defined() && map.dim() == 4 && map.numel() > 0 && map.is_floating_point(),
            ErrorCode::kInvalidArgument,
            "roi_align: a map is {}, must be B x C x H x W of a floating-point type, not empty",
            shape_of(map));
    require(map.size(0) == maps[0].size(0) && map.size(1) == maps[0].size(1) &&
                map.scalar_type() == maps[0].scalar_type() && map.device() == maps[0].device(),
            ErrorCode::kInvalidArgument,
            "roi_align: maps {} and {} must agree in images, channels, type and device",
            shape_of(maps[0]), shape_of(map));
  }
  require(rois.defined() && rois.dim() == 2 && rois.size(1) == 5 && rois.is_floating_point(),
          ErrorCode::kInvalidArgument, "roi_align: RoIs are {}, must be R x 5, floating-point",
          shape_of(rois));
  require(levels.defined() && levels.dim() == 1 && levels.size(0) == rois.size(0),
          ErrorCode::kInvalidArgument, "roi_align: levels are {}, must be one for each of {} RoIs",
          shape_of(levels), rois.size(0));
  require(options.height > 0 && options.width > 0 && options.sampling_ratio >= 0,
          ErrorCode::kInvalidArgument,
          "roi_align: {} x {} bins with {} samples, must be positive (0 samples: adaptive)",
          options.height, options.width, options.sampling_ratio);
}

// The weights of roi_samples.h as dense matrices, R x bins x cells, divided by the samples of a
// bin. `from` and `to` are R.
torch::Tensor dense_weights(const torch::Tensor& from, const torch::Tensor& to, double scale,
                            int64_t bins, const torch::Tensor& samples, int64_t cells) {
  const auto options = from.options();
  const int64_t most = std::max<int64_t>(1, samples.max().item<int64_t>());
  const auto start = (from * scale - 0.5).view({-1, 1, 1});
  const auto bin =
      (((to * scale - 0.5) - (from * scale - 0.5)) / static_cast<double>(bins)).view({-1, 1, 1});
  const auto count = samples.view({-1, 1, 1});
  const auto index = torch::arange(most, options);
  const auto position = start + torch::arange(bins, options).unsqueeze(1) * bin +
                        (index + 0.5) * bin / count.clamp_min(1);
  const auto counts = (index < count) & (position >= -1) & (position <= cells);
  // A sample between two cells weighs each by 1 - its distance.
  const auto distance = position.clamp(0, cells - 1).unsqueeze(3) - torch::arange(cells, options);
  const auto weight = (1 - distance.abs()).clamp_min(0) * counts.unsqueeze(3);
  return weight.sum(2) / count.clamp_min(1);
}

}  // namespace

torch::Tensor eager_roi_align(const std::vector<torch::Tensor>& maps,
                              const std::vector<double>& scales, const torch::Tensor& rois,
                              const torch::Tensor& levels, const RoiAlignOptions& options) {
  check(maps, scales, rois, levels, options);
  const int64_t channels = maps[0].size(1);
  std::vector<torch::Tensor> pooled, order;
  for (size_t level = 0; level < maps.size(); ++level) {
    const auto map = widen(maps[level]);
    const auto here = (levels == static_cast<int64_t>(level)).nonzero().squeeze(1);
    order.push_back(here);
    // An empty part keeps every map in the graph.
    pooled.push_back(map.slice(0, 0, 0).sum() *
                     torch::zeros({0, channels, options.height, options.width}, map.options()));
    if (here.size(0) == 0) continue;
    const auto edge = rois.detach().index_select(0, here).to(map.options()).unbind(1);
    const auto samples = [&](const torch::Tensor& from, const torch::Tensor& to, int64_t bins) {
      const auto length = (to * scales[level] - 0.5) - (from * scales[level] - 0.5);
      return options.sampling_ratio > 0
                 ? torch::full_like(length, options.sampling_ratio)
                 : torch::ceil(length / static_cast<double>(bins)).clamp_min(0);
    };
    const auto columns = dense_weights(edge[1], edge[3], scales[level], options.width,
                                       samples(edge[1], edge[3], options.width), map.size(3));
    const auto rows = dense_weights(edge[2], edge[4], scales[level], options.height,
                                    samples(edge[2], edge[4], options.height), map.size(2));
    for (int64_t i = 0; i < here.size(0); ++i) {
      const auto plane = map[edge[0][i].item<int64_t>()];  // C x H x W
      pooled.push_back(rows[i].matmul(plane).matmul(columns[i].t()).unsqueeze(0));
    }
  }
  const auto place = torch::cat(order);
  return torch::cat(pooled).index_select(0, std::get<1>(place.sort()));
}

torch::Tensor roi_align(const std::vector<torch::Tensor>& maps, const std::vector<double>& scales,
                        const torch::Tensor& rois, const torch::Tensor& levels,
                        const RoiAlignOptions& options) {
  check(maps, scales, rois, levels, options);
  if (!maps[0].device().is_cpu()) return eager_roi_align(maps, scales, rois, levels, options);
  auto plan = c10::make_intrusive<Plan>();
  plan->grid = {options.height, options.width, options.sampling_ratio};
  plan->format = maps[0].is_contiguous() || !maps[0].is_contiguous(at::MemoryFormat::ChannelsLast)
                     ? at::MemoryFormat::Contiguous
                     : at::MemoryFormat::ChannelsLast;
  std::vector<torch::Tensor> wide;
  for (const auto& map : maps) {
    wide.push_back(widen(map));
    plan->sizes.push_back(map.sizes().vec());
  }
  if (wide[0].scalar_type() == at::kDouble) {
    plan->rois = sample_rois<double>(*plan, scales, rois, levels);
  } else {
    plan->rois = sample_rois<float>(*plan, scales, rois, levels);
  }
  return Pool::apply(plan, at::TensorList(wide));
}

torch::Tensor roi_align(const torch::Tensor& map, double scale, const torch::Tensor& rois,
                        const RoiAlignOptions& options) {
  return roi_align({map}, {scale}, rois,
                   torch::zeros({rois.size(0)}, rois.options().dtype(torch::kInt64)), options);
}

}  // namespace asmlp::detect
