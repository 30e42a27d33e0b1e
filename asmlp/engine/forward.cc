#include "asmlp/engine/forward.h"

#include <algorithm>
#include <utility>

#include "asmlp/engine/stage_sink.h"
#include "asmlp/engine/statistics.h"
#include "asmlp/engine/steps.h"

namespace asmlp {
namespace {

class Forward : private Steps {
 public:
  Forward(const Config& config, const BackboneWeights& weights, const ClassifierHead* head,
          Plan& plan)
      : Steps(plan), config_(config), weights_(weights), head_(head), y_(plan.y), z_(plan.z) {}

  // Stage by stage; within a stage, group by group of images, whose maps then stay in the cache.
  void run(InputView input) {
    const int64_t image_floats = int64_t{input.channels} * input.height * input.width;
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const StagePlan& stage = plan_.stages[s];
      stage_index_ = static_cast<int>(s);
      for (int first = 0; first < plan_.batch; first += images_) {
        images_ = std::min(stage.group, plan_.batch - first);
        norms_ = plan_.norms + first;
        // Between the stages there are the maps of all images; of the first, only the group's.
        x_ = plan_.maps[s % 2] + (s == 0 ? 0 : first * stage.pixels() * stage.stride);
        if (s == 0) {
          patch_embed(input);
          input.data += images_ * image_floats;
          copy_feature(0, x_, stage, first);
        }
        for (const PackedBlock& block : weights_.stages[s].blocks) {
          axial_shift(block, stage);
          mlp(block, stage);
        }
        if (plan_.sink != nullptr) {
          plan_.sink->stage(stage_index_, stage, x_, norms_, first, images_);
        }
        if (s + 1 < plan_.stages.size()) {
          const StagePlan& next = plan_.stages[s + 1];
          float* merged = plan_.maps[(s + 1) % 2] + first * next.pixels() * next.stride;
          if (config_.downsample == Downsample::kConv) {
            halving_conv(weights_.stages[s], stage, next, merged);
          } else {
            patch_merging(weights_.stages[s], stage, next, merged);
          }
          copy_feature(s + 1, merged, next, first);
        } else if (head_ != nullptr) {
          copy_feature(s + 1, x_, stage, first);
          stage_index_ = static_cast<int>(plan_.stages.size());
          pool_map(stage, first);
          stage_index_ = static_cast<int>(s);
        }
      }
    }
    stage_index_ = static_cast<int>(plan_.stages.size());
    if (config_.num_classes > 0 && head_ != nullptr) classify(plan_.stages.back().channels);
  }

 private:
  // Rows of A from the map, normalized on the way.
  GemmBlock normalized_block(const PackedNorm& norm, const PackedMatrix& weight, const float* map,
                             const StagePlan& stage, const GridTask& task) {
    const int64_t lda = plan_.lda(weight);
    gather_normalized(weight, view(map, stage), map_norm(norm, task.scratch), task.rows.begin,
                      task.rows.size(), task.scratch.a, lda, weight.padded_depth());
    return block_of(task, task.scratch.a, lda);
  }

  // out (start)= norm(in) * weight; the gather applies the norm, the statistics of out follow.
  void normalized_product(const PackedNorm& norm, const PackedMatrix& weight, const float* in,
                          float* out, const StagePlan& stage, TileStart start) {
    product(
        weight, rows(stage), 2 * stage.stride,
        [&](const GridTask& task) {
          GemmBlock block = normalized_block(norm, weight, in, stage, task);
          block.c = out + task.rows.begin * stage.stride;
          block.ldc = stage.stride;
          gemm(weight, block, start, TileEnd::kStore);
        },
        &stage, out);
  }

  // x = norm(proj(patches)), or the same of the stem's convolutions
  void patch_embed(const InputView& input) {
    const StagePlan& stage = plan_.stages[0];
    const PackedMatrix& proj = weights_.patch_embed;
    if (config_.stem == Stem::kConv) {
      convolve_stem(input);
    } else {
      profiled("patch_embed", work(proj, rows(stage)), [&] {
        gathered_product(proj, stage, x_, [&](const GridTask& task, int64_t lda) {
          gather_patches(kernels_, input, task.rows.begin, task.rows.size(), task.scratch.a, lda,
                         proj.padded_depth(), task.scratch.tile);
        });
      });
    }
    if (!config_.patch_norm) return;
    profiled("patch_embed", 0, [&] {
      for_row_blocks(rows(stage), [&](Range r, const ThreadScratch& scratch) {
        normalize_rows(kernels_.normalize, sizeof(float), kernels_, weights_.patch_norm, x_, stage,
                       r, scratch);
        row_statistics(stage, x_, r);
      });
      image_statistics(stage, /*zeros=*/0);
    });
  }

