#include "asmlp/engine/heads/segmentor_forward.h"

#include <algorithm>

#include "asmlp/engine/forward.h"

namespace asmlp {
namespace {

// Columns [first, first + channels) of a map.
HeadMap columns_of(const HeadMap& map, int64_t first, int channels) {
  HeadMap part = map;
  part.data += first;
  part.channels = channels;
  return part;
}

}  // namespace

SegmentorForward::SegmentorForward(const SegmentorConfig& config, const SegmentorWeights& weights,
                                   SegmentorPlan& plan)
    : HeadSteps(plan.plan), config_(config), weights_(weights), segmentor_(plan) {}

void SegmentorForward::run(const float* input) noexcept {
  plan_.sink = this;
  forward(config_.backbone, weights_, nullptr, segmentor_.options, input, 1, plan_);
  plan_.sink = nullptr;
  pyramid_pooling();
  top_down();
  fuse();
}

void SegmentorForward::stage(int stage, const StagePlan& plan, const float* map,
                             const ImageNorm* norms, int first, int images) noexcept {
  const PackedNorm& norm = weights_.norms[stage];
  if (stage + 1 < config_.backbone.num_stages()) {
    const PackedConv& lateral = weights_.laterals[stage];
    profiled("laterals", work(lateral.matrix, plan.pixels()), [&] {
      normalized_conv(lateral, norm, plan, map, norms, images, segmentor_.laterals[stage],
                      first * plan.pixels(), AfterProduct::kRelu);
    });
    return;
  }
  const HeadMap& out = segmentor_.coarsest;
  profiled("laterals", 0, [&] {
    for_row_blocks(plan.pixels(), [&](Range rows, const ThreadScratch& scratch) {
      kernels_.normalize(
          {map + rows.begin * plan.stride, plan.stride, out.row(rows.begin), out.stride,
           rows.size(), plan.channels},
          fold(kernels_, {norms, norm.gamma, norm.beta, scratch.tile}, 0, plan.channels));
    });
  });
}

// Means over bins x bins parts, which may overlap by a row or column (adaptive_avg_pool2d).
void SegmentorForward::pool(const HeadMap& out) {
  const HeadMap& in = segmentor_.coarsest;
  plan_.pool.run(static_cast<int>(out.rows()), [&](int bin, int) {
    const int64_t y = bin / out.w, x = bin % out.w;
    const int64_t top = y * in.h / out.h, bottom = ((y + 1) * in.h + out.h - 1) / out.h;
    const int64_t left = x * in.w / out.w, right = ((x + 1) * in.w + out.w - 1) / out.w;
    float* mean = out.row(bin);
    std::fill_n(mean, out.channels, 0.0f);
    for (int64_t line = top; line < bottom; ++line) {
      for (int64_t column = left; column < right; ++column) {
        const float* pixel = in.row(line * in.w + column);
        for (int64_t c = 0; c < out.channels; ++c) mean[c] += pixel[c];
      }
    }
    const auto count = static_cast<float>((bottom - top) * (right - left));
    for (int64_t c = 0; c < out.channels; ++c) mean[c] /= count;
  });
}

void SegmentorForward::pyramid_pooling() {
  const HeadMap& map = segmentor_.coarsest;
  const int channels = config_.decode_head.channels;
  int64_t column = plan_.stages.back().channels;
  int64_t products = work(weights_.bottleneck.matrix, map.rows());
  for (size_t k = 0; k < weights_.pooling.size(); ++k) {
    products += work(weights_.pooling[k].matrix, segmentor_.pooled[k].rows());
  }
  profiled("pooling", products, [&] {
    for (size_t k = 0; k < weights_.pooling.size(); ++k, column += channels) {
      pool(segmentor_.pooled[k]);
      conv(weights_.pooling[k], segmentor_.pooled[k], segmentor_.projected[k], AfterProduct::kRelu);
      resize(segmentor_.projected[k], columns_of(map, column, channels), Into::kStore);
    }
    conv(weights_.bottleneck, map, segmentor_.laterals.back(), AfterProduct::kRelu);
  });
}

void SegmentorForward::top_down() {
  const int channels = config_.decode_head.channels;
  const size_t stages = segmentor_.laterals.size();
  int64_t products = 0;
  for (size_t k = 0; k + 1 < stages; ++k) {
    products += work(weights_.outputs[k].matrix, segmentor_.laterals[k].rows());
  }
  profiled("pyramid", products, [&] {
    for (size_t k = stages; k-- > 0;) {
      const HeadMap& sum = segmentor_.laterals[k];
      const HeadMap place =
          columns_of(segmentor_.levels, static_cast<int64_t>(k) * channels, channels);
      if (k + 1 == stages) {
        resize(sum, place, Into::kStore);
        continue;
      }
      resize(segmentor_.laterals[k + 1], sum, Into::kAdd);
      if (segmentor_.outputs[k].data == nullptr) {
        conv(weights_.outputs[k], sum, place, AfterProduct::kRelu);
        continue;
      }
      conv(weights_.outputs[k], sum, segmentor_.outputs[k], AfterProduct::kRelu);
      resize(segmentor_.outputs[k], place, Into::kStore);
    }
  });
}

// The convolution's rows stay in the cache until the classes' product has read them.
void SegmentorForward::fuse() {
  const HeadMap &in = segmentor_.levels, &out = segmentor_.logits;
  const PackedMatrix& weight = weights_.fusion.matrix;
  const int64_t ld = weight.panels() * weight.tile_cols();
  profiled("fusion", work(weight, in.rows()) + work(weights_.classes, in.rows()), [&] {
    whole_rows(weight, in.rows(), floats_per_row(weight), [&](const GridTask& task) {
      auto* hidden = reinterpret_cast<float*>(task.scratch.hidden);
      deep_product(weight, task, neighbors(weights_.fusion, in), hidden, ld, AfterProduct::kRelu);
      second_product(weights_.classes, task, hidden, ld, out.row(task.rows.begin), out.stride);
    });
  });
}

}  // namespace asmlp
