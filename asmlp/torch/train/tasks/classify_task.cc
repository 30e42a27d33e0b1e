#include "asmlp/torch/train/tasks/classify_task.h"

#include <fmt/format.h>

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/classification/open.h"
#include "asmlp/dataset/shards/shards.h"
#include "asmlp/dataset/subset.h"
#include "asmlp/model/description/model_name.h"
#include "asmlp/torch/baselines/make_classifier.h"
#include "asmlp/torch/data/augment/mixup.h"
#include "asmlp/torch/io/initial_weights.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/ops/loss.h"
#include "asmlp/torch/train/sources.h"
#include "asmlp/torch/train/tasks/class_pictures.h"
#include "asmlp/torch/train/tasks/evaluate.h"
#include "asmlp/torch/train/tasks/say.h"
#include "asmlp/torch/train/tasks/validation_split.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::train {
namespace {

class ClassifyTask final : public TrainingTask {
 public:
  ClassifyTask(const TrainOptions& options, std::shared_ptr<const data::DataSource> training,
               std::shared_ptr<const data::DataSource> validation, const std::string& tag,
               dist::World& world)
      : options_(options),
        training_(std::move(training)),
        validation_(data::with_classes(std::move(validation), training_->classes(),
                                       options.model.data,
                                       [&](const std::string& note) { say(world, note); })),
        world_(world) {
    const std::vector<std::string>& names = training_->classes();
    const int classes = static_cast<int>(names.size());
    architecture_ = resolve_model(options, classes);
    ModelSpec& spec = architecture_.spec;
    const std::string name = model_name({architecture_});
    spec.name = name.substr(0, name.find('.')) + "." + tag;
    require(spec.config.num_classes >= classes, ErrorCode::kInvalidArgument,
            "num-classes {}: the data set has {} classes", spec.config.num_classes, classes);
    if (spec.config.num_classes == classes) spec.classes = names;
    std::vector<double> weights =
        weights_of(options.class_weights, names, [&] { return training_->class_counts(); });
    if (!weights.empty()) {
      weights.resize(spec.config.num_classes, 1.0);
      class_weights_ = torch::tensor(weights, torch::kFloat);
    }

    const ClassifyOptions& own = options.classification;
    require((own.early_size > 0) == (own.early_epochs > 0), ErrorCode::kInvalidArgument,
            "early-size is {} and early-epochs {}: give both, or none", own.early_size,
            own.early_epochs);
    // Throws for a size that the model cannot take.
    if (const int early = own.early_size; early > 0) {
      multiply_adds(architecture_, early, early);
    }
    const int side = spec.preprocessing.size;
    facts_.model = spec.name;
    facts_.classes = names;
    facts_.training_images = training_->size();
    facts_.validation_images = validation_->size();
    facts_.multiply_adds = multiply_adds(architecture_, side, side);
    facts_.image_size = fmt::format("{0} x {0}", side);
    facts_.eval_metric = "top1";
  }

  const TaskFacts& facts() const override { return facts_; }

  std::string model_json() const override {
    Architecture architecture = architecture_;
    architecture.spec.name.clear();
    architecture.spec.classes.clear();
    architecture.spec.origin.clear();
    return to_json(architecture);
  }

  void open_caches(const std::filesystem::path& run_folder) override {
    if (options_.run.cache == CacheMode::kOff) return;
    const int channels = static_cast<int>(architecture_.spec.preprocessing.mean.size());
    const auto contents = [&](const data::DataSource& source, const char* split) {
      return source.cache_contents(cached_split(options_, split), channels);
    };
    caches_ =
        train::open_caches(contents(*training_, "training"), contents(*validation_, "validation"),
                           options_, run_folder, world_);
  }

  std::unique_ptr<data::BatchSource> training_batches() const override {
    const auto batches_of = [this](int side) {
      Preprocessing preprocessing = architecture_.spec.preprocessing;
      preprocessing.size = side;
      return training_source(*training_, preprocessing, options_, world_, caches_.training);
    };
    auto all = batches_of(architecture_.spec.preprocessing.size);
    const ClassifyOptions& own = options_.classification;
    if (own.early_size == 0) return all;
    return two_sources(batches_of(own.early_size), std::move(all), own.early_epochs);
  }
  std::unique_ptr<data::BatchSource> validation_batches() const override {
    return evaluation_source(*validation_, architecture_.spec.preprocessing,
                             options_.schedule.batch_size, loader_workers(options_), world_,
                             caches_.validation);
  }

  std::shared_ptr<torch::nn::Module> make_model() const override {
    nn::Classifier model = nn::make_classifier(architecture_);
    model->set_checkpointing(options_.run.grad_checkpointing);
    return model;
  }

  std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                                const std::filesystem::path& path) const override {
    return nn::load_initial_weights(model, {architecture_}, path);
  }

  // An AS-MLP is what load_checkpoint (weights/checkpoint.h) and the native engine read; a baseline
  // can be a start of training.
  void write_model(const std::filesystem::path& path, const torch::nn::Module& model,
                   const std::map<std::string, std::string>& origin) const override {
    Architecture described = architecture_;
    for (const auto& [key, value] : origin) described.spec.origin.insert_or_assign(key, value);
    TensorMap tensors = nn::export_parameters(model);
    if (is_as_mlp(described)) {
      save_checkpoint(path, {described.spec, std::move(tensors)});
    } else {
      write_safetensors(path, tensors, {{kDescriptionKey, to_json(described)}, {"format", "pt"}});
    }
  }