  // out = weight * 3 x 3 neighborhoods at every second pixel of a map of panel elements
  void halving_product(const PackedMatrix& weight, const float* map, const StagePlan& from,
                       const StagePlan& to, float* out) {
    const auto zero = panel_zero(weight.kernels().element, weight.quantization());
    gathered_product(weight, to, out, [&](const GridTask& task, int64_t lda) {
      with_elements(weight, task.scratch.a, [&]<typename T>(T* a) {
        gather_halved(panel_view<T>(map, from), task.rows.begin, task.rows.size(), a, lda,
                      weight.padded_depth(), static_cast<T>(zero));
      });
    });
  }

  // x = proj(GELU(norm(conv(... image))))
  void convolve_stem(const InputView& input) {
    const size_t convs = weights_.stem.size();
    for (size_t i = 0; i <= convs; ++i) {
      const PackedMatrix& conv = i < convs ? weights_.stem[i].conv : weights_.patch_embed;
      const StagePlan& to = i < convs ? plan_.stem[i] : plan_.stages[0];
      float* out = i < convs ? plan_.stem_maps[i] : x_;
      profiled("patch_embed", work(conv, rows(to)), [&] {
        if (i > 0) return halving_product(conv, plan_.stem_maps[i - 1], plan_.stem[i - 1], to, out);
        gathered_product(conv, to, out, [&](const GridTask& task, int64_t lda) {
          gather_image_halved(kernels_, input, task.rows.begin, task.rows.size(), task.scratch.a,
                              lda, conv.padded_depth(), task.scratch.tile);
        });
      });
      if (i == convs) return;
      profiled("patch_embed", 0, [&] {
        for_row_blocks(rows(to), [&](Range r, const ThreadScratch& scratch) {
          normalize_rows(kernels_.normalize_gelu_panel, size_of(kernels_.element), kernels_,
                         weights_.stem[i].norm, out, to, r, scratch);
        });
      });
    }
  }

  // x += conv3(norm2(mix(GELU(norm1(conv1(norm(x)))))))
  void axial_shift(const PackedBlock& block, const StagePlan& stage) {
    const int64_t count = rows(stage);
    profiled("conv1", work(block.conv1, count), [&] {
      normalized_product(block.norm1, block.conv1, x_, y_, stage, TileStart::kBias);
    });
    profiled("gelu", 0, [&] {
      const PackedMatrix& reader = block.conv2_1;
      const KernelSet& to = reader.kernels();
      for_row_blocks(count, [&](Range r, const ThreadScratch& scratch) {
        normalize_rows(to.normalize_gelu_panel, size_of(to.element), reader, block.shift_norm1, y_,
                       stage, r, scratch);
      });
    });
    profiled("conv2", work(block.conv2_1, count) + work(block.conv2_2, count), [&] {
      if (config_.connection == Connection::kParallel) {
        mix_parallel(block, stage);
      } else {
        mix_serial(block, stage);
      }
    });
    profiled("conv3", work(block.conv3, count), [&] {
      normalized_product(block.shift_norm2, block.conv3, z_, x_, stage, TileStart::kBiasAccumulate);
    });
  }

  // One axis of the shift for one task: out (+)= GELU(weight(shift(in))); with kGeluPanel for
  // `next`.
  void shifted_product(const PackedMatrix& weight, Axis axis, const float* in, float* out,
                       const StagePlan& stage, const GridTask& task, TileEnd end,
                       const PackedMatrix* next = nullptr) {
    const ShiftTable& table = axis == Axis::kW ? stage.shift_w : stage.shift_h;
    const PanelElement element = weight.kernels().element;
    const int64_t lda = plan_.lda(weight);
    with_elements(weight, task.scratch.a, [&]<typename T>(T* a) {
      gather_shifted(panel_view<T>(in, stage), table, axis, task.rows.begin, task.rows.size(), a,
                     lda, weight.padded_depth(),
                     static_cast<T>(panel_zero(element, weight.quantization())));
    });
    // Of panel elements narrower than a float, a row takes the first part of its place.
    const int64_t out_size = next != nullptr ? size_of(next->kernels().element) : 4;
    GemmBlock block = block_of(task, task.scratch.a, lda, panel_row(out, task.rows.begin, stage),
                               stage.stride * int64_t{sizeof(float)} / out_size);
    block.next = next;
    gemm(weight, block, TileStart::kBias, end);
  }

