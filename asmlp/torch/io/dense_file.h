// Detectors and segmentors as files: what is the same for both.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/safetensors.h"

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
  const char* key;  // of the description in a file's metadata
  Spec (*from_json)(const std::string& text, const std::string& what);
  // The published network whose tensors these are, if any.
  std::optional<Spec> (*recognise)(const TensorMap& tensors);
};

// The spec of a file. Error(kInvalidArgument) when something must be said and is not;
// Error(kMismatch) when the file says another shift size than the caller, or is described and
// `spec` is given with another architecture.
template <typename Spec>
Spec spec_of_file(const StateFile& file, const DenseKind<Spec>& kind,
                  const DenseLoadOptions<Spec>& options, const std::string& what) {
  const auto description = file.metadata.find(kind.key);
  if (description != file.metadata.end()) {
    Spec spec =
        kind.from_json(description->second, fmt::format("{}: __metadata__.{}", what, kind.key));
    require(!options.spec || options.spec->config == spec.config, ErrorCode::kMismatch,
            "{}: describes itself as '{}' with another architecture than the one given ('{}'); "
            "give none",
            what, spec.name, options.spec ? options.spec->name : "");
    const ShiftSize found = spec.config.backbone.shift_size;
    require(!options.shift_size || *options.shift_size == found, ErrorCode::kMismatch,
            "{}: shift size {} was asked for, but the file says {}; give none", what,
            shift_text(options.shift_size.value_or(found)), shift_text(found));
    return spec;
  }
  std::optional<Spec> spec = options.spec ? options.spec : kind.recognise(file.tensors);
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
  const StateFile file = read_state_file(path);
  DenseFile<Spec, Net> loaded;
  loaded.spec = spec_of_file(file, kind, options, path.string());
  validate(loaded.spec);
  loaded.net = Net(loaded.spec.config);
  require_complete(load_state(*loaded.net, file.tensors, path.string()), path.string());
  loaded.net->eval();
  return loaded;
}

template <typename Net, typename Spec>
void save_dense_file(const std::filesystem::path& path, const char* key, const Spec& spec,
                     const Net& net) {
  validate(spec);
  require(spec.config == net.config(), ErrorCode::kInvalidArgument,
          "{}: the description '{}' is not the network's", path.string(), spec.name);
  write_safetensors(path, export_state(net), {{key, to_json(spec)}, {"format", "pt"}});
}

}  // namespace asmlp::nn
