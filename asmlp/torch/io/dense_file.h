// Detectors and segmentors as files: what is the same for both.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/safetensors.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::nn {

// How to read a file of weights. One of our own says everything itself. The authors' (.pth) say
// nothing that counts: `spec` gives the architecture (left out, it must be one of the published
// ones, with any number of classes, which the tensors show), and `shift_size` the shift of these
// very weights, which neither they nor their published configs tell reliably.
template <typename Spec>
struct DenseLoadOptions {
  std::optional<Spec> spec;
  std::optional<ShiftSize> shift_size;
};

// What loading needs to know of a kind of network.
template <typename Spec>
struct DenseKind {
  // The published network whose tensors these are, if any.
  std::optional<Spec> (*recognize)(const TensorMap& tensors);
};

// The spec of a file. Error(kInvalidArgument) when something must be said and is not;
// Error(kMismatch) when the file says another shift size than the caller, or is described and
// `spec` is given with another architecture.
template <typename Spec>
Spec spec_of_file(const WeightFile& file, const DenseKind<Spec>& kind,
                  const DenseLoadOptions<Spec>& options) {
  const std::string what = file.path.string();
  if (auto description = file.description()) {
    require(std::holds_alternative<Spec>(description->model), ErrorCode::kMismatch,
            "{}: weights of a {}; another kind of model is needed here", what,
            model_kind(description->task()));
    Spec spec = std::get<Spec>(std::move(description->model));
    require(!options.spec || options.spec->config == spec.config, ErrorCode::kMismatch,
            "{}: describes itself as '{}' with another architecture than the one given ('{}'); "
            "give none",
            what, spec.name, options.spec ? options.spec->name : "");
    const ShiftSize found = spec.config.backbone.shift_size;
    require(!options.shift_size || *options.shift_size == found, ErrorCode::kMismatch,
            "{}: shift size {} was asked for, but the file says {}; give none", what,
            to_string(options.shift_size.value_or(found)), to_string(found));
    return spec;
  }
  std::optional<Spec> spec = options.spec ? options.spec : kind.recognize(file.tensors);
  require(spec.has_value(), ErrorCode::kInvalidArgument,
          "{}: does not say its architecture, and it is none of the published ones; name it (a "
          "model of the zoo, or a description)",
          what);
  require(options.shift_size.has_value(), ErrorCode::kInvalidArgument,
          "{}: does not say its shift size, which weights do not show; give it (the authors' "
          "published detectors and segmentors: 5)",
          what);
  spec->config.backbone.shift_size = *options.shift_size;
  spec->origin["source"] = std::filesystem::path(what).filename().string();
  return *spec;
}

template <typename Spec, typename Net>
struct DenseFile {
  Spec spec;
  Net net{nullptr};  // in evaluation mode
};

// Error(kMismatch) unless the file has exactly the network's tensors, in its shapes.
template <typename Net, typename Spec>
DenseFile<Spec, Net> load_dense_file(const std::filesystem::path& path, const DenseKind<Spec>& kind,
                                     const DenseLoadOptions<Spec>& options) {
  const WeightFile file = read_weights(path);
  DenseFile<Spec, Net> loaded;
  loaded.spec = spec_of_file(file, kind, options);
  validate(loaded.spec);
  loaded.net = Net(loaded.spec.config);
  require_complete(load_state(*loaded.net, file.tensors, path.string()), path.string());
  loaded.net->eval();
  return loaded;
}

template <typename Net, typename Spec>
void save_dense_file(const std::filesystem::path& path, const Spec& spec, const Net& net) {
  validate(spec);
  require(spec.config == net.config(), ErrorCode::kInvalidArgument,
          "{}: the description '{}' is not the network's", path.string(), spec.name);
  write_safetensors(path, export_state(net), {{kDescriptionKey, to_json(spec)}, {"format", "pt"}});
}

}  // namespace asmlp::nn