  // z = GELU(conv2_1(shift_w(y))) + GELU(conv2_2(shift_h(y)))
  void mix_parallel(const PackedBlock& block, const StagePlan& stage) {
    product(
        block.conv2_1, rows(stage), 2 * stage.stride,
        [&](const GridTask& task) {
          shifted_product(block.conv2_1, Axis::kW, y_, z_, stage, task, TileEnd::kGelu);
          shifted_product(block.conv2_2, Axis::kH, y_, z_, stage, task, TileEnd::kAddGelu);
        },
        &stage, z_);
  }

  // z = GELU(conv2_2(shift_h(GELU(conv2_1(shift_w(y))))))
  void mix_serial(const PackedBlock& block, const StagePlan& stage) {
    product(block.conv2_1, rows(stage), 2 * stage.stride, [&](const GridTask& task) {
      shifted_product(block.conv2_1, Axis::kW, y_, z_, stage, task, TileEnd::kGeluPanel,
                      &block.conv2_2);
    });
    product(
        block.conv2_2, rows(stage), 2 * stage.stride,
        [&](const GridTask& task) {
          shifted_product(block.conv2_2, Axis::kH, z_, y_, stage, task, TileEnd::kGelu);
        },
        &stage, y_);
    std::swap(y_, z_);
  }

  // x += fc2(GELU(fc1(norm2(x))))
  void mlp(const PackedBlock& block, const StagePlan& stage) {
    const int64_t count = rows(stage);
    const int64_t floats_per_row = plan_.mlp_floats(stage, block);
    profiled("mlp", work(block.fc1, count) + work(block.fc2, count), [&] {
      if (plan_.grid(count, floats_per_row, block.fc2.panels()).col_blocks == 1) {
        product(
            block.fc2, count, floats_per_row,
            [&](const GridTask& task) { mlp_of_rows(block, stage, task); }, &stage, x_);
      } else {
        mlp_of_columns(block, stage, floats_per_row);
      }
    });
  }

  // All of the MLP for some rows: the hidden rows never leave the cache, because a chunk of their
  // columns is consumed as soon as it is there.
  void mlp_of_rows(const PackedBlock& block, const StagePlan& stage, const GridTask& task) {
    const int64_t chunk = plan_.chunk_panels(block, task.rows.size());
    const int64_t chunks = (block.fc1.panels() + chunk - 1) / chunk;
    GemmBlock first = normalized_block(block.norm2, block.fc1, x_, stage, task);
    first.next = &block.fc2;
    const PanelElement element = block.fc2.kernels().element;
    const int64_t cols = kernels_.tile_cols;
    // Of an int8 tile, the depth may be rounded up to more than the columns.
    const int64_t ld_hidden = plan_.lda(
        chunks == 1 ? std::max(chunk * cols, block.fc2.padded_depth()) : chunk * cols, element);
    GemmBlock second = block_of(task, task.scratch.hidden, ld_hidden,
                                x_ + task.rows.begin * stage.stride, stage.stride);
    for (int64_t i = 0; i < chunks; ++i) {
      const Range range = block_range(block.fc1.panels(), i, chunks);
      first.panel_begin = range.begin;
      first.panel_end = range.end;
      // The panels are numbered from 0 in the whole layer, from range.begin in the chunk.
      first.c = task.scratch.hidden - range.begin * cols * size_of(element);
      first.ldc = ld_hidden;
      gemm(block.fc1, first, TileStart::kBias, TileEnd::kGeluPanel);
      second.depth_begin = range.begin * cols;
      second.depth_end = i + 1 == chunks ? block.fc2.padded_depth() : range.end * cols;
      gemm(block.fc2, second, i == 0 ? TileStart::kBiasAccumulate : TileStart::kAccumulate,
           TileEnd::kStore);
    }
  }

  // Few rows: the threads share the columns of the weights, and the hidden rows go through memory.
  void mlp_of_columns(const PackedBlock& block, const StagePlan& stage, int64_t floats_per_row) {
    const int64_t row_bytes = stage.hidden_stride * size_of(block.fc2.kernels().element);
    product(block.fc1, rows(stage), floats_per_row, [&](const GridTask& task) {
      GemmBlock first = normalized_block(block.norm2, block.fc1, x_, stage, task);
      first.c = plan_.hidden + task.rows.begin * row_bytes;
      first.ldc = stage.hidden_stride;
      first.next = &block.fc2;
      gemm(block.fc1, first, TileStart::kBias, TileEnd::kGeluPanel);
    });
    product(
        block.fc2, rows(stage), floats_per_row,
        [&](const GridTask& task) {
          gemm(block.fc2,
               block_of(task, plan_.hidden + task.rows.begin * row_bytes, stage.hidden_stride,
                        x_ + task.rows.begin * stage.stride, stage.stride),
               TileStart::kBiasAccumulate, TileEnd::kStore);
        },
        &stage, x_);
  }

