#include "asmlp/engine/forward.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace asmlp {
namespace {

// Mean and 1 / sqrt(variance + eps) of an image's `rows` pixels of `channels` values each, from the
// pixels' own statistics, and of `zeros` further values that are zero (the padded canvas of a patch
// merging). M2 of the whole = sum of the M2 + sum of channels * (mean of the pixel - mean)^2.
ImageNorm merge_stats(const RowStats* rows, int64_t count, int channels, int64_t zeros) {
  double sum = 0, within = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += rows[i].sum;
    within += rows[i].m2;
  }
  const double n = static_cast<double>(count) * channels + static_cast<double>(zeros);
  const double mean = sum / n, scale = 1.0 / channels;
  double between = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = rows[i].sum * scale - mean;
    between += difference * difference;
  }
  const double m2 = within + between * channels + static_cast<double>(zeros) * mean * mean;
  return {static_cast<float>(mean), static_cast<float>(1.0 / std::sqrt(m2 / n + kNormEps))};
}

// A range [begin, end) of `total` items in multiples of `unit` for block `index` of `blocks`.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
Range block_range(int64_t total, int64_t unit, int64_t index, int64_t blocks) {
  const int64_t units = (total + unit - 1) / unit;
  return {std::min(total, units * index / blocks * unit),
          std::min(total, units * (index + 1) / blocks * unit)};
}

class Forward {
 public:
  Forward(const Config& config, const PackedWeights& weights, Plan& plan, int batch)
      : config_(config), weights_(weights), plan_(plan), kernels_(plan.kernels), batch_(batch) {}