  ModelLoss loss(torch::nn::Module& model, data::Batch& batch,
                 const MicroBatch& place) const override {
    return classification_loss(static_cast<nn::ClassifierImpl&>(model), batch, options_,
                               architecture_.spec.config.num_classes, place, class_weights_);
  }

  std::optional<Validation> validate(torch::nn::Module& model, const data::BatchSource& source,
                                     const ValidationOptions& options) const override {
    std::optional<ClassPictures> pictures;
    LogitsOf each;
    if (options.pictures > 0) {
      pictures.emplace(architecture_.spec.preprocessing, facts_.classes,
                       architecture_.spec.config.num_classes, source.images(), options.pictures,
                       world_);
      each = [&](const data::Batch& batch, const torch::Tensor& logits) {
        pictures->add(batch, logits);
      };
    }
    const auto e = evaluate(static_cast<nn::ClassifierImpl&>(model), source, world_, options, each);
    if (!e) return std::nullopt;
    return Validation{{{"loss", e->loss}, {"top1", e->top1}, {"top5", e->top5}},
                      e->images,
                      e->bad_samples,
                      pictures ? pictures->draw(world_) : std::vector<Picture>()};
  }

  std::vector<Tile> sample_tiles(const data::Batch& batch, int64_t count) const override {
    return class_samples(batch, count, architecture_.spec.preprocessing, facts_.classes,
                         options_.classification.mixup.smoothing);
  }

 private:
  TrainOptions options_;
  std::shared_ptr<const data::DataSource> training_, validation_;
  dist::World& world_;
  Architecture architecture_;
  ImageCaches caches_;
  torch::Tensor class_weights_;  // undefined for none
  TaskFacts facts_;
};

}  // namespace

std::unique_ptr<TrainingTask> classify_task(const TrainOptions& options,
                                            std::shared_ptr<const data::DataSource> training,
                                            std::shared_ptr<const data::DataSource> validation,
                                            const std::string& tag, dist::World& world) {
  return std::make_unique<ClassifyTask>(options, std::move(training), std::move(validation), tag,
                                        world);
}

std::unique_ptr<TrainingTask> classify_task(const TrainOptions& options, const std::string& tag,
                                            dist::World& world) {
  const std::string& root = options.model.data;
  const DecodeOptions decoding = options.model.decoding();
  if (options.model.val_fraction > 0) {
    require(!names_shards(root), ErrorCode::kUnsupported,
            "val-fraction: {} is read as tar shards, of which no images can be held out; write "
            "shards of the validation images",
            root);
    std::shared_ptr<Dataset> whole = open_dataset(root, Split::kTrain);
    whole->set_decoding(decoding);
    say(world, whole->left_out());
    auto [training, validation] =
        hold_out_samples(std::move(whole), options.model.val_fraction, options.run.seed, root);
    note_held_out(options, root, validation->size(), training->size() + validation->size(), world);
    return classify_task(options, data::make_data_source(std::move(training)),
                         data::make_data_source(std::move(validation)), tag, world);
  }
  const auto open = [&](Split split) {
    std::unique_ptr<data::DataSource> source = data::open_data_source(root, split, decoding);
    say(world, source->left_out());
    return source;
  };
  std::unique_ptr<data::DataSource> training = open(Split::kTrain);
  // Class folders alone would be both splits at once.
  require(names_shards(root) || has_idx_files(root) ||
              !find_split_folder(root, Split::kValidation).empty(),
          ErrorCode::kNotFound, "{}: has no val/, validation/ or test/ with class folders; {}",
          root, kHoldOutHint);
  return classify_task(options, std::move(training),
                       open_validation([&] { return open(Split::kValidation); }), tag, world);
}

ModelLoss classification_loss(nn::ClassifierImpl& model, data::Batch& batch,
                              const TrainOptions& options, int classes, const MicroBatch& place,
                              const torch::Tensor& class_weights) {
  const data::MixupOptions& mixup = options.classification.mixup;
  const bool mix = mixup.mixes(place.epoch);
  torch::Tensor targets = batch.targets;
  if (mix) {
    data::Random random(data::derive_seed(options.run.seed, {data::kSeedMix, place.index}));
    targets = batch.targets = data::mix_batch(batch.images, targets, mixup, classes, random);
  } else if (class_weights.defined()) {
    targets = data::mixed_targets(targets, 1, classes, mixup.smoothing);
  }
  const torch::Tensor images = batch.images.to(place.device);
  targets = targets.to(place.device);
  const nn::AutocastGuard autocast(place.device.type(), place.precision);
  const torch::Tensor logits = model.forward(images).to(torch::kFloat32);
  // The weight of a class is that of its share of a target.
  if (class_weights.defined()) targets = targets * class_weights.to(place.device);
  if (mix || class_weights.defined()) return {soft_target_cross_entropy(logits, targets), {}};
  return {torch::nn::functional::cross_entropy(
              logits, targets,
              torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(mixup.smoothing)),
          {}};
}

}  // namespace asmlp::train
