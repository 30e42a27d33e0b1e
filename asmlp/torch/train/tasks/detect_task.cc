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
  std::filesystem::path images, file;
  CocoAnnotations annotations;
};

CocoSplit read_split(const std::string& root, Split split) {
  const detect::CocoFolder folder = detect::find_coco(root, split);
  CocoSplit result{folder.images, folder.annotations, read_coco(folder.annotations)};
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
                         spec_.preprocessing,
                         has_masks(spec_.config.kind) ? detect::ObjectMasks::kDrawn
                                                      : detect::ObjectMasks::kLeftOut),
        validation_images_(validation_.images, validation_.annotations, spec_.preprocessing) {
    require(training_.annotations.categories == validation_.annotations.categories,
            ErrorCode::kMismatch,
            "{}: the training and the validation annotations have different categories",
            options.model.data);
    check_outlines();
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
    Validation validation{{}, e->images, e->bad_samples};
    const auto add = [&](const std::string& name, const CocoScores& scores) {
      validation.metrics.push_back({name + "_AP", scores.ap});
      validation.metrics.push_back({name + "_AP50", scores.ap50});
      validation.metrics.push_back({name + "_AP75", scores.ap75});
    };
    add("bbox", e->box);
    if (e->mask) add("segm", *e->mask);
    return validation;
  }

 private:
  // Masks cannot be learned from boxes.
  void check_outlines() const {
    const int64_t objects = training_images_.objects(), outlined = training_images_.outlined();
    if (!has_masks(spec_.config.kind) || objects == 0) return;
    require(outlined > 0, ErrorCode::kMismatch,
            "{}: none of the {} objects to train on has an outline (\"segmentation\"), from which "
            "'{}' learns its masks; train a detector of boxes: --model faster_rcnn_asmlp_tiny, "
            "another faster_rcnn_* or cascade_rcnn_*, or a config of such a kind",
            training_.file.string(), objects, spec_.name);
    if (world_.rank() != 0) return;
    if (outlined < objects) {
      log_message(LogLevel::kWarning,
                  fmt::format("{}: {} of {} objects to train on have no outline; they are trained "
                              "as boxes, without masks",
                              training_.file.string(), objects - outlined, objects));
    }
    if (!detect::has_outlines(validation_.annotations)) {
      log_message(LogLevel::kWarning, validation_.file.string() +
                                          ": no object has an outline; only boxes are validated");
    }
  }

  void save(const std::filesystem::path& path, const DetectorSpec& spec,
            const detect::DetectorNetImpl& net) const override {
    detect::save_detector(path, spec, net);
  }

  CocoSplit training_, validation_;
  detect::CocoTrainingSource training_images_;
  detect::CocoTestSource validation_images_;
};

}  // namespace

std::string default_detector(const std::string& data) {
  const CocoAnnotations coco = read_coco(detect::find_coco(data, Split::kTrain).annotations);
  bool boxes = false;
  for (const CocoTrainingImage& image : coco_training_images(coco)) {
    for (const int index : image.annotations) {
      if (coco.annotations[static_cast<size_t>(index)].has_outline()) return "mask_rcnn_asmlp_tiny";
      boxes = true;
    }
  }
  return boxes ? "faster_rcnn_asmlp_tiny" : "mask_rcnn_asmlp_tiny";
}

std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world) {
  return std::make_unique<DetectTask>(options, tag, read_split(options.model.data, Split::kTrain),
                                      read_split(options.model.data, Split::kValidation), world);
}

}  // namespace asmlp::train
