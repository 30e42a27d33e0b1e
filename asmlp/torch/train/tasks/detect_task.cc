#include "asmlp/torch/train/tasks/detect_task.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/model/flops.h"
#include "asmlp/torch/detect/data/coco_source.h"
#include "asmlp/torch/detect/evaluate.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/detect/model/training.h"
#include "asmlp/torch/train/tasks/dense_task.h"

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

std::vector<std::string> class_names(const CocoAnnotations& annotations) {
  std::vector<std::string> names;
  for (const CocoCategory& category : annotations.categories) names.push_back(category.name);
  return names;
}

class DetectTask final : public DenseTask<DetectorSpec, detect::DetectorNet> {
 public:
  DetectTask(const TrainOptions& options, const std::string& tag, CocoSplit training,
             CocoSplit validation, dist::World& world)
      : DenseTask(options,
                  dense_spec_to_train<DetectorSpec>(options.model, tag,
                                                    class_names(training.annotations)),
                  world),
        training_(std::move(training)),
        validation_(std::move(validation)),
        training_images_(training_.images, training_.annotations, options.detection,
                         spec_.preprocessing, options.model.decoding().max_pixels),
        validation_images_(validation_.images, validation_.annotations, spec_.preprocessing,
                           options.model.decoding().max_pixels) {
    require(training_.annotations.categories == validation_.annotations.categories,
            ErrorCode::kMismatch,
            "{}: the training and the validation annotations have different categories",
            options.model.data);
    describe(training_images_.size(), validation_images_.size(), "bbox_AP");
  }

  std::unique_ptr<data::BatchSource> training_batches() const override {
    return std::make_unique<data::Loader>(
        training_images_, training_loading(options_, data::Remainder::kRepeat, world_));
  }
  std::unique_ptr<data::BatchSource> validation_batches() const override {
    return std::make_unique<data::Loader>(validation_images_, validation_loading(options_, world_));
  }

  ModelLoss loss(torch::nn::Module& model, data::Batch& batch,
                 const MicroBatch& place) const override {
    const uint64_t seed = data::derive_seed(options_.run.seed, {data::kSeedBoxes, place.index});
    ModelLoss result;
    for (auto& [name, value] : detect::detector_losses(net_of(model), batch.images.to(place.device),
                                                       batch.infos, {seed, place.precision})) {
      result.total = result.total.defined() ? result.total + value : value;
      result.parts.emplace_back(name, value.detach());
    }
    return result;
  }

  std::optional<Validation> validate(torch::nn::Module& model, const data::BatchSource& source,
                                     const ValidationOptions& options) const override {
    const auto e =
        detect::evaluate(net_of(model), validation_.annotations, source, world_, options);
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
  void save(const std::filesystem::path& path, const DetectorSpec& spec,
            const detect::DetectorNetImpl& net) const override {
    detect::save_detector(path, spec, net);
  }

  CocoSplit training_, validation_;
  detect::CocoTrainingSource training_images_;
  detect::CocoTestSource validation_images_;
};

}  // namespace

std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world) {
  return std::make_unique<DetectTask>(options, tag, read_split(options.model.data, Split::kTrain),
                                      read_split(options.model.data, Split::kValidation), world);
}

}  // namespace asmlp::train