  void run(const InputView& input) {
    patch_embed(input);
    copy_feature(0, plan_.stages[0]);
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const PackedStage& packed = weights_.stages[s];
      for (const PackedBlock& block : packed.blocks) {
        axial_shift(block, plan_.stages[s]);
        mlp(block, plan_.stages[s]);
      }
      const bool is_last = s + 1 == plan_.stages.size();
      if (!is_last) patch_merging(packed, plan_.stages[s], plan_.stages[s + 1]);
      copy_feature(s + 1, plan_.stages[is_last ? s : s + 1]);
    }
    head(plan_.stages.back());
  }

 private:
  int64_t rows(const StagePlan& stage) const { return batch_ * stage.pixels(); }

  MapView view(const AlignedFloats& map, const StagePlan& stage) const {
    return {map.data(), stage.size.h, stage.size.w, stage.channels, stage.stride};
  }

  // Calls body(rows, panels, a) for every task of a product: gather these rows into `a`, compute
  // these column panels. When `stats` is given, the statistics of its finished rows follow.
  template <typename Body>
  void product(const PackedMatrix& weight, int64_t row_count, const Body& body,
               const StagePlan* stage = nullptr, const AlignedFloats* stats_of = nullptr) {
    const Grid grid = plan_.grid(row_count, weight.depth(), weight.panels());
    const bool whole_rows = grid.col_blocks == 1;
    plan_.pool.run(static_cast<int>(grid.tasks()), [&](int task, int thread) {
      const Range row_range =
          block_range(row_count, kernels_.tile_rows, task / grid.col_blocks, grid.row_blocks);
      const Range panels = block_range(weight.panels(), 1, task % grid.col_blocks, grid.col_blocks);
      if (row_range.size() == 0 || panels.size() == 0) return;
      body(row_range, panels, thread);
      if (stats_of != nullptr && whole_rows) row_statistics(*stage, *stats_of, row_range);
    });
    if (stats_of == nullptr) return;
    if (!whole_rows) {
      for_row_blocks(row_count, [&](Range r) { row_statistics(*stage, *stats_of, r); });
    }
    image_statistics(*stage, /*zeros=*/0);
  }

  // An elementwise pass in row blocks.
  template <typename Body>
  void for_row_blocks(int64_t row_count, const Body& body) {
    const int64_t blocks = std::min<int64_t>(row_count, plan_.pool.size() * 4);
    plan_.pool.run(static_cast<int>(blocks),
                   [&](int task, int) { body(block_range(row_count, 1, task, blocks)); });
  }

  void row_statistics(const StagePlan& stage, const AlignedFloats& map, Range range) {
    for (int64_t r = range.begin; r < range.end; ++r) {
      plan_.row_stats[r] = kernels_.row_stats(map.data() + r * stage.stride, stage.channels);
    }
  }

  // plan_.norms of the map whose row statistics are in place.
  void image_statistics(const StagePlan& stage, int64_t zeros) {
    plan_.pool.run(batch_, [&](int image, int) {
      plan_.norms[image] = merge_stats(plan_.row_stats.data() + image * stage.pixels(),
                                       stage.pixels(), stage.channels, zeros);
    });
  }

  // out (start)= norm(in) * weight; the gather applies the norm.
  void normalized_product(const PackedNorm& norm, const PackedMatrix& weight,
                          const AlignedFloats& in, AlignedFloats& out, int64_t out_stride,
                          const StagePlan& stage, TileStart start, TileEnd end,
                          const AlignedFloats* stats_of) {
    product(
        weight, rows(stage),
        [&](Range r, Range panels, int thread) {
          float* a = plan_.scratch[thread].data();
          gather_normalized(kernels_, view(in, stage), plan_.norms.data(), norm.gamma.data(),
                            norm.beta.data(), r.begin, r.size(), a, stage.stride);
          gemm(kernels_, weight,
               {a, stage.stride, out.data() + r.begin * out_stride, out_stride, r.size(),
                panels.begin, panels.end},
               start, end);
        },
        &stage, stats_of);
  }

  // x = norm(proj(patches))
  void patch_embed(const InputView& input) {
    const StagePlan& stage = plan_.stages[0];
    const PackedMatrix& proj = weights_.patch_embed;
    const int64_t lda = round_up(proj.depth(), kernels_.tile_cols);
    product(
        proj, rows(stage),
        [&](Range r, Range panels, int thread) {
          float* a = plan_.scratch[thread].data();
          gather_patches(input, r.begin, r.size(), a, lda);
          gemm(kernels_, proj,
               {a, lda, plan_.x.data() + r.begin * stage.stride, stage.stride, r.size(),
                panels.begin, panels.end},
               TileStart::kBias, TileEnd::kStore);
        },
        &stage, &plan_.x);
    if (!config_.patch_norm) return;
    for_row_blocks(rows(stage), [&](Range r) {
      gather_normalized(kernels_, view(plan_.x, stage), plan_.norms.data(),
                        weights_.patch_norm.gamma.data(), weights_.patch_norm.beta.data(), r.begin,
                        r.size(), plan_.x.data() + r.begin * stage.stride, stage.stride);
      row_statistics(stage, plan_.x, r);
    });
    image_statistics(stage, /*zeros=*/0);
  }

  // x += conv3(norm2(mix(GELU(norm1(conv1(norm(x)))))))
  void axial_shift(const PackedBlock& block, const StagePlan& stage) {
    normalized_product(block.norm1, block.conv1, plan_.x, plan_.y, stage.stride, stage,
                       TileStart::kBias, TileEnd::kStore, &plan_.y);
    for_row_blocks(rows(stage), [&](Range r) {
      for (int64_t row = r.begin; row < r.end; ++row) {
        const ImageNorm& norm = plan_.norms[row / stage.pixels()];
        float* pixel = plan_.y.data() + row * stage.stride;
        kernels_.normalize_gelu(
            pixel, pixel, stage.channels,
            {norm.mean, norm.rstd, block.shift_norm1.gamma.data(), block.shift_norm1.beta.data()});
      }
    });
    if (config_.connection == Connection::kParallel) {
      mix_parallel(block, stage);
    } else {
      mix_serial(block, stage);
    }
    normalized_product(block.shift_norm2, block.conv3, plan_.z, plan_.x, stage.stride, stage,
                       TileStart::kBiasAccumulate, TileEnd::kStore, &plan_.x);
  }

  // One axis of the shift for one task: out (+)= GELU(weight(shift(in))).
  void shifted_product(const PackedMatrix& weight, Axis axis, const AlignedFloats& in,
                       AlignedFloats& out, const StagePlan& stage, Range r, Range panels,
                       int thread, TileEnd end) {
    float* a = plan_.scratch[thread].data();
    gather_shifted(view(in, stage), axis == Axis::kW ? stage.shift_w : stage.shift_h, axis, r.begin,
                   r.size(), a, stage.stride);
    gemm(kernels_, weight,
         {a, stage.stride, out.data() + r.begin * stage.stride, stage.stride, r.size(),
          panels.begin, panels.end},
         TileStart::kBias, end);
  }

  // z = GELU(conv2_1(shift_w(y))) + GELU(conv2_2(shift_h(y)))
  void mix_parallel(const PackedBlock& block, const StagePlan& stage) {
    product(
        block.conv2_1, rows(stage),
        [&](Range r, Range panels, int thread) {
          shifted_product(block.conv2_1, Axis::kW, plan_.y, plan_.z, stage, r, panels, thread,
                          TileEnd::kGelu);
          shifted_product(block.conv2_2, Axis::kH, plan_.y, plan_.z, stage, r, panels, thread,
                          TileEnd::kAddGelu);
        },
        &stage, &plan_.z);
  }

  // z = GELU(conv2_2(shift_h(GELU(conv2_1(shift_w(y))))))
  void mix_serial(const PackedBlock& block, const StagePlan& stage) {
    product(block.conv2_1, rows(stage), [&](Range r, Range panels, int thread) {
      shifted_product(block.conv2_1, Axis::kW, plan_.y, plan_.z, stage, r, panels, thread,
                      TileEnd::kGelu);
    });
    product(
        block.conv2_2, rows(stage),
        [&](Range r, Range panels, int thread) {
          shifted_product(block.conv2_2, Axis::kH, plan_.z, plan_.y, stage, r, panels, thread,
                          TileEnd::kGelu);
        },
        &stage, &plan_.y);
    std::swap(plan_.y, plan_.z);
  }

  // x += fc2(GELU(fc1(norm2(x))))
  void mlp(const PackedBlock& block, const StagePlan& stage) {
    if (plan_.splits_columns(rows(stage))) {
      normalized_product(block.norm2, block.fc1, plan_.x, plan_.hidden, stage.hidden_stride, stage,
                         TileStart::kBias, TileEnd::kGelu, nullptr);
      product(
          block.fc2, rows(stage),
          [&](Range r, Range panels, int) {
            gemm(kernels_, block.fc2,
                 {plan_.hidden.data() + r.begin * stage.hidden_stride, stage.hidden_stride,
                  plan_.x.data() + r.begin * stage.stride, stage.stride, r.size(), panels.begin,
                  panels.end},
                 TileStart::kBiasAccumulate, TileEnd::kStore);
          },
          &stage, &plan_.x);
      return;
    }
    // The hidden rows of a block never leave the cache.
    product(
        block.fc2, rows(stage),
        [&](Range r, Range, int thread) {
          float* a = plan_.scratch[thread].data();
          float* hidden = a + plan_.gather_floats;
          float* x = plan_.x.data() + r.begin * stage.stride;
          gather_normalized(kernels_, view(plan_.x, stage), plan_.norms.data(),
                            block.norm2.gamma.data(), block.norm2.beta.data(), r.begin, r.size(), a,
                            stage.stride);
          gemm(kernels_, block.fc1,
               {a, stage.stride, hidden, stage.hidden_stride, r.size(), 0, block.fc1.panels()},
               TileStart::kBias, TileEnd::kGelu);
          gemm(kernels_, block.fc2,
               {hidden, stage.hidden_stride, x, stage.stride, r.size(), 0, block.fc2.panels()},
               TileStart::kBiasAccumulate, TileEnd::kStore);
        },
        &stage, &plan_.x);
  }

  // x = reduction(norm(2 x 2 neighbours of x)), on the map padded with zeros to even sides.
  void patch_merging(const PackedStage& packed, const StagePlan& from, const StagePlan& to) {
    const int64_t canvas = 4 * to.pixels() * from.channels;
    const int64_t zeros = canvas - from.pixels() * from.channels;
    if (zeros > 0) image_statistics(from, zeros);  // the row statistics of x are still in place
    const int64_t lda = round_up(packed.reduction.depth(), kernels_.tile_cols);
    product(
        packed.reduction, rows(to),
        [&](Range r, Range panels, int thread) {
          float* a = plan_.scratch[thread].data();
          gather_merged(kernels_, view(plan_.x, from), plan_.norms.data(),
                        packed.merge_norm.gamma.data(), packed.merge_norm.beta.data(), r.begin,
                        r.size(), a, lda);
          gemm(kernels_, packed.reduction,
               {a, lda, plan_.y.data() + r.begin * to.stride, to.stride, r.size(), panels.begin,
                panels.end},
               TileStart::kBias, TileEnd::kStore);
        },
        &to, &plan_.y);
    std::swap(plan_.x, plan_.y);
  }

  // logits = head(mean over the pixels of norm(x))
  void head(const StagePlan& stage) {
    const int64_t channels = stage.channels;
    plan_.pool.run(batch_, [&](int image, int) {
      const ImageNorm& norm = plan_.norms[image];
      const NormArgs args{norm.mean, norm.rstd, weights_.norm.gamma.data(),
                          weights_.norm.beta.data()};
      float* map = plan_.final_map.data() + image * stage.pixels() * channels;
      for (int64_t p = 0; p < stage.pixels(); ++p) {
        kernels_.normalize(plan_.x.data() + (image * stage.pixels() + p) * stage.stride,
                           map + p * channels, channels, args);
      }
      float* pooled = plan_.pooled.data() + image * stage.stride;
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t p = 0; p < stage.pixels(); ++p) sum += map[p * channels + c];
        pooled[c] = static_cast<float>(sum / static_cast<double>(stage.pixels()));
        plan_.pooled_dense[image * channels + c] = pooled[c];
      }
    });
    if (config_.num_classes == 0) return;
    const int64_t ldc = round_up(config_.num_classes, kernels_.tile_cols);
    product(weights_.head, batch_, [&](Range r, Range panels, int) {
      gemm(kernels_, weights_.head,
           {plan_.pooled.data() + r.begin * stage.stride, stage.stride,
            plan_.logits_padded.data() + r.begin * ldc, ldc, r.size(), panels.begin, panels.end},
           TileStart::kBias, TileEnd::kStore);
    });
    for (int image = 0; image < batch_; ++image) {
      std::copy_n(plan_.logits_padded.data() + image * ldc, config_.num_classes,
                  plan_.logits.data() + int64_t{image} * config_.num_classes);
    }
  }

  void copy_feature(size_t k, const StagePlan& stage) {
    if (plan_.features.empty()) return;
    float* out = plan_.features[k].data();
    for (int64_t r = 0; r < rows(stage); ++r, out += stage.channels) {
      std::copy_n(plan_.x.data() + r * stage.stride, stage.channels, out);
    }
  }

  const Config& config_;
  const PackedWeights& weights_;
  Plan& plan_;
  const KernelSet& kernels_;
  const int batch_;
};

}  // namespace

void forward(const Config& config, const PackedWeights& weights, const EngineOptions& options,
             const float* input, int batch, Plan& plan) noexcept {
  plan.batch = batch;
  Forward(config, weights, plan, batch)
      .run({input, config.in_chans, options.height, options.width, config.patch_size});
}

}  // namespace asmlp
