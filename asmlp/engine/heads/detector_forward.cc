#include "asmlp/engine/heads/detector_forward.h"

#include <algorithm>
#include <cmath>

#include "asmlp/detection/refine.h"
#include "asmlp/detection/roi_level.h"
#include "asmlp/engine/forward.h"

namespace asmlp {

using detect::Box, detect::InputSizes;

DetectorForward::DetectorForward(const DetectorConfig& config, const DetectorWeights& weights,
                                 DetectorPlan& plan, RegionMemory& memory)
    : HeadSteps(plan.plan),
      config_(config),
      weights_(weights),
      detector_(plan),
      memory_(memory),
      parallel_([this](int64_t tasks, const std::function<void(int64_t)>& body) {
        plan_.pool.run(static_cast<int>(tasks), [&](int task, int) { body(task); });
      }) {}

void RegionMemory::reserve(const DetectorConfig& config, const DetectorPlan& plan) {
  int64_t anchors = 0, cells = 0;
  for (size_t k = 0; k < plan.anchors.size(); ++k) {
    anchors += std::ssize(plan.anchors[k]);
    cells = std::max<int64_t>({cells, plan.pyramid[k].h, plan.pyramid[k].w});
  }
  const int64_t kept = std::min<int64_t>(config.rpn.test_proposals.kept, anchors);
  boxes.reserve(kept * plan.options.max_batch);
  first.reserve(plan.options.max_batch + 1);
  levels.reserve(plan.anchors.size());
  proposals.boxes.reserve(kept);
  proposals.scores.reserve(kept);
  proposing.reserve(anchors, std::ssize(plan.anchors), config.rpn.test_proposals);
  selecting.reserve(kept, config.num_classes, config.test);
  const int bins = std::max(config.roi.box_size, config.roi.mask_size);
  for (Sampling& thread : sampling) {
    thread.samples.reserve(cells, bins);
    thread.terms.reserve(4 * cells);
  }
}

std::vector<std::vector<detect::Detection>> DetectorForward::run(
    const float* input, std::span<const InputSizes> sizes) {
  sizes_ = sizes;
  images_at_work_ = static_cast<int>(sizes.size());
  maps(input);
  propose_regions();
  classify();
  suppress();
  if (has_masks(config_.kind)) predict_masks();
  return results();
}

void DetectorForward::maps(const float* input) {
  plan_.sink = this;
  forward(config_.backbone, weights_, nullptr, detector_.options, input, images_at_work_, plan_);
  plan_.sink = nullptr;
  top_down();
}

void DetectorForward::describe(const float* input, const InputSizes& size,
                               std::span<const Box> boxes) {
  sizes_ = {&size, 1};
  images_at_work_ = 1;
  maps(input);
  for (size_t level = 0; level < detector_.pyramid.size(); ++level) rpn(level);
  const auto regions = std::ssize(boxes);
  const auto set_regions = [&] {
    memory_.boxes.assign(boxes.begin(), boxes.end());
    memory_.first = {0, regions};
  };
  set_regions();
  classify();
  detect::softmax_rows(memory_.outputs.data(), output_stride(), regions,
                       static_cast<int>(logits()));
  memory_.masks.clear();
  if (!has_masks(config_.kind)) return;
  set_regions();  // a cascade has moved them
  memory_.labels.clear();
  for (int64_t r = 0; r < regions; ++r) {
    memory_.labels.push_back(static_cast<int>(r % config_.num_classes));
  }
  mask_heads();
}

// ---- The feature pyramid (Lin et al., CVPR 2017) and the proposals (Ren et al., NeurIPS 2015)

void DetectorForward::stage(int stage, const StagePlan& plan, const float* map,
                            const ImageNorm* norms, int first, int images) noexcept {
  const PackedConv& lateral = weights_.laterals[stage];
  profiled("pyramid", work(lateral.matrix, images * plan.pixels()), [&] {
    normalized_conv(lateral, weights_.norms[stage], plan, map, norms, images,
                    detector_.laterals[stage], first * plan.pixels(), AfterProduct::kNothing);
  });
}

void DetectorForward::top_down() {
  const size_t stages = detector_.laterals.size();
  for (size_t k = stages; k-- > 0;) {
    const HeadMap sum = part(detector_.laterals[k]), out = part(detector_.pyramid[k]);
    profiled("pyramid", work(weights_.outputs[k].matrix, sum.rows()), [&] {
      if (k + 1 < stages) add_nearest(part(detector_.laterals[k + 1]), sum);
      conv(weights_.outputs[k], sum, out, AfterProduct::kNothing);
    });
  }
  // The levels beyond the backbone's: every second row and column.
  for (size_t k = stages; k < detector_.pyramid.size(); ++k) {
    const HeadMap in = part(detector_.pyramid[k - 1]), out = part(detector_.pyramid[k]);
    for (int64_t r = 0; r < out.rows(); ++r) {
      const int64_t x = r % out.w, y = r / out.w % out.h, image = r / (int64_t{out.w} * out.h);
      std::copy_n(in.row((image * in.h + 2 * y) * in.w + 2 * x), out.stride, out.row(r));
    }
  }
}

// The convolution's rows stay in the cache until the small product that follows has read them.
void DetectorForward::rpn(size_t level) {
  const HeadMap in = part(detector_.pyramid[level]), out = part(detector_.rpn[level]);
  const PackedMatrix& weight = weights_.rpn_conv.matrix;
  const int64_t ld = weight.panels() * weight.tile_cols();
  const int64_t products = work(weight, in.rows()) + work(weights_.rpn_outputs, in.rows());
  profiled("rpn", products, [&] {
    whole_rows(weight, in.rows(), floats_per_row(weight), [&](const GridTask& task) {
      auto* hidden = reinterpret_cast<float*>(task.scratch.hidden);
      deep_product(weight, task, neighbors(weights_.rpn_conv, in), hidden, ld, AfterProduct::kRelu);
      second_product(weights_.rpn_outputs, task, hidden, ld, out.row(task.rows.begin), out.stride);
    });
  });
}

void DetectorForward::propose_regions() {
  for (size_t level = 0; level < detector_.pyramid.size(); ++level) rpn(level);
  const auto anchors = static_cast<int64_t>(config_.rpn.anchors.ratios.size());
  const detect::BoxCoder coder = detect::box_coder(config_, config_.rpn.box_stds);
  memory_.boxes.clear();
  memory_.first.assign(1, 0);
  profiled("proposals", 0, [&] {
    std::vector<detect::RpnLevel>& levels = memory_.levels;
    levels.resize(detector_.rpn.size());
    for (int image = 0; image < images_at_work_; ++image) {
      for (size_t k = 0; k < levels.size(); ++k) {
        const HeadMap& map = detector_.rpn[k];
        const float* rows = map.row(image * int64_t{map.h} * map.w);
        levels[k] = {rows, map.stride, rows + anchors, map.stride, detector_.anchors[k]};
      }
      detect::propose(levels, static_cast<int>(anchors), coder, sizes_[image].resized,
                      config_.rpn.test_proposals, parallel_, memory_.proposing, memory_.proposals);
      for (const Box& box : memory_.proposals.boxes) {
        // As in the authors' code, which takes them for what fills up a batch.
        if (box.y2 != 0 || is_cascade(config_.kind)) memory_.boxes.push_back(box);
      }
      memory_.first.push_back(std::ssize(memory_.boxes));
    }
  });
}

// ---- Regions

int64_t DetectorForward::image_of(int64_t region) const {
  const auto above = std::upper_bound(memory_.first.begin(), memory_.first.end(), region);
  return above - memory_.first.begin() - 1;
}

HeadMap DetectorForward::through(const std::vector<PackedConv>& layers, HeadMap map) {
  for (const PackedConv& layer : layers) {
    HeadMap out = map;
    out.data = other_than(map.data);
    out.channels = static_cast<int>(layer.matrix.cols());
    out.stride = layer.matrix.panels() * layer.matrix.tile_cols();
    conv(layer, map, out, AfterProduct::kRelu);
    map = out;
  }
  return map;
}

HeadMap DetectorForward::pool(int64_t begin, int64_t end, int bins) {
  const int channels = config_.fpn_channels;
  const HeadMap pooled{detector_.region_maps[0],     bins, bins, channels, channels,
                       static_cast<int>(end - begin)};
  const detect::RoiGrid grid{bins, bins, config_.roi.sampling_ratio};
  plan_.pool.run(static_cast<int>(end - begin), [&](int task, int thread) {
    auto& [samples, terms] = memory_.sampling[thread];
    const int64_t region = begin + task;
    const Box& box = memory_.boxes[region];
    const int level = detect::roi_level(box, config_.roi.levels, config_.roi.finest_size);
    const HeadMap& map = detector_.pyramid[level];
    const float* rows = map.row(image_of(region) * int64_t{map.h} * map.w);
    const auto stride = static_cast<float>(config_.rpn.anchors.strides[level]);
    detect::sample_roi(&box.x1, 1 / stride, grid, map.h, map.w, samples);
    float* to = pooled.row(int64_t{task} * bins * bins);
    for (int64_t y = 0; y < bins; ++y) {
      for (int64_t x = 0; x < bins; ++x, to += pooled.stride) {
        detect::set_terms(samples, y, x, map.w, map.stride, terms);
        detect::combine_rows(rows, terms.data(), std::ssize(terms), channels, samples.divisor, to);
      }
    }
  });
  return pooled;
}

int64_t DetectorForward::output_stride() const {
  const PackedMatrix& outputs = weights_.box_heads.front().outputs.matrix;
  return outputs.panels() * outputs.tile_cols();
}

void DetectorForward::box_group(const BoxHeadWeights& head, int64_t begin, int64_t end) {
  const int bins = config_.roi.box_size, regions = static_cast<int>(end - begin);
  HeadMap map = through(head.convs, pool(begin, end, bins));
  if (map.stride != map.channels) {  // a convolution's
    HeadMap dense = map;
    dense.data = other_than(map.data);
    dense.stride = map.channels;
    for (int64_t r = 0; r < map.rows(); ++r) std::copy_n(map.row(r), map.channels, dense.row(r));
    map = dense;
  }
  // A region is one row now, bin by bin.
  const int columns = bins * bins * map.channels;
  HeadMap row{map.data, 1, 1, columns, columns, regions};
  int which = 0;
  for (const PackedConv& layer : head.fcs) {
    const HeadMap out{
        detector_.region_rows[which], 1,      1, static_cast<int>(layer.matrix.cols()),
        detector_.region_row_stride,  regions};
    conv(layer, row, out, AfterProduct::kRelu);
    row = out;
    which = 1 - which;
  }
  const HeadMap out{output_row(begin), 1,      1, static_cast<int>(head.outputs.matrix.cols()),
                    output_stride(),   regions};
  conv(head.outputs, row, out, AfterProduct::kNothing);
}

void DetectorForward::classify() {
  const auto regions = std::ssize(memory_.boxes);
  const size_t stages = config_.stages.size();
  const int64_t n = logits();
  memory_.outputs.resize(regions * output_stride());
  memory_.sums.assign(stages > 1 ? regions * n : 0, 0.0f);
  for (size_t k = 0; k < stages; ++k) {
    const BoxHeadWeights& head = weights_.box_heads[k];
    profiled("box_heads", regions * work_of(head), [&] {
      for (int64_t begin = 0; begin < regions; begin += detector_.box_group) {
        box_group(head, begin, std::min(regions, begin + detector_.box_group));
      }
      if (stages == 1) return;
      for (int64_t r = 0; r < regions; ++r) {
        for (int64_t c = 0; c < n; ++c) memory_.sums[r * n + c] += output_row(r)[c];
      }
      if (k + 1 < stages) refine(k);
    });
  }
  if (stages == 1) return;
  const float count = static_cast<float>(stages);
  for (int64_t r = 0; r < regions; ++r) {
    for (int64_t c = 0; c < n; ++c) output_row(r)[c] = memory_.sums[r * n + c] / count;
  }
}

// Multiply-adds of a region.
int64_t DetectorForward::work_of(const BoxHeadWeights& head) const {
  const int64_t bins = int64_t{config_.roi.box_size} * config_.roi.box_size;
  int64_t sum = work(head.outputs.matrix, 1);
  for (const PackedConv& layer : head.convs) sum += work(layer.matrix, bins);
  for (const PackedConv& layer : head.fcs) sum += work(layer.matrix, 1);
  return sum;
}

// The step between the stages of a cascade.
void DetectorForward::refine(size_t stage) {
  const detect::BoxCoder coder = detect::box_coder(config_, config_.stages[stage].box_stds);
  for (int image = 0; image < images_at_work_; ++image) {
    const int64_t begin = memory_.first[image], end = memory_.first[image + 1];
    if (begin == end) continue;
    const float* rows = output_row(begin);
    detect::refine_boxes(coder, std::span(memory_.boxes).subspan(begin, end - begin), rows,
                         output_stride(), rows + logits(), output_stride(), config_.num_classes,
                         sizes_[image].resized);
  }
}

void DetectorForward::suppress() {
  const detect::BoxCoder coder = detect::box_coder(config_, config_.stages.back().box_stds);
  memory_.found.resize(images_at_work_);
  profiled("nms", 0, [&] {
    for (int image = 0; image < images_at_work_; ++image) {
      const int64_t begin = memory_.first[image], end = memory_.first[image + 1];
      float* rows = memory_.outputs.data() + begin * output_stride();
      detect::softmax_rows(rows, output_stride(), end - begin, static_cast<int>(logits()));
      detect::select_detections(
          std::span(memory_.boxes).subspan(begin, end - begin), rows, output_stride(),
          rows + logits(), output_stride(), config_.num_classes, coder, sizes_[image].resized,
          detect::scale_of(sizes_[image]), config_.test, memory_.selecting, memory_.found[image]);
    }
  });
}

std::vector<std::vector<detect::Detection>> DetectorForward::results() {
  std::vector<std::vector<detect::Detection>> all(images_at_work_);
  for (int image = 0; image < images_at_work_; ++image) {
    const detect::Found& found = memory_.found[image];
    all[image].reserve(found.boxes.size());
    for (size_t i = 0; i < found.boxes.size(); ++i) {
      const Box& box = found.boxes[i];
      all[image].push_back(
          {{box.x1, box.y1, box.x2, box.y2}, found.scores[i], found.labels[i], {}});
    }
  }
  if (has_masks(config_.kind)) paste(all);
  return all;
}

}  // namespace asmlp
