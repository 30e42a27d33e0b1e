// What travels with weights, whatever the task: architecture, preprocessing, class names, origin.
//
// On disk it is one JSON object under one metadata key of a safetensors file:
//   {"task", "name", "config", "preprocessing", "classes", "origin"}
// A baseline adds "family" or "token_mixer", an AS-MLP with int8 layers "quantization". User files (JSON or YAML) are of the same structure:
// every part may be left out, which means the default, or what the zoo's model named by "model"
// has; "task" may be left out where the model or the parts of the config show it. For a classifier,
// fields of the config may stand at the top, and "img_size" is preprocessing.size; "shift_size" is
// a number or [h, w]. The backbone of a detector or segmentor must say its "shift_size", which
// weights do not show. The authors' yacs form (MODEL.AS_MLP.EMBED_DIM, ...) is read, too
// (authors_config.h). Unknown keys are an Error(kInvalidArgument) that suggests the nearest known
// one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "asmlp/model/baselines/architecture.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"
#include "asmlp/model/task.h"

namespace asmlp {

struct Description {
  std::variant<Architecture, DetectorSpec, SegmentorSpec> model;

  Task task() const { return static_cast<Task>(model.index()); }
  const std::string& name() const;
  const std::vector<std::string>& classes() const;
  const std::map<std::string, std::string>& origin() const;
  int num_classes() const;  // 0 for a backbone
  const Config& backbone()
      const;  // of AS-MLP; for a baseline only in_chans, num_classes, drop_path
  ShiftSize shift_size() const { return backbone().shift_size; }
  bool operator==(const Description&) const = default;
};

// The metadata key of a safetensors file that holds to_json(description).
inline constexpr const char* kDescriptionKey = "asmlp";

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const Description& description);

std::string to_json(const Description& description);

// Reads what to_json writes, and user files. `task` is that of a text that does not show its own.
// `what` names the source in messages.
Description description_from_json(const std::string& text, const std::string& what,
                                  std::optional<Task> task = {});

// The description in a safetensors file's metadata, under kDescriptionKey or one of the keys of
// versions before 0.2 ("asmlp_architecture", "asmlp_detector", "asmlp_segmentor"), or that of the
// model in a training state. Nothing where there is none. `what` names the file.
std::optional<Description> described(const std::map<std::string, std::string>& metadata,
                                     const std::string& what);

// Every name of the zoo of a task (all tasks without one): AS-MLP's, then the baselines'.
std::vector<std::string> model_names(std::optional<Task> task = {});

// Whether the zoo has the model; a weight tag after a dot is ignored.
bool is_zoo_name(const std::string& name, std::optional<Task> task = {});

// The named model of the zoo; a weight tag after a dot is ignored. With `task`, names of other
// tasks are unknown. Error(kNotFound) for an unknown name, suggesting the nearest.
Description named_description(const std::string& name, std::optional<Task> task = {});

// What a user names as a model: a name of the zoo (a weight tag after a dot is ignored), a .json,
// .yaml or .yml file, or a JSON object in text (it begins with '{'). Error(kUnsupported) for a
// description of another task than `task`.
Description resolve_description(const std::string& model, std::optional<Task> task = {});

// Size of the network's input that multiply-adds are counted for: {height, width} of the
// preprocessing; for the zoo's detectors and segmentors that of the papers (800 x 1280, 512 x
// 2048).
MapSize counted_size(const Description& description);

// Elements of all parameters, by formula, without building the network.
int64_t parameter_count(const Description& description);

// Multiply-adds of one image of h x w pixels, by the rule of the task's papers: architecture.h for
// classifiers, flops.h for detectors and segmentors.
int64_t multiply_adds(const Description& description, int h, int w);

}  // namespace asmlp
