#include "asmlp/torch/train/segment_task.h"

#include <fmt/format.h>

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/autocast.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/segment/ade_source.h"
#include "asmlp/torch/segment/evaluate.h"
#include "asmlp/torch/segment/flops.h"
#include "asmlp/torch/segment/loss.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/train/dense_task.h"

namespace asmlp::train {
namespace {

std::vector<std::string> names_of(const Ade20k& data) {
  std::vector<std::string> names;
  for (const SegmentationClass& c : data.classes()) names.push_back(c.name);
  return names;
}

class SegmentTask final : public Task {
 public:
  SegmentTask(const TrainOptions& options, const std::string& tag, dist::World& world)
      : options_(options),
        world_(world),
        training_(options.data, Split::kTrain),
        validation_(options.data, Split::kValidation),
        spec_(dense_spec_to_train(options, tag, names_of(training_), segment::resolve_segmentor)),
        training_images_(training_, spec_.preprocessing,
                         {options.ratio_range, options.crop, options.cat_max_ratio, options.hflip,
                          options.photometric}),
        validation_images_(validation_) {
    require(names_of(training_) == names_of(validation_), ErrorCode::kMismatch,
            "{}: the training and the validation split have different classes", options.data);
    const nn::DenseInput& input = spec_.preprocessing;
    facts_.model = spec_.name;
    facts_.classes = names_of(training_);
    facts_.training_images = training_images_.size();
    facts_.validation_images = validation_images_.size();
    facts_.parameters = nn::parameter_count(*segment::SegmentorNet(spec_.config));
    facts_.multiply_adds = segment::multiply_adds(spec_.config, input.short_side, input.long_side);
    facts_.image_size = fmt::format("{} x {}", input.short_side, input.long_side);
    facts_.main_figure = "mIoU";
  }

  const TaskFacts& facts() const override { return facts_; }
  std::string model_json() const override { return essence_of(spec_); }

  std::unique_ptr<data::BatchSource> training_batches() const override {
    return std::make_unique<data::ItemLoader>(
        training_images_, training_items(options_, data::Remainder::kDrop, world_));
  }
  std::unique_ptr<data::BatchSource> validation_batches() const override {
    return std::make_unique<data::ItemLoader>(validation_images_,
                                              validation_items(options_, world_));
  }

  std::shared_ptr<torch::nn::Module> make_model() const override {
    segment::SegmentorNet net(spec_.config);
    net->set_world(&world_);
    net->backbone()->set_checkpointing(options_.grad_checkpointing);
    return net.ptr();
  }

  std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                                const std::filesystem::path& path) const override {
    return load_dense_weights(model, *net_of(model).backbone(), "decode_head.", path);
  }

  void write_model(const std::filesystem::path& path, const torch::nn::Module& model,
                   const std::map<std::string, std::string>& origin) const override {
    segment::SegmentorSpec described = spec_;
    for (const auto& [key, value] : origin) described.origin.insert_or_assign(key, value);
    segment::save_segmentor(path, described, net_of(model));
  }

  ModelLoss loss(torch::nn::Module& model, data::Batch& batch, const Pass& pass) const override {
    segment::SegmentorOutput output;
    {
      const nn::AutocastGuard autocast(pass.device.type(), pass.precision);
      output = net_of(model).forward(batch.images.to(pass.device));
    }
    output.decode = output.decode.to(torch::kFloat32);
    output.auxiliary = output.auxiliary.to(torch::kFloat32);
    const segment::SegmentationLoss loss =
        segment::losses(output, batch.targets.to(pass.device), spec_.config);
    return {loss.total(),
            {{"decode.loss_seg", loss.decode.detach()},
             {"aux.loss_seg", loss.auxiliary.detach()},
             {"decode.acc_seg", loss.accuracy.detach()}}};
  }

  std::optional<Validation> validate(torch::nn::Module& model, const data::BatchSource& source,
                                     const ValidationOptions& options) const override {
    segment::SegmentationEvaluationOptions evaluation;
    evaluation.progress = options.progress;
    evaluation.on_bad = options.on_bad;
    const auto e =
        segment::evaluate(net_of(model), source, spec_.preprocessing, world_, evaluation);
    if (!e) return std::nullopt;
    return Validation{
        {{"mIoU", e->mean_iou}, {"mAcc", e->mean_accuracy}, {"aAcc", e->pixel_accuracy}},
        e->images,
        e->bad_samples};
  }

 private:
  static segment::SegmentorNetImpl& net_of(torch::nn::Module& model) {
    return static_cast<segment::SegmentorNetImpl&>(model);
  }
  static const segment::SegmentorNetImpl& net_of(const torch::nn::Module& model) {
    return static_cast<const segment::SegmentorNetImpl&>(model);
  }

  TrainOptions options_;
  dist::World& world_;
  Ade20k training_, validation_;
  segment::SegmentorSpec spec_;
  segment::AdeTrainingSource training_images_;
  segment::AdeTestSource validation_images_;
  TaskFacts facts_;
};

}  // namespace

std::unique_ptr<Task> segment_task(const TrainOptions& options, const std::string& tag,
                                   dist::World& world) {
  return std::make_unique<SegmentTask>(options, tag, world);
}

}  // namespace asmlp::train
