#include "asmlp/torch/detect/model/detector.h"

#include "asmlp/detection/select.h"
#include "asmlp/torch/detect/model/rpn.h"
#include "asmlp/torch/detect/ops/mask_paste.h"
#include "asmlp/torch/detect/ops/refine.h"
#include "asmlp/torch/detect/ops/spans.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"

namespace asmlp::detect {
namespace {

using data::ImageInfo;
using torch::Tensor;

ImageSize size_of(const ImageInfo& info) { return {info.height, info.width}; }

InputSizes sizes_of(const ImageInfo& info) {
  return {size_of(info), {info.original_height, info.original_width}};
}

void check(const DetectorNetImpl& net, const std::vector<Tensor>& maps,
           const std::vector<ImageInfo>& infos) {
  require(!net.is_training(), ErrorCode::kInvalidArgument,
          "detect: the network is in training mode; call eval() first");
  require(!maps.empty() && static_cast<int64_t>(infos.size()) == maps.front().size(0),
          ErrorCode::kInvalidArgument, "detect: {} infos for a batch of {} images", infos.size(),
          maps.empty() ? 0 : maps.front().size(0));
  for (const ImageInfo& info : infos) scale_of(sizes_of(info));
}

// What the box heads say of the regions of one image.
struct Regions {
  Tensor boxes;          // R x 4, those that the last stage has seen
  Tensor probabilities;  // R x (K + 1)
  Tensor deltas;         // R x 4K, of the last stage
};

// A result for the RoIs of all images, in their order, as one per image.
std::vector<Tensor> by_image(const Tensor& rows, const std::vector<Tensor>& boxes) {
  std::vector<int64_t> counts;
  for (const Tensor& b : boxes) counts.push_back(b.size(0));
  return rows.split_with_sizes(counts);
}

std::vector<Regions> classify(DetectorNetImpl& net, const std::vector<Tensor>& pyramid,
                              std::vector<Tensor> boxes, const std::vector<ImageInfo>& infos) {
  const DetectorConfig& config = net.config();
  if (!is_cascade(config.kind)) {
    for (Tensor& b : boxes) b = b.index_select(0, b.select(1, 3).ne(0).nonzero().squeeze(1));
  }
  const size_t stages = config.stages.size();
  Tensor sum, deltas;
  for (size_t k = 0; k < stages; ++k) {
    const BoxOutput output =
        net.boxes(k, pool_rois(config, pyramid, rois_of(boxes), config.roi.box_size));
    const Tensor logits = widen(output.logits);
    sum = sum.defined() ? sum + logits : logits;
    deltas = widen(output.deltas);
    if (k + 1 == stages) break;
    const BoxCoder coder = box_coder(config, config.stages[k].box_stds);
    const auto image_logits = by_image(logits, boxes), image_deltas = by_image(deltas, boxes);
    for (size_t i = 0; i < boxes.size(); ++i) {
      boxes[i] = refine_boxes(coder, boxes[i], image_logits[i], image_deltas[i], size_of(infos[i]));
    }
  }
  const auto image_probabilities =
      by_image(torch::softmax(sum / static_cast<double>(stages), 1), boxes);
  const auto image_deltas = by_image(deltas, boxes);
  std::vector<Regions> regions;
  for (size_t i = 0; i < boxes.size(); ++i) {
    regions.push_back({boxes[i], image_probabilities[i], image_deltas[i]});
  }
  return regions;
}

Found suppress(const DetectorConfig& config, const Regions& regions, const ImageInfo& info) {
  const Tensor boxes = on_cpu(regions.boxes), probabilities = on_cpu(regions.probabilities),
               deltas = on_cpu(regions.deltas);
  SelectMemory memory;
  Found found;
  select_detections(boxes_in(boxes), probabilities.data_ptr<float>(), probabilities.size(1),
                    deltas.data_ptr<float>(), deltas.size(1), config.num_classes,
                    box_coder(config, config.stages.back().box_stds), size_of(info),
                    scale_of(sizes_of(info)), config.test, memory, found);
  return found;
}

// Probabilities of the pixels of each detection, all images one after the other: P x h x w.
Tensor mask_probabilities(DetectorNetImpl& net, const std::vector<Tensor>& pyramid,
                          const std::vector<Found>& found, const std::vector<ImageInfo>& infos) {
  const DetectorConfig& config = net.config();
  const torch::Device device = pyramid.front().device();
  std::vector<Tensor> boxes, labels;
  for (size_t i = 0; i < found.size(); ++i) {
    const std::array<float, 4> scale = scale_of(sizes_of(infos[i]));
    boxes.push_back(
        (tensor_of(found[i].boxes) * torch::tensor(at::ArrayRef<float>(scale))).to(device));
    labels.push_back(tensor_of(found[i].labels).to(device, torch::kInt64));
  }
  const Tensor label = torch::cat(labels);
  if (label.size(0) == 0) return torch::zeros({0, 1, 1});
  const Tensor pooled = pool_rois(config, pyramid, rois_of(boxes), config.roi.mask_size);
  const Tensor row = torch::arange(label.size(0), label.options());
  Tensor sum;
  for (size_t k = 0; k < config.stages.size(); ++k) {
    const Tensor mask = torch::sigmoid(widen(net.masks(k, pooled).index({row, label})));
    sum = sum.defined() ? sum + mask : mask;
  }
  return sum / static_cast<double>(config.stages.size());
}

std::vector<MaskRle> paste(const DetectorConfig& config, const Tensor& probabilities,
                           const Found& found, const ImageInfo& info) {
  const ImageSize size{info.original_height, info.original_width};
  std::vector<MaskRle> masks =
      paste_masks(probabilities, tensor_of(found.boxes), size, config.test.mask_threshold);
  if (is_cascade(config.kind)) return masks;
  for (size_t i = 0; i < masks.size(); ++i) {
    if (found.boxes[i].y2 == 0) {
      masks[i].counts = {static_cast<uint32_t>(size.height * size.width)};
    }
  }
  return masks;
}

// `masks` has one per detection, or none at all.
std::vector<Detection> detections_of(const Found& found, std::vector<MaskRle> masks) {
  std::vector<Detection> detections;
  for (size_t i = 0; i < found.boxes.size(); ++i) {
    const auto [x1, y1, x2, y2] = found.boxes[i];
    detections.push_back({{x1, y1, x2, y2}, found.scores[i], found.labels[i], {}});
    if (!masks.empty()) detections.back().mask = std::move(masks[i]);
  }
  return detections;
}

}  // namespace

std::vector<std::vector<Detection>> detect_on_maps(DetectorNetImpl& net,
                                                   const std::vector<Tensor>& maps,
                                                   const std::vector<ImageInfo>& infos,
                                                   Timings* times) {
  check(net, maps, infos);
  const torch::NoGradGuard no_grad;
  const DetectorConfig& config = net.config();
  const auto pyramid = timed(times, &Timings::pyramid, [&] { return net.pyramid(maps); });
  const RpnOutput rpn = timed(times, &Timings::rpn, [&] { return net.rpn(pyramid); });
  std::vector<Tensor> boxes = timed(times, &Timings::proposals, [&] {
    std::vector<ImageSize> sizes;
    for (const ImageInfo& info : infos) sizes.push_back(size_of(info));
    std::vector<Tensor> proposed;
    for (auto& p : propose_all(config, rpn, sizes, config.rpn.test_proposals)) {
      proposed.push_back(std::move(p.boxes));
    }
    return proposed;
  });
  const std::vector<Regions> regions = timed(
      times, &Timings::box_heads, [&] { return classify(net, pyramid, std::move(boxes), infos); });
  const std::vector<Found> found = timed(times, &Timings::nms, [&] {
    std::vector<Found> kept;
    for (size_t i = 0; i < infos.size(); ++i) {
      kept.push_back(suppress(config, regions[i], infos[i]));
    }
    return kept;
  });
  std::vector<std::vector<Detection>> detections;
  if (!has_masks(config.kind)) {
    for (const Found& image : found) detections.push_back(detections_of(image, {}));
    return detections;
  }
  const Tensor probabilities = timed(
      times, &Timings::mask_heads, [&] { return mask_probabilities(net, pyramid, found, infos); });
  return timed(times, &Timings::paste, [&] {
    int64_t first = 0;
    for (size_t i = 0; i < infos.size(); ++i) {
      const auto count = static_cast<int64_t>(found[i].boxes.size());
      const Tensor mine = probabilities.slice(0, first, first + count);
      detections.push_back(detections_of(found[i], paste(config, mine, found[i], infos[i])));
      first += count;
    }
    return std::move(detections);
  });
}

std::vector<std::vector<Detection>> detect(DetectorNetImpl& net, const Tensor& images,
                                           const std::vector<ImageInfo>& infos, Timings* times) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = net.parameters().front().device();
  const auto maps =
      timed(times, &Timings::backbone, [&] { return net.backbone()->forward(images.to(device)); });
  return detect_on_maps(net, maps, infos, times);
}

std::vector<Detection> detect(DetectorNetImpl& net, const data::TensorSample& sample,
                              Timings* times) {
  return detect(net, sample.image.unsqueeze(0), {sample.info}, times).front();
}

}  // namespace asmlp::detect
