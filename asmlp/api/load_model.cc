// Which model a file holds, and how it becomes one of the C++ API.
#include "asmlp/api/load_options.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/model/imagenet_classes.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/model_file.h"

namespace asmlp {
namespace {

void check_load_options(const LoadOptions& options) {
  require(options.precision >= Precision::kFp32 && options.precision <= Precision::kInt8,
          ErrorCode::kInvalidArgument, "precision is {}, which is none of Precision",
          static_cast<int>(options.precision));
  require(options.isa >= Isa::kAuto && options.isa <= Isa::kAvx512Amx, ErrorCode::kInvalidArgument,
          "isa is {}, which is none of Isa", static_cast<int>(options.isa));
}

// What a file that says nothing of itself holds: a detector or segmentor only if it is a known one.
Task task_of(const WeightFile& file, const std::optional<Description>& said) {
  if (said) return said->task();
  if (recognized_detector(file.tensors)) return Task::kDetect;
  return recognized_segmentor(file.tensors) ? Task::kSegment : Task::kClassify;
}

LoadResult load_classifier(WeightFile file, const std::optional<Description>& given,
                           const LoadOptions& options) {
  LoadResult result;
  CheckpointOptions load;
  if (given) load.spec = std::get<Architecture>(given->model).spec;
  load.shift_size = chosen_shift(options.shift_h, options.shift_w);
  Checkpoint checkpoint = load_checkpoint(std::move(file), load, &result.notes);
  if (checkpoint.spec.classes.empty() && checkpoint.spec.config.num_classes == 1000) {
    checkpoint.spec.classes = imagenet_names();
    result.notes.emplace_back(
        "class names are ImageNet's: the model has 1000 classes without names.");
  }
  result.model = std::make_shared<const Model>(
      PackedModel::create(std::move(checkpoint.spec), checkpoint.tensors,
                          {.isa = options.isa, .precision = options.precision}));
  return result;
}

// Makes the backbone of a detector or segmentor of its tensors.
Model::MakeBackbone backbone_maker(const std::filesystem::path& path, const ModelFile& file,
                                   const PackOptions& options) {
  WeightFile kept;
  kept.path = path;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with("backbone.")) kept.tensors.emplace(name, tensor);
  }
  kept.metadata[kDescriptionKey] = to_json(file.description);
  return [kept, options] {
    CheckpointOptions load;
    load.backbone_of_any_task = true;
    Checkpoint backbone = load_checkpoint(kept, load);
    return PackedModel::create(std::move(backbone.spec), backbone.tensors, options);
  };
}

LoadResult load_dense(const WeightFile& weights, const std::optional<Description>& given,
                      const LoadOptions& options) {
  ModelFileOptions load{.description = given,
                        .shift_size = chosen_shift(options.shift_h, options.shift_w)};
  const bool assumed = !load.shift_size && !weights.description();
  if (assumed) {
    load.shift_size = given ? given->shift_size() : Config().shift_size;
  }
  ModelFile file = load_model_file(weights.path, load);
  LoadResult result;
  result.notes = std::move(file.notes);
  if (assumed && !given) {
    result.notes.push_back(assumed_shift_note(*load.shift_size));
  }
  const PackOptions pack{.isa = options.isa, .precision = options.precision};
  auto backbone = backbone_maker(weights.path, file, pack);
  if (auto* detector = std::get_if<DetectorSpec>(&file.description.model)) {
    result.model = std::make_shared<const Model>(
        PackedDetector::create(std::move(*detector), file.tensors, pack), std::move(backbone));
  } else {
    auto& segmentor = std::get<SegmentorSpec>(file.description.model);
    result.model = std::make_shared<const Model>(
        PackedSegmentor::create(std::move(segmentor), file.tensors, pack), std::move(backbone));
  }
  return result;
}

}  // namespace

std::optional<ShiftSize> chosen_shift(int shift_h, int shift_w) {
  if (shift_h == 0 && shift_w == 0) return std::nullopt;
  ShiftSize shift{shift_h, shift_w};
  if (shift.h == 0) shift.h = shift.w;
  if (shift.w == 0) shift.w = shift.h;
  require(shift.h >= 1 && shift.h <= 255 && shift.w >= 1 && shift.w <= 255,
          ErrorCode::kInvalidArgument, "shift_h {} and shift_w {} must be between 1 and 255",
          shift_h, shift_w);
  return shift;
}

std::string assumed_shift_note(const ShiftSize& shift) {
  return fmt::format(
      "shift size {} is assumed: neither the file nor the caller says it, and weights do not show "
      "it.",
      to_string(shift));
}

LoadResult load_model(const std::filesystem::path& file, const LoadOptions& options) {
  check_load_options(options);
  static_cast<void>(chosen_shift(options.shift_h, options.shift_w));
  std::optional<Description> given;
  if (!options.config.empty()) given = description_from_json(options.config, "config");
  WeightFile weights = read_weights(file);
  const Task task = task_of(weights, given ? given : weights.description());
  return task == Task::kClassify ? load_classifier(std::move(weights), given, options)
                                 : load_dense(weights, given, options);
}

}  // namespace asmlp
