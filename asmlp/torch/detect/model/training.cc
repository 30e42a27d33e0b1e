#include "asmlp/torch/detect/model/training.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/detect/model/losses.h"
#include "asmlp/torch/detect/model/rpn.h"
#include "asmlp/torch/detect/ops/refine.h"
#include "asmlp/torch/detect/roi/mask_target.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"
#include "asmlp/torch/ops/autocast.h"

namespace asmlp::detect {
namespace {

// One image of the batch, on the device of the network.
struct Truth {
  torch::Tensor boxes, labels, masks, mask_rows;
  ImageSize image, padded;
};

class LossesOfBatch {
 public:
  LossesOfBatch(DetectorNetImpl& net, const torch::Tensor& images,
                const std::vector<data::ImageInfo>& infos, const TrainingPass& pass)
      : net_(net), config_(net.config()), images_(images), pass_(pass) {
    require(net.is_training(), ErrorCode::kInvalidArgument,
            "the losses of a detector need it in training mode");
    require(images.dim() == 4 && int64_t(infos.size()) == images.size(0),
            ErrorCode::kInvalidArgument, "{} images in the batch, objects of {}",
            images.dim() == 4 ? images.size(0) : 0, infos.size());
    const torch::Device device = images.device();
    for (const data::ImageInfo& info : infos) {
      const bool masks = info.masks.defined() && info.mask_rows.defined();
      require(info.boxes.defined() && info.labels.defined() && (masks || !has_masks(config_.kind)),
              ErrorCode::kInvalidArgument, "image {} comes without its objects", info.index);
      require(info.labels.numel() == 0 || (info.labels.min().item<int64_t>() >= 0 &&
                                           info.labels.max().item<int64_t>() < config_.num_classes),
              ErrorCode::kInvalidArgument, "image {} has an object whose class is not in 0..{}",
              info.index, config_.num_classes - 1);
      truths_.push_back({info.boxes.to(device),
                         info.labels.to(device),
                         info.masks,
                         masks ? info.mask_rows.to(device) : torch::Tensor(),
                         {info.height, info.width},
                         {info.padded_height, info.padded_width}});
    }
  }

  DetectorLosses run() {
    {
      const nn::AutocastGuard autocast(images_.device().type(), pass_.precision);
      const std::vector<torch::Tensor> maps = net_.backbone()(images_);
      done("backbone", maps);
      pyramid_ = net_.pyramid(maps);
      done("pyramid", pyramid_);
      rpn_ = net_.rpn(pyramid_);
      done("RPN", rpn_.logits);
    }
    for (torch::Tensor& map : pyramid_) map = widen(map);
    for (auto* maps : {&rpn_.logits, &rpn_.deltas}) {
      for (torch::Tensor& map : *maps) map = widen(map);
    }
    train_rpn();
    done("RPN losses", {});
    std::vector<ImageSize> sizes;
    for (const Truth& truth : truths_) sizes.push_back(truth.image);
    std::vector<torch::Tensor> proposals;
    for (const ProposedRois& p : propose_all(config_, rpn_, sizes, config_.rpn.train_proposals)) {
      proposals.push_back(p.boxes);
    }
    done("proposals", {});
    for (size_t stage = 0; stage < config_.stages.size(); ++stage) {
      proposals = train_stage(stage, proposals);
    }
    return std::move(losses_);
  }

 private:
  // A generator of its own for every image and use: what one draws does not depend on the others.
  data::Random random(uint64_t use, size_t image) const {
    return data::Random(data::derive_seed(pass_.seed, {use, image}));
  }

  void add(const std::string& prefix, const char* name, const torch::Tensor& loss, double weight) {
    losses_.emplace_back(prefix + name, weight == 1 ? loss : loss * weight);
  }

  void done(const char* part, const std::vector<torch::Tensor>& results) const {
    if (pass_.done) pass_.done(part, results);
  }

  void train_rpn() {
    const RpnConfig& rpn = config_.rpn;
    const std::vector<torch::Tensor> levels = anchors_of(config_, rpn_);
    const torch::Tensor anchors = torch::cat(levels);
    std::vector<MapSize> sizes;
    std::vector<torch::Tensor> logits, deltas;
    for (size_t l = 0; l < levels.size(); ++l) {
      sizes.push_back({int(rpn_.logits[l].size(2)), int(rpn_.logits[l].size(3))});
      logits.push_back(flatten_map(rpn_.logits[l], 1));
      deltas.push_back(flatten_map(rpn_.deltas[l], 4));
    }
    std::vector<RpnTargets> targets;
    for (size_t i = 0; i < truths_.size(); ++i) {
      data::Random draw = random(0, i);
      targets.push_back(rpn_targets(anchors,
                                    usable_anchors(rpn.anchors, sizes, levels, truths_[i].padded,
                                                   truths_[i].image, int64_t(rpn.allowed_border)),
                                    truths_[i].boxes, rpn.match, rpn.sample, draw));
    }
    const ClassAndBoxLoss loss =
        rpn_losses(torch::cat(logits, 1).squeeze(2), torch::cat(deltas, 1), anchors, targets,
                   rpn.box_loss, box_coder(config_, rpn.box_stds));
    add("", "loss_rpn_cls", loss.classes, rpn.class_weight);
    add("", "loss_rpn_bbox", loss.boxes, 1);
  }

