#include "asmlp/torch/train/tasks/detect_task.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_set.h"
#include "asmlp/model/flops.h"
#include "asmlp/torch/detect/data/coco_source.h"
#include "asmlp/torch/detect/evaluate.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/detect/model/training.h"
#include "asmlp/torch/train/sources.h"
#include "asmlp/torch/train/tasks/dense_task.h"
#include "asmlp/torch/train/tasks/detect_pictures.h"
#include "asmlp/torch/train/tasks/say.h"
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

CocoFiles training_files(const TrainOptions& options) {
  const std::string& root = options.model.data;
  const CocoDataOptions& named = options.coco;
  const auto own = named_files("train", named.train_images, named.train_annotations);
  require(!root.empty() || own, ErrorCode::kInvalidArgument,
          "data is missing: a folder, or --train-images and --train-annotations");
  return own ? *own : find_coco(root, "train");
}

CocoSplits read_splits(const TrainOptions& options, const dist::World& world) {
  const std::string& root = options.model.data;
  const auto own_validation =
      named_files("val", options.coco.val_images, options.coco.val_annotations);
  const CocoFiles training = training_files(options);
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
// something to learn and to find.
std::vector<std::string> prepare(CocoSplits& splits, const TrainOptions& options,
                                 const dist::World& world) {
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
  for (const std::string& note : notes) say(world, note);
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
                         spec_.preprocessing,
                         has_masks(spec_.config.kind) ? detect::ObjectMasks::kDrawn
                                                      : detect::ObjectMasks::kLeftOut,
                         options.model.decoding().max_pixels),
        validation_images_(validation_.images, validation_.annotations, spec_.preprocessing,
                           options.model.decoding().max_pixels) {
    check_outlines();
    describe(training_images_.size(), validation_images_.size(), "bbox_AP");
  }

  void open_caches(const std::filesystem::path& run_folder) override {
    if (options_.run.cache == CacheMode::kOff) return;
    ImageCaches caches =
        train::open_caches(training_images_.cache_contents(cached_split(options_, "training")),
                           validation_images_.cache_contents(cached_split(options_, "validation")),
                           options_, run_folder, world_);
    training_images_.use_cache(std::move(caches.training));
    validation_images_.use_cache(std::move(caches.validation));
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
    Validation validation{{}, e->images, e->bad_samples, {}};
    const auto add = [&](const std::string& name, const CocoScores& scores) {
      validation.metrics.push_back({name + "_AP", scores.ap});
      validation.metrics.push_back({name + "_AP50", scores.ap50});
      validation.metrics.push_back({name + "_AP75", scores.ap75});
    };
    add("bbox", e->box);
    if (e->mask) add("segm", *e->mask);
    if (options.pictures > 0 && world_.rank() == 0) {
      validation.pictures = detect_pictures(validation_.images, validation_.annotations, *e,
                                            options.pictures, spec_.classes);
    }
    return validation;
  }

  std::vector<Tile> sample_tiles(const data::Batch& batch, int64_t count) const override {
    return detect_samples(batch, count, spec_.preprocessing, spec_.classes);
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
    if (outlined < objects) {
      say(world_, fmt::format("{}: {} of {} objects to train on have no outline; they are trained "
                              "as boxes, without masks",
                              training_.file.string(), objects - outlined, objects));
    }
    if (!has_masks(validation_.annotations)) {
      say(world_,
          validation_.file.string() + ": no object has an outline; only boxes are validated");
    }
  }

  void save(const std::filesystem::path& path, const DetectorSpec& spec,
            const detect::DetectorNetImpl& net) const override {
    detect::save_detector(path, spec, net);
  }

  CocoSet training_, validation_;
  detect::CocoTrainingSource training_images_;
  detect::CocoTestSource validation_images_;
};

}  // namespace

bool has_boxes_only(const TrainOptions& options) {
  const CocoAnnotations coco = open_coco(training_files(options)).annotations;
  bool objects = false;
  for (const CocoTrainingImage& image : coco_training_images(coco)) {
    for (const int index : image.annotations) {
      if (coco.annotations[static_cast<size_t>(index)].has_outline()) return false;
      objects = true;
    }
  }
  return objects;
}

std::string default_detector(const TrainOptions& options) {
  return has_boxes_only(options) ? "faster_rcnn_asmlp_tiny" : "mask_rcnn_asmlp_tiny";
}

std::unique_ptr<TrainingTask> detect_task(const TrainOptions& options, const std::string& tag,
                                          dist::World& world) {
  CocoSplits splits = read_splits(options, world);
  const std::vector<std::string> classes = prepare(splits, options, world);
  return std::make_unique<DetectTask>(options, tag, std::move(splits), classes, world);
}

}  // namespace asmlp::train
