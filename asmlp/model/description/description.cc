#include "asmlp/model/description/description.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/baselines/architecture_zoo.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/model/flops.h"
#include "asmlp/model/params.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/nearest.h"

namespace asmlp {
namespace {

// Keys of versions before 0.2, each for one kind of network, and that of a training state, whose
// description shows its task.
constexpr std::pair<const char*, Task> kOtherKeys[] = {{"asmlp_architecture", Task::kClassify},
                                                       {"asmlp_detector", Task::kDetect},
                                                       {"asmlp_segmentor", Task::kSegment},
                                                       {"asmlp_train_model", Task::kClassify}};

}  // namespace

const char* to_string(Task task) { return name_of(task); }

const char* model_kind(Task task) {
  switch (task) {
    case Task::kDetect:
      return "detector";
    case Task::kSegment:
      return "segmentor";
    case Task::kClassify:
      break;
  }
  return "classifier";
}

const std::string& Description::name() const {
  return visit_spec(*this, [](const auto& spec) -> const std::string& { return spec.name; });
}
const std::vector<std::string>& Description::classes() const {
  return visit_spec(
      *this, [](const auto& spec) -> const std::vector<std::string>& { return spec.classes; });
}
const std::map<std::string, std::string>& Description::origin() const {
  return visit_spec(*this, [](const auto& spec) -> const std::map<std::string, std::string>& {
    return spec.origin;
  });
}
int Description::num_classes() const {
  return visit_spec(*this, [](const auto& spec) { return spec.config.num_classes; });
}
const Config& Description::backbone() const {
  return visit_spec(*this, [](const auto& spec) -> const Config& {
    if constexpr (requires { spec.config.backbone; }) {
      return spec.config.backbone;
    } else {
      return spec.config;
    }
  });
}

void validate(const Description& description) {
  std::visit([](const auto& model) { validate(model); }, description.model);
}

std::optional<Description> described(const std::map<std::string, std::string>& metadata,
                                     const std::string& what) {
  const auto where = [&](const char* key) { return what + ": __metadata__." + key; };
  if (const auto found = metadata.find(kDescriptionKey); found != metadata.end()) {
    return description_from_json(found->second, where(kDescriptionKey), Task::kClassify);
  }
  for (const auto& [key, task] : kOtherKeys) {
    const auto found = metadata.find(key);
    if (found != metadata.end()) return description_from_json(found->second, where(key), task);
  }
  return std::nullopt;
}

std::vector<std::string> model_names(std::optional<Task> task) {
  std::vector<std::string> names;
  const auto add = [&](Task of, const std::vector<std::string>& more) {
    if (!task || *task == of) names.insert(names.end(), more.begin(), more.end());
  };
  add(Task::kClassify, architecture_names());
  add(Task::kDetect, zoo_detector_names());
  add(Task::kSegment, zoo_segmentor_names());
  return names;
}

bool is_zoo_name(const std::string& name, std::optional<Task> task) {
  const std::string key = name.substr(0, name.find('.'));
  const std::vector<std::string> names = model_names(task);
  return std::find(names.begin(), names.end(), key) != names.end();
}

Description named_description(const std::string& name, std::optional<Task> task) {
  const std::string key = name.substr(0, name.find('.'));
  const auto is_of = [&](Task of) { return (!task || *task == of) && is_zoo_name(key, of); };
  if (is_of(Task::kClassify)) return {zoo_architecture(key)};
  if (is_of(Task::kDetect)) return {zoo_detector(key)};
  if (is_of(Task::kSegment)) return {zoo_segmentor(key)};
  const std::vector<std::string> names = model_names(task);
  fail(ErrorCode::kNotFound, "unknown {} '{}'{} (known: {})", task ? model_kind(*task) : "model",
       name.substr(0, 200), did_you_mean(key.substr(0, 200), names), fmt::join(names, ", "));
}

MapSize counted_size(const Description& description) {
  if (const auto* detector = std::get_if<DetectorSpec>(&description.model)) {
    // The papers count 1280 x 800, not the largest image that the preprocessing allows.
    const DenseInput& input = detector->preprocessing;
    const bool published = input.short_side == 800 && input.long_side == 1333;
    return {input.short_side, published ? 1280 : input.long_side};
  }
  if (const auto* segmentor = std::get_if<SegmentorSpec>(&description.model)) {
    return {segmentor->preprocessing.short_side, segmentor->preprocessing.long_side};
  }
  const int side = std::get<Architecture>(description.model).spec.preprocessing.size;
  return {side, side};
}

int64_t parameter_count(const Description& description) {
  if (const auto* architecture = std::get_if<Architecture>(&description.model)) {
    return parameter_count(*architecture);
  }
  const std::vector<Param> table =
      visit_spec(description, [](const auto& spec) { return parameter_table(spec.config); });
  return count_trained(table);
}

int64_t multiply_adds(const Description& description, int h, int w) {
  if (const auto* architecture = std::get_if<Architecture>(&description.model)) {
    return multiply_adds(*architecture, h, w);
  }
  if (const auto* detector = std::get_if<DetectorSpec>(&description.model)) {
    return multiply_adds(detector->config, h, w);
  }
  return multiply_adds(std::get<SegmentorSpec>(description.model).config, h, w);
}

}  // namespace asmlp
