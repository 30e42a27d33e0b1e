#include "asmlp/torch/train/tasks/detect_task.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_set.h"
#include "asmlp/model/flops.h"
#include "asmlp/torch/detect/data/coco_source.h"
#include "asmlp/torch/detect/evaluate.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/detect/model/training.h"
#include "asmlp/torch/train/tasks/dense_task.h"
#include "asmlp/torch/train/tasks/validation_split.h"

namespace asmlp::train {
namespace {

// The files of a split that the options name one by one; nothing where they name none.
std::optional<CocoFiles> named_files(const char* split, const std::string& images,
                                     const std::string& annotations) {
  if (images.empty() && annotations.empty()) return std::nullopt;
  require(!images.empty() && !annotations.empty(), ErrorCode::kInvalidArgument,
          "--{0}-images and --{0}-annotations belong together; give both, or neither", split);
  return named_coco(images, annotations);
}

struct CocoSplits {
  CocoSet training, validation;
};

CocoSplits read_splits(const TrainOptions& options, const dist::World& world) {
  const std::string& root = options.model.data;
  const CocoDataOptions& named = options.coco;
  const auto own_training = named_files("train", named.train_images, named.train_annotations);
  const auto own_validation = named_files("val", named.val_images, named.val_annotations);
  require(!root.empty() || own_training, ErrorCode::kInvalidArgument,
          "data is missing: a folder, or --train-images and --train-annotations");
  const CocoFiles training = own_training ? *own_training : find_coco(root, "train");
  if (const double fraction = options.model.val_fraction; fraction > 0) {
    require(!own_validation, ErrorCode::kInvalidArgument,
            "val-fraction {}: --val-annotations names the validation images; leave one of them out",
            fraction);
    auto [rest, held] = hold_out_images(open_coco(training), fraction, options.run.seed);
    const int64_t images = std::ssize(held.annotations.images);
    note_held_out(options, training.annotations.string(), images,
                  images + std::ssize(rest.annotations.images), world);
    return {std::move(rest), std::move(held)};
  }
  if (own_validation) return {open_coco(training), open_coco(*own_validation)};
  require(!root.empty(), ErrorCode::kInvalidArgument,
          "the validation images are missing: --val-images and --val-annotations; or {}",
          kHoldOutHint);
  const CocoFiles validation = find_coco(root, "validation", kHoldOutHint);
  require(validation.annotations != training.annotations, ErrorCode::kNotFound,
          "{}: has one set of annotations for all images, and none for validation; {}",
          training.annotations.string(), kHoldOutHint);
  return {open_coco(training), open_coco(validation)};
}

// Brings both splits to the same classes, those of the training split, and checks that there is
// something to learn and to find. What is worth knowing is said by one process.
std::vector<std::string> prepare(CocoSplits& splits, const TrainOptions& options, bool speaks) {
  const std::vector<std::string> classes = training_classes(splits.training.annotations);
  std::vector<std::string> notes;
  for (CocoSet* set : {&splits.training, &splits.validation}) {
    for (std::string& note : set->notes()) notes.push_back(std::move(note));
    for (std::string& note : match_categories(
             set->annotations, classes, static_cast<int>(classes.size()), set->file.string())) {
      notes.push_back(std::move(note));
    }
    require_objects(set->annotations, set->file.string());
    const std::ptrdiff_t images = std::ssize(set->annotations.images);
    const int64_t limit = options.run.max_bad.value_or((images + 99) / 100);
    require(std::ssize(set->missing) <= limit, ErrorCode::kNotFound,
            "{}: {} of {} images are not in {}, more than max-bad allows ({}), first '{}'; add the "
            "files, or raise --max-bad",
            set->file.string(), set->missing.size(), images, set->images.string(), limit,
            set->missing.empty() ? "" : set->missing.front());
  }
  const auto trainable = coco_training_images(splits.training.annotations);
  require(
      std::ranges::any_of(trainable, [](const auto& image) { return !image.annotations.empty(); }),
      ErrorCode::kBadFormat,
      "{}: no object can be trained on: all are crowd regions, have no area, are smaller than "
      "one pixel, lie outside of their images, or are in images with a side under 32 pixels",
      splits.training.file.string());
  for (const std::string& note : notes) {
    if (speaks) log_message(LogLevel::kWarning, note);
  }
  return classes;
}

class DetectTask final : public DenseTask<DetectorSpec, detect::DetectorNet> {
 public:
  DetectTask(const TrainOptions& options, const std::string& tag, CocoSplits splits,
             const std::vector<std::string>& classes, dist::World& world)
      : DenseTask(options, dense_spec_to_train<DetectorSpec>(options.model, tag, classes), world),
        training_(std::move(splits.training)),
        validation_(std::move(splits.validation)),
        training_images_(training_.images, training_.annotations, options.detection,
                         spec_.preprocessing),
        validation_images_(validation_.images, validation_.annotations, spec_.preprocessing) {
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

  CocoSet training_, validation_;
  detect::CocoTrainingSource training_images_;
  detect::CocoTestSource validation_images_;
};

}  // namespace

std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world) {
  CocoSplits splits = read_splits(options, world);
  const std::vector<std::string> classes = prepare(splits, options, world.rank() == 0);
  return std::make_unique<DetectTask>(options, tag, std::move(splits), classes, world);
}

}  // namespace asmlp::train
