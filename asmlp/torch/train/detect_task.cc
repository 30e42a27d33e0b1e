#include "asmlp/torch/train/detect_task.h"

#include <fmt/format.h>

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/dataset/coco.h"
#include "asmlp/torch/detect/coco_source.h"
#include "asmlp/torch/detect/detector_file.h"
#include "asmlp/torch/detect/evaluate.h"
#include "asmlp/torch/detect/flops.h"
#include "asmlp/torch/detect/training.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/train/dense_task.h"

namespace asmlp::train {
namespace {

struct CocoSplit {
  std::filesystem::path images;
  CocoAnnotations annotations;
};

CocoSplit read_split(const std::string& root, Split split) {
  const detect::CocoFolder folder = detect::find_coco(root, split);
  CocoSplit result{folder.images, read_coco(folder.annotations)};
  if (const std::string report = result.annotations.skips.report(); !report.empty()) {
    log_message(LogLevel::kWarning, folder.annotations.string() + ": left out: " + report);
  }
  return result;
}

std::vector<std::string> names_of(const CocoAnnotations& annotations) {
  std::vector<std::string> names;
  for (const CocoCategory& category : annotations.categories) names.push_back(category.name);
  return names;
}

detect::TrainTransformOptions transform_options(const TrainOptions& o) {
  detect::TrainTransformOptions transform;
  transform.hflip = o.hflip;
  transform.short_sides = o.short_sides;
  transform.long_side = o.long_side;
  transform.crop_prob = o.crop_prob;
  transform.crop_short_sides = o.crop_short_sides;
  transform.crop_size = {int(o.crop_size[0]), int(o.crop_size[1])};
  return transform;
}

class DetectTask final : public Task {
 public:
  DetectTask(const TrainOptions& options, const std::string& tag, dist::World& world)
      : options_(options),
        world_(world),
        training_(read_split(options.data, Split::kTrain)),
        validation_(read_split(options.data, Split::kValidation)),
        classes_(names_of(training_.annotations)) {
    require(training_.annotations.categories == validation_.annotations.categories,
            ErrorCode::kMismatch,
            "{}: the training and the validation annotations have different categories",
            options.data);
    spec_ = dense_spec_to_train(options, tag, classes_, detect::resolve_detector);
    training_images_.emplace(training_.images, training_.annotations, transform_options(options),
                             spec_.preprocessing);
    validation_images_.emplace(validation_.images, validation_.annotations, spec_.preprocessing);

    const nn::DenseInput& input = spec_.preprocessing;
    facts_.model = spec_.name;
    facts_.classes = classes_;
    facts_.training_images = training_images_->size();
    facts_.validation_images = validation_images_->size();
    facts_.parameters = nn::parameter_count(*detect::DetectorNet(spec_.config));
    facts_.multiply_adds = detect::multiply_adds(spec_.config, input.short_side, input.long_side);
    facts_.image_size = fmt::format("{} x {}", input.short_side, input.long_side);
    facts_.main_figure = "bbox_AP";
  }

  const TaskFacts& facts() const override { return facts_; }
  std::string model_json() const override { return essence_of(spec_); }

  std::unique_ptr<data::BatchSource> training_batches() const override {
    return std::make_unique<data::ItemLoader>(
        *training_images_, training_items(options_, data::Remainder::kRepeat, world_));
  }
  std::unique_ptr<data::BatchSource> validation_batches() const override {
    return std::make_unique<data::ItemLoader>(*validation_images_,
                                              validation_items(options_, world_));
  }

  std::shared_ptr<torch::nn::Module> make_model() const override {
    detect::DetectorNet net(spec_.config);
    net->set_world(&world_);
    net->backbone()->set_checkpointing(options_.grad_checkpointing);
    return net.ptr();
  }

  std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                                const std::filesystem::path& path) const override {
    return load_dense_weights(model, *net_of(model).backbone(), "rpn_head.", path);
  }

  void write_model(const std::filesystem::path& path, const torch::nn::Module& model,
                   const std::map<std::string, std::string>& origin) const override {
    detect::DetectorSpec described = spec_;
    for (const auto& [key, value] : origin) described.origin.insert_or_assign(key, value);
    detect::save_detector(path, described, net_of(model));
  }

  ModelLoss loss(torch::nn::Module& model, data::Batch& batch, const Pass& pass) const override {
    const uint64_t seed = data::derive_seed(options_.seed, {data::kSeedBoxes, pass.index});
    ModelLoss result;
    for (auto& [name, value] : detect::detector_losses(net_of(model), batch.images.to(pass.device),
                                                       batch.infos, {seed, pass.precision})) {
      result.total = result.total.defined() ? result.total + value : value;
      result.parts.emplace_back(name, value.detach());
    }
    return result;
  }

  std::optional<Validation> validate(torch::nn::Module& model, const data::BatchSource& source,
                                     const ValidationOptions& options) const override {
    const auto e = detect::evaluate(net_of(model), validation_.annotations, source, world_,
                                    {options.progress, options.on_bad});
    if (!e) return std::nullopt;
    return Validation{{{"bbox_AP", e->box.ap},
                       {"bbox_AP50", e->box.ap50},
                       {"bbox_AP75", e->box.ap75},
                       {"segm_AP", e->mask.ap},
                       {"segm_AP50", e->mask.ap50},
                       {"segm_AP75", e->mask.ap75}},
                      e->images,
                      e->bad_samples};
  }

 private:
  static detect::DetectorNetImpl& net_of(torch::nn::Module& model) {
    return static_cast<detect::DetectorNetImpl&>(model);
  }
  static const detect::DetectorNetImpl& net_of(const torch::nn::Module& model) {
    return static_cast<const detect::DetectorNetImpl&>(model);
  }

  TrainOptions options_;
  dist::World& world_;
  CocoSplit training_, validation_;
  std::vector<std::string> classes_;
  detect::DetectorSpec spec_;
  std::optional<detect::CocoTrainingSource> training_images_;
  std::optional<detect::CocoTestSource> validation_images_;
  TaskFacts facts_;
};

}  // namespace

std::unique_ptr<Task> detect_task(const TrainOptions& options, const std::string& tag,
                                  dist::World& world) {
  return std::make_unique<DetectTask>(options, tag, world);
}

}  // namespace asmlp::train