  // The proposals of the next stage.
  std::vector<torch::Tensor> train_stage(size_t stage,
                                         const std::vector<torch::Tensor>& proposals) {
    const StageConfig& config = config_.stages[stage];
    std::vector<SampledRois> samples;
    std::vector<torch::Tensor> boxes;
    for (size_t i = 0; i < truths_.size(); ++i) {
      data::Random draw = random(1 + stage, i);
      samples.push_back(sample_rois(proposals[i], truths_[i].boxes, truths_[i].labels,
                                    config_.num_classes, config.match, config.sample, draw));
      boxes.push_back(samples.back().boxes);
    }
    BoxOutput output =
        boxes_of(stage, pool_rois(config_, pyramid_, rois_of(boxes), config_.roi.box_size));
    const ClassAndBoxLoss loss =
        box_head_losses(output.logits, output.deltas, samples, config.box_loss,
                        box_coder(config_, config.box_stds));
    const std::string prefix = config_.stages.size() > 1 ? fmt::format("s{}.", stage) : "";
    add(prefix, "loss_cls", loss.classes, config.class_weight * config.weight);
    add(prefix, "loss_bbox", loss.boxes, config.weight);
    done("box heads", {});
    if (has_masks(config_.kind)) {
      add(prefix, "loss_mask", masks_loss(stage, samples), config.mask_weight * config.weight);
      done("mask heads", {});
    }
    if (stage + 1 == config_.stages.size()) return {};

    std::vector<torch::Tensor> refined;
    int64_t row = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const int64_t rows = boxes[i].size(0);
      refined.push_back(refine_boxes(box_coder(config_, config.box_stds), samples[i],
                                     output.logits.narrow(0, row, rows),
                                     output.deltas.narrow(0, row, rows), truths_[i].image));
      row += rows;
    }
    return refined;
  }

  BoxOutput boxes_of(size_t stage, const torch::Tensor& pooled) {
    const nn::AutocastGuard autocast(images_.device().type(), pass_.precision);
    BoxOutput output = net_.boxes(stage, pooled);
    return {widen(output.logits), widen(output.deltas)};
  }

  // Of the positives whose object has an outline.
  torch::Tensor masks_loss(size_t stage, const std::vector<SampledRois>& samples) {
    std::vector<torch::Tensor> boxes, labels, targets;
    for (size_t i = 0; i < samples.size(); ++i) {
      const SampledRois& rois = samples[i];
      const torch::Tensor rows = truths_[i].mask_rows.index_select(0, rois.gt);
      const torch::Tensor outlined = rows.ge(0).nonzero().squeeze(1);
      boxes.push_back(rois.positive_boxes().index_select(0, outlined));
      labels.push_back(rois.labels.index_select(0, outlined));
      targets.push_back(mask_targets(truths_[i].masks, boxes.back(), rows.index_select(0, outlined),
                                     2 * config_.roi.mask_size));
    }
    const torch::Tensor pooled =
        pool_rois(config_, pyramid_, rois_of(boxes), config_.roi.mask_size);
    torch::Tensor logits;
    {
      const nn::AutocastGuard autocast(images_.device().type(), pass_.precision);
      logits = widen(net_.masks(stage, pooled));
    }
    return mask_loss(logits, torch::cat(labels), torch::cat(targets));
  }

  DetectorNetImpl& net_;
  const DetectorConfig& config_;
  torch::Tensor images_;
  TrainingPass pass_;
  std::vector<Truth> truths_;
  std::vector<torch::Tensor> pyramid_;
  RpnOutput rpn_;
  DetectorLosses losses_;
};

}  // namespace

DetectorLosses detector_losses(DetectorNetImpl& net, const torch::Tensor& images,
                               const std::vector<data::ImageInfo>& infos,
                               const TrainingPass& pass) {
  return LossesOfBatch(net, images, infos, pass).run();
}

}  // namespace asmlp::detect
