#include "asmlp/torch/train/tasks/segment_task.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/model/flops.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/segment/ade_source.h"
#include "asmlp/torch/segment/evaluate.h"
#include "asmlp/torch/segment/loss.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/train/tasks/dense_task.h"
#include "asmlp/torch/train/tasks/validation_split.h"

namespace asmlp::train {
namespace {

std::vector<std::string> label_names(const Ade20k& data) {
  std::vector<std::string> names;
  for (const SegmentationClass& c : data.classes()) names.push_back(c.name);
  return names;
}

class SegmentTask final : public DenseTask<SegmentorSpec, segment::SegmentorNet> {
 public:
  SegmentTask(const TrainOptions& options, const std::string& tag, Ade20k training,
              Ade20k validation, dist::World& world)
      : DenseTask(options,
                  dense_spec_to_train<SegmentorSpec>(options.model, tag, label_names(training)),
                  world),
        training_(std::move(training)),
        validation_(std::move(validation)),
        training_images_(training_, spec_.preprocessing, options.segmentation),
        validation_images_(validation_) {
    require(label_names(training_) == label_names(validation_), ErrorCode::kMismatch,
            "{}: the training and the validation split have different classes", options.model.data);
    describe(training_images_.size(), validation_images_.size(), "mIoU");
  }

  std::unique_ptr<data::BatchSource> training_batches() const override {
    return std::make_unique<data::Loader>(
        training_images_, training_loading(options_, data::Remainder::kDrop, world_));
  }
  std::unique_ptr<data::BatchSource> validation_batches() const override {
    return std::make_unique<data::Loader>(validation_images_, validation_loading(options_, world_));
  }

  ModelLoss loss(torch::nn::Module& model, data::Batch& batch,
                 const MicroBatch& place) const override {
    segment::SegmentorOutput output;
    {
      const nn::AutocastGuard autocast(place.device.type(), place.precision);
      output = net_of(model).forward(batch.images.to(place.device));
    }
    output.decode = output.decode.to(torch::kFloat32);
    output.auxiliary = output.auxiliary.to(torch::kFloat32);
    const segment::SegmentationLoss loss =
        segment::losses(output, batch.targets.to(place.device), spec_.config);
    return {loss.total(),
            {{"decode.loss_seg", loss.decode.detach()},
             {"aux.loss_seg", loss.auxiliary.detach()},
             {"decode.acc_seg", loss.accuracy.detach()}}};
  }

  std::optional<Validation> validate(torch::nn::Module& model, const data::BatchSource& source,
                                     const ValidationOptions& options) const override {
    const auto e =
        segment::evaluate(net_of(model), source, spec_.preprocessing, {}, world_, options);
    if (!e) return std::nullopt;
    return Validation{
        {{"mIoU", e->mean_iou}, {"mAcc", e->mean_accuracy}, {"aAcc", e->pixel_accuracy}},
        e->images,
        e->bad_samples};
  }

 private:
  void save(const std::filesystem::path& path, const SegmentorSpec& spec,
            const segment::SegmentorNetImpl& net) const override {
    segment::save_segmentor(path, spec, net);
  }

  Ade20k training_, validation_;
  segment::AdeTrainingSource training_images_;
  segment::AdeTestSource validation_images_;
};

}  // namespace

std::unique_ptr<TrainingTask> segment_task(const TrainOptions& options, const std::string& tag,
                                           dist::World& world) {
  Ade20k training(options.model.data, Split::kTrain);
  if (options.model.val_fraction > 0) {
    auto [rest, held_out] = training.hold_out(options.model.val_fraction, options.run.seed);
    note_held_out(options, options.model.data, held_out.size(), training.size(), world);
    return std::make_unique<SegmentTask>(options, tag, std::move(rest), std::move(held_out), world);
  }
  auto validation = open_validation([&] { return Ade20k(options.model.data, Split::kValidation); });
  return std::make_unique<SegmentTask>(options, tag, std::move(training), std::move(validation),
                                       world);
}

}  // namespace asmlp::train
