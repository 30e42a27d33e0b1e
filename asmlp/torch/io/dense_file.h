// Detectors and segmentors as files: what is the same for both.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::nn {

template <typename Spec, typename Net>
struct DenseFile {
  Spec spec;
  Net net{nullptr};                // in evaluation mode
  std::vector<std::string> notes;  // one sentence for everything that was assumed or dropped
};

// Error(kMismatch) unless the file has exactly the network's tensors, in its shapes; kBadFormat for
// values that are not finite.
template <typename Net, typename Spec>
DenseFile<Spec, Net> load_dense_file(const std::filesystem::path& path,
                                     Spec (*spec_of_file)(const WeightFile&,
                                                          const DenseLoadOptions<Spec>&),
                                     const DenseLoadOptions<Spec>& options) {
  const WeightFile file = read_weights(path);
  DenseFile<Spec, Net> loaded;
  loaded.spec = spec_of_file(file, options);
  loaded.notes = file.notes;
  require_finite(file.tensors, path.string());
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