  // merged = reduction(norm(2 x 2 neighbors of x)), on the map padded with zeros to even sides.
  void patch_merging(const PackedStage& packed, const StagePlan& from, const StagePlan& to,
                     float* merged) {
    const int64_t canvas = 4 * to.pixels() * from.channels;
    const int64_t zeros = canvas - from.pixels() * from.channels;
    const PackedMatrix& reduction = packed.reduction;
    profiled("merging", work(reduction, rows(to)), [&] {
      if (zeros > 0) image_statistics(from, zeros);  // the row statistics of x are still in place
      gathered_product(reduction, to, merged, [&](const GridTask& task, int64_t lda) {
        gather_merged(reduction, view(x_, from), map_norm(packed.merge_norm, task.scratch),
                      task.rows.begin, task.rows.size(), task.scratch.a, lda,
                      reduction.padded_depth(), plan_.zeros.data());
      });
    });
  }

  // merged = reduction(norm(x)), a convolution
  void halving_conv(const PackedStage& packed, const StagePlan& from, const StagePlan& to,
                    float* merged) {
    const PackedMatrix& reduction = packed.reduction;
    const int64_t size = size_of(reduction.kernels().element);
    profiled("merging", work(reduction, rows(to)), [&] {
      for_row_blocks(rows(from), [&](Range r, const ThreadScratch& scratch) {
        gather_normalized(reduction, view(x_, from), map_norm(packed.merge_norm, scratch), r.begin,
                          r.size(), panel_row(y_, r.begin, from),
                          from.stride * int64_t{sizeof(float)} / size, from.channels);
      });
      halving_product(reduction, y_, from, to, merged);
    });
  }

  // pooled = mean over the pixels of norm(x)
  void pool_map(const StagePlan& stage, int first) {
    const int64_t channels = stage.channels;
    profiled("head", 0, [&] {
      plan_.pool.run(images_, [&](int image, int thread) {
        float* map = plan_.final_map + (first + image) * stage.pixels() * channels;
        kernels_.normalize(
            {x_ + image * stage.pixels() * stage.stride, stage.stride, map, channels,
             stage.pixels(), channels},
            fold(kernels_, map_norm(head_->norm, plan_.scratch[thread]), image, channels));
        mean_of_rows(map, stage.pixels(), channels, plan_.pooled + (first + image) * channels);
      });
    });
  }

  // logits = head(pooled)
  void classify(int64_t channels) {
    const PackedMatrix& head = head_->head;
    const int batch = plan_.batch;
    const int64_t ldc = round_up(config_.num_classes, kernels_.tile_cols),
                  lda = plan_.lda(channels);
    const MapView<float> pooled{plan_.pooled, batch, 1, static_cast<int>(channels), channels};
    profiled("head", work(head, batch), [&] {
      product(head, batch, 2 * channels, [&](const GridTask& task) {
        gather_converted(kernels_, pooled, task.rows.begin, task.rows.size(), task.scratch.a, lda,
                         head.padded_depth());
        gemm(head,
             block_of(task, task.scratch.a, lda, plan_.logits_padded + task.rows.begin * ldc, ldc),
             TileStart::kBias, TileEnd::kStore);
      });
    });
    for (int image = 0; image < batch; ++image) {
      std::copy_n(plan_.logits_padded + image * ldc, config_.num_classes,
                  plan_.logits + int64_t{image} * config_.num_classes);
    }
  }

  // Feature k of the images at work, the first of which is `first`.
  void copy_feature(size_t k, const float* map, const StagePlan& stage, int first) {
    if (plan_.features.empty()) return;
    float* out = plan_.features[k] + first * stage.pixels() * stage.channels;
    for (int64_t r = 0; r < rows(stage); ++r, out += stage.channels) {
      std::copy_n(map + r * stage.stride, stage.channels, out);
    }
  }

  const Config& config_;
  const BackboneWeights& weights_;
  const ClassifierHead* head_;  // null for who takes the stages' maps alone
  float* x_ = nullptr;          // the residual stream of the images at work
  float *y_, *z_;               // and their maps within a block: see Plan
};

}  // namespace

void forward(const Config& config, const BackboneWeights& weights, const ClassifierHead* head,
             const EngineOptions& options, const float* input, int batch, Plan& plan) noexcept {
  plan.batch = batch;
  Forward(config, weights, head, plan)
      .run({input, config.in_chans, options.height, options.width, config.patch_size});
}

}  // namespace asmlp
