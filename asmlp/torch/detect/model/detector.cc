#include "asmlp/torch/detect/model/detector.h"

#include "asmlp/torch/detect/model/rpn.h"
#include "asmlp/torch/detect/ops/mask_paste.h"
#include "asmlp/torch/detect/ops/multiclass_nms.h"
#include "asmlp/torch/detect/ops/refine.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"

namespace asmlp::detect {
namespace {

using data::ImageInfo;
using torch::Tensor;

ImageSize size_of(const ImageInfo& info) { return {info.height, info.width}; }

void check(const DetectorNetImpl& net, const std::vector<Tensor>& maps,
           const std::vector<ImageInfo>& infos) {
  require(!net.is_training(), ErrorCode::kInvalidArgument,
          "detect: the network is in training mode; call eval() first");
  require(!maps.empty() && static_cast<int64_t>(infos.size()) == maps.front().size(0),
          ErrorCode::kInvalidArgument, "detect: {} infos for a batch of {} images", infos.size(),
          maps.empty() ? 0 : maps.front().size(0));
  for (const ImageInfo& info : infos) {
    require(
        info.height > 0 && info.width > 0 && info.original_height > 0 && info.original_width > 0,
        ErrorCode::kInvalidArgument, "detect: an image of {} x {}, {} x {} in the file",
        info.height, info.width, info.original_height, info.original_width);
  }
}

// Pixels of the batch per pixel of the file: x, y, x, y.
Tensor scale_of(const ImageInfo& info, const Tensor& like) {
  const auto ratio = [](int64_t resized, int64_t original) {
    return static_cast<float>(static_cast<double>(resized) / static_cast<double>(original));
  };
  const float x = ratio(info.width, info.original_width);
  const float y = ratio(info.height, info.original_height);
  return torch::tensor({x, y, x, y}).to(like.device());
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

Detections suppress(const DetectorConfig& config, const Regions& regions, const ImageInfo& info) {
  const BoxCoder coder = box_coder(config, config.stages.back().box_stds);
  const Tensor boxes = decode(coder, regions.boxes, regions.deltas, size_of(info));
  const Tensor original =
      (boxes.view({boxes.size(0), config.num_classes, 4}) / scale_of(info, boxes)).flatten(1);
  return multiclass_nms(regions.probabilities, original, config.test);
}

// Probabilities of the pixels of each detection, all images one after the other: P x h x w.
Tensor mask_probabilities(DetectorNetImpl& net, const std::vector<Tensor>& pyramid,
                          const std::vector<Detections>& found,
                          const std::vector<ImageInfo>& infos) {
  const DetectorConfig& config = net.config();
  std::vector<Tensor> boxes, labels;
  for (size_t i = 0; i < found.size(); ++i) {
    boxes.push_back(found[i].boxes * scale_of(infos[i], found[i].boxes));
    labels.push_back(found[i].labels);
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
                           const Detections& found, const ImageInfo& info) {
  const ImageSize size{info.original_height, info.original_width};
  std::vector<MaskRle> masks =
      paste_masks(probabilities, found.boxes, size, config.test.mask_threshold);
  if (is_cascade(config.kind)) return masks;
  const auto boxes = found.boxes.to(torch::kCPU).contiguous();
  const float* box = boxes.data_ptr<float>();
  for (size_t i = 0; i < masks.size(); ++i) {
    if (box[4 * i + 3] == 0) masks[i].counts = {static_cast<uint32_t>(size.height * size.width)};
  }
  return masks;
}

// `masks` has one per detection, or none at all.
std::vector<Detection> detections_of(const Detections& found, std::vector<MaskRle> masks) {
  const auto boxes = found.boxes.to(torch::kCPU, torch::kFloat).contiguous();
  const auto scores = found.scores.to(torch::kCPU, torch::kFloat).contiguous();
  const auto labels = found.labels.to(torch::kCPU).contiguous();
  const float *box = boxes.data_ptr<float>(), *score = scores.data_ptr<float>();
  const int64_t* label = labels.data_ptr<int64_t>();
  std::vector<Detection> detections;
  for (int64_t i = 0; i < boxes.size(0); ++i, box += 4) {
    detections.push_back(
        {{box[0], box[1], box[2], box[3]}, score[i], static_cast<int>(label[i]), {}});
    if (!masks.empty()) detections.back().mask = std::move(masks[static_cast<size_t>(i)]);
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
  const std::vector<Detections> found = timed(times, &Timings::nms, [&] {
    std::vector<Detections> kept;
    for (size_t i = 0; i < infos.size(); ++i) {
      kept.push_back(suppress(config, regions[i], infos[i]));
    }
    return kept;
  });
  std::vector<std::vector<Detection>> detections;
  if (!has_masks(config.kind)) {
    for (const Detections& image : found) detections.push_back(detections_of(image, {}));
    return detections;
  }
  const Tensor probabilities = timed(
      times, &Timings::mask_heads, [&] { return mask_probabilities(net, pyramid, found, infos); });
  return timed(times, &Timings::paste, [&] {
    int64_t first = 0;
    for (size_t i = 0; i < infos.size(); ++i) {
      const int64_t count = found[i].boxes.size(0);
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
