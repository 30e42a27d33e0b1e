#include "asmlp/torch/train/tasks/segment_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k/label_scan.h"
#include "asmlp/model/flops.h"
#include "asmlp/model/palette_color.h"
#include "asmlp/report/draw/segmentation_drawing.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/segment/ade_source.h"
#include "asmlp/torch/segment/evaluate.h"
#include "asmlp/torch/segment/loss.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/train/sources.h"
#include "asmlp/torch/train/tasks/dense_task.h"
#include "asmlp/torch/train/tasks/say.h"
#include "asmlp/torch/train/tasks/segment_pictures.h"
#include "asmlp/torch/train/tasks/validation_split.h"

namespace asmlp::train {
namespace {

// Of each split, so many label maps are looked at before training.
constexpr int64_t kScannedMaps = 500;

struct AdeSplits {
  Ade20k training, validation;
};

// The splits with their classes, and with labels that are such classes. The names and colors of the
// classes are the data's; without a list of them, the classes are the labels that occur.
AdeSplits with_checked_classes(const TrainOptions& options, AdeSplits splits,
                               const dist::World& world) {
  const std::string& root = options.model.data;
  const bool named = splits.training.named();
  const int known = named ? static_cast<int>(splits.training.classes().size())
                          : options.model.num_classes.value_or(0);
  // Where the labels themselves say which classes there are, all are looked at.
  const int64_t most = known > 0 ? kScannedMaps : 0;
  const LabelScan training = scan_labels(splits.training, known, 0, most),
                  validation = scan_labels(splits.validation, known, 0, most);
  if (!named) {
    const int highest = std::max(training.highest(), validation.highest());
    require(highest > 0, ErrorCode::kBadFormat,
            "{}: its label maps hold no label but 0 and 255, which are pixels without class", root);
    const int classes = known > 0 ? known : highest;
    say(world, fmt::format("{}: no list of classes, so the labels 1..{} are classes without names; "
                           "write them into {}/classes.txt, a line per class",
                           root, classes, root));
    splits.training.assume_classes(classes);
    splits.validation.assume_classes(classes);
  }
  const auto check = [&](const LabelScan& scan, const Ade20k& split) {
    check_labels(scan, split);
    require(scan.labeled() > 0 || scan.maps == 0, ErrorCode::kBadFormat,
            "{}: no pixel of {} label maps of the split {} has a class (0 and 255 are none)", root,
            scan.maps, split.split());
  };
  check(training, splits.training);
  check(validation, splits.validation);
  return splits;
}

// Pixels of each class in the label maps of training. Error as scan_labels'.
std::vector<int64_t> pixel_counts(const Ade20k& data) {
  const size_t classes = data.classes().size();
  const LabelScan scan = scan_labels(data, static_cast<int>(classes), 0);
  return {scan.pixels.begin() + 1, scan.pixels.begin() + 1 + static_cast<std::ptrdiff_t>(classes)};
}

SegmentorSpec spec_to_train(const TrainOptions& options, const std::string& tag,
                            const Ade20k& training) {
  const std::vector<std::string> names = class_names(training);
  const std::vector<double> weights =
      weights_of(options.class_weights, names, [&] { return pixel_counts(training); });
  auto spec = dense_spec_to_train<SegmentorSpec>(
      options.model, tag, names, options.class_weights.kind != ClassWeights::Kind::kUnset, weights);
  spec.palette.clear();
  for (const Color& c : training.palette()) {
    spec.palette.push_back(palette_text({c.r, c.g, c.b}));
  }
  return spec;
}

class SegmentTask final : public DenseTask<SegmentorSpec, segment::SegmentorNet> {
 public:
  SegmentTask(const TrainOptions& options, const std::string& tag, AdeSplits splits,
              dist::World& world)
      : DenseTask(options, spec_to_train(options, tag, splits.training), world),
        training_(std::move(splits.training)),
        validation_(std::move(splits.validation)),
        training_images_(training_, spec_.preprocessing, options.segmentation),
        validation_images_(validation_) {
    describe(training_images_.size(), validation_images_.size(), "mIoU");
  }

  void open_caches(const std::filesystem::path& run_folder) override {
    if (options_.run.cache == CacheMode::kOff) return;
    ImageCaches caches = train::open_caches(
        segment::cache_contents(training_, cached_split(options_, "training")),
        segment::cache_contents(validation_, cached_split(options_, "validation")), options_,
        run_folder, world_);
    segment::use_cache(training_, std::move(caches.training));
    segment::use_cache(validation_, std::move(caches.validation));
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
    std::optional<SegmentPictures> pictures;
    segment::LabelsOf each;
    if (options.pictures > 0) {
      pictures.emplace(spec_.classes, colors_, source.images(), options.pictures, world_);
      each = [&](int64_t index, const Image& image, const Image& truth, const Image& predicted) {
        pictures->add(image, truth, predicted, validation_.files(index).image.filename().string());
      };
    }
    const auto e =
        segment::evaluate(net_of(model), source, spec_.preprocessing, {}, world_, options, each);
    if (!e) return std::nullopt;
    // Where no pixel that could be read has a class, no score is defined: nothing was found.
    const auto number = [](double score) { return std::isnan(score) ? 0 : score; };
    return Validation{{{"mIoU", number(e->mean_iou)},
                       {"mAcc", number(e->mean_accuracy)},
                       {"aAcc", number(e->pixel_accuracy)}},
                      e->images,
                      e->bad_samples,
                      pictures ? pictures->draw(world_) : std::vector<Picture>()};
  }

  std::vector<Tile> sample_tiles(const data::Batch& batch, int64_t count) const override {
    return segment_samples(batch, count, spec_.preprocessing, spec_.classes, colors_);
  }

 private:
  void save(const std::filesystem::path& path, const SegmentorSpec& spec,
            const segment::SegmentorNetImpl& net) const override {
    segment::save_segmentor(path, spec, net);
  }

  Ade20k training_, validation_;
  segment::AdeTrainingSource training_images_;
  segment::AdeTestSource validation_images_;
  std::vector<Color> colors_ = class_colors(spec_.config.num_classes, spec_.classes, spec_.palette);
};

}  // namespace

std::unique_ptr<TrainingTask> segment_task(const TrainOptions& options, const std::string& tag,
                                           dist::World& world) {
  DecodeOptions decoding = options.model.decoding();
  decoding.style = PixelStyle::kOpenCv;
  const auto open = [&](Split split) {
    Ade20k data(options.model.data, split);
    data.set_decoding(decoding);
    say(world, data.left_out());
    return data;
  };
  const auto open_splits = [&]() -> AdeSplits {
    Ade20k training = open(Split::kTrain);
    if (options.model.val_fraction <= 0) {
      return {std::move(training), open_validation([&] { return open(Split::kValidation); })};
    }
    auto [rest, held_out] = training.hold_out(options.model.val_fraction, options.run.seed);
    note_held_out(options, options.model.data, held_out.size(), training.size(), world);
    return {std::move(rest), std::move(held_out)};
  };
  return std::make_unique<SegmentTask>(options, tag,
                                       with_checked_classes(options, open_splits(), world), world);
}

}  // namespace asmlp::train
