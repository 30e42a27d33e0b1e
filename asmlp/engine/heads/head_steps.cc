#include "asmlp/engine/heads/head_steps.h"

#include <algorithm>

#include "asmlp/detection/roi_kernels.h"

namespace asmlp {
namespace {

// Bytes of a row that are gathered at a time.
constexpr int64_t kChunkBytes = 4096;

// Where a row or column of a resized map comes from, in fp32, as LibTorch computes it.
struct Between {
  int64_t low, high;
  float weight;  // of the higher one
};
Between bilinear_source(int64_t to, int64_t from_size, int64_t to_size) {
  if (from_size == to_size) return {to, to, 0};
  const float scale = static_cast<float>(from_size) / static_cast<float>(to_size);
  const float at = std::max(0.0f, scale * (static_cast<float>(to) + 0.5f) - 0.5f);
  const int64_t low = std::min(static_cast<int64_t>(at), from_size - 1);
  return {low, std::min(low + 1, from_size - 1), at - static_cast<float>(low)};
}

int64_t nearest_source(int64_t to, int64_t from_size, int64_t to_size) {
  const float scale = static_cast<float>(from_size) / static_cast<float>(to_size);
  return std::min(static_cast<int64_t>(static_cast<float>(to) * scale), from_size - 1);
}

}  // namespace

void HeadNeedsOf::product(const PackedMatrix& weight) {
  const KernelSet& kernels = weight.kernels();
  const int64_t padded = round_up(chunk_depth(weight), kernels.depth_step);
  const int64_t row_bytes = Plan::lda(padded, kernels.element) * size_of(kernels.element);
  needs_.a_bytes = std::max(needs_.a_bytes, kMaxBlockRows * row_bytes);
  needs_.depth = std::max(needs_.depth, padded);
}

void HeadNeedsOf::hidden(int64_t floats) {
  needs_.hidden_bytes =
      std::max(needs_.hidden_bytes, kMaxBlockRows * floats * int64_t{sizeof(float)});
}

int64_t chunk_depth(const PackedMatrix& weight) {
  if (weight.kernels().int8 != nullptr) return weight.padded_depth();
  const int64_t most = kChunkBytes / size_of(weight.kernels().element);
  const int64_t chunks = (weight.padded_depth() + most - 1) / most;
  return round_up((weight.padded_depth() + chunks - 1) / chunks,
                  std::max<int64_t>(16, weight.kernels().depth_step));
}

int64_t floats_per_row(const PackedMatrix& weight) {
  return chunk_depth(weight) * size_of(weight.kernels().element) / int64_t{sizeof(float)} +
         weight.panels() * weight.tile_cols();
}

void HeadSteps::relu(const PackedMatrix& weight, const GridTask& task, float* c,
                     int64_t ldc) const {
  const int64_t cols = weight.tile_cols();
  kernels_.relu(c + task.panels.begin * cols, ldc, task.rows.size(), task.panels.size() * cols);
}

void HeadSteps::conv(const PackedConv& conv, const HeadMap& in, const HeadMap& out,
                     AfterProduct after) {
  product(conv.matrix, in.rows(), floats_per_row(conv.matrix), [&](const GridTask& task) {
    deep_product(conv.matrix, task, neighbors(conv, in), out.row(task.rows.begin), out.stride,
                 after);
  });
}

void HeadSteps::normalized_conv(const PackedConv& conv, const PackedNorm& norm,
                                const StagePlan& stage, const float* map, const ImageNorm* norms,
                                int images, const HeadMap& out, int64_t first, AfterProduct after) {
  const PackedMatrix& weight = conv.matrix;
  const MapView<float> view{map, stage.size.h, stage.size.w, stage.channels, stage.stride};
  const int64_t lda = plan_.lda(weight);
  product(weight, images * stage.pixels(), 2 * stage.stride, [&](const GridTask& task) {
    gather_normalized(weight, view, {norms, norm.gamma, norm.beta, task.scratch.tile},
                      task.rows.begin, task.rows.size(), task.scratch.a, lda,
                      weight.padded_depth());
    float* c = out.row(first + task.rows.begin);
    gemm(weight, block_of(task, task.scratch.a, lda, c, out.stride), TileStart::kBias,
         TileEnd::kStore);
    if (after == AfterProduct::kRelu) relu(weight, task, c, out.stride);
  });
}

void HeadSteps::second_product(const PackedMatrix& weight, const GridTask& task, const float* rows,
                               int64_t ld, float* out, int64_t ld_out) {
  const int64_t count = task.rows.size();
  const MapView<float> view{rows, 1, static_cast<int>(count), static_cast<int>(weight.depth()), ld};
  const GridTask all{{0, count}, {0, weight.panels()}, task.scratch};
  deep_product(
      weight, all,
      [&](Range range, int64_t begin, int64_t end, void* a, int64_t lda, int64_t padded) {
        gather_neighbors(weight, view, /*kernel=*/1, range.begin, range.size(), begin, end, a, lda,
                         padded);
      },
      out, ld_out, AfterProduct::kNothing);
}

void HeadSteps::add_nearest(const HeadMap& in, const HeadMap& out) {
  for_row_blocks(out.rows(), [&](Range range, const ThreadScratch&) {
    for (int64_t r = range.begin; r < range.end; ++r) {
      const int64_t x = r % out.w, y = r / out.w % out.h, image = r / (int64_t{out.w} * out.h);
      const int64_t from =
          (image * in.h + nearest_source(y, in.h, out.h)) * in.w + nearest_source(x, in.w, out.w);
      const detect::Term<float> term{0, 1};
      detect::add_combined_rows(in.row(from), &term, 1, out.channels, out.row(r));
    }
  });
}

void HeadSteps::resize(const HeadMap& in, const HeadMap& out, Into into) {
  for_row_blocks(out.rows(), [&](Range range, const ThreadScratch&) {
    for (int64_t r = range.begin; r < range.end; ++r) {
      const Between x = bilinear_source(r % out.w, in.w, out.w);
      const Between y = bilinear_source(r / out.w % out.h, in.h, out.h);
      const int64_t image = r / (int64_t{out.w} * out.h) * in.h;
      detect::Term<float> terms[4];
      int64_t count = 0;
      const auto add = [&](int64_t line, int64_t column, float weight) {
        if (weight != 0) terms[count++] = {((image + line) * in.w + column) * in.stride, weight};
      };
      add(y.low, x.low, (1 - y.weight) * (1 - x.weight));
      add(y.low, x.high, (1 - y.weight) * x.weight);
      add(y.high, x.low, y.weight * (1 - x.weight));
      add(y.high, x.high, y.weight * x.weight);
      if (into == Into::kAdd) {
        detect::add_combined_rows(in.data, terms, count, out.channels, out.row(r));
      } else {
        detect::combine_rows(in.data, terms, count, out.channels, 1.0f, out.row(r));
      }
    }
  });
}

}  // namespace asmlp
