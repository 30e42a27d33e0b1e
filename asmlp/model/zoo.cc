#include "asmlp/model/zoo.h"

#include "asmlp/core/error.h"
#include "asmlp/schema/nearest.h"

namespace asmlp {
namespace {

struct Entry {
  const char* name;
  int embed_dim;
  std::vector<int> depths;
  int size;
  double drop_path;  // the published training recipe's rate
};

// Paper, table 1 and appendix; drop path rates are those of the authors' training files.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries{
      {"asmlp_mobile_patch4_shift5_224", 64, {2, 2, 2, 2}, 224, 0.2},
      {"asmlp_tiny_patch4_shift5_224", 96, {2, 2, 6, 2}, 224, 0.2},
      {"asmlp_small_patch4_shift5_224", 96, {2, 2, 18, 2}, 224, 0.3},
      {"asmlp_base_patch4_shift5_224", 128, {2, 2, 18, 2}, 224, 0.5},
      {"asmlp_base_patch4_shift5_384", 128, {2, 2, 18, 2}, 384, 0.5},
  };
  return kEntries;
}

}  // namespace

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.emplace_back(entry.name);
  return names;
}

ModelSpec zoo_model(const std::string& name) {
  const std::string architecture = name.substr(0, name.find('.'));
  for (const Entry& entry : entries()) {
    if (architecture != entry.name) continue;
    ModelSpec spec;
    spec.name = entry.name;
    spec.config.embed_dim = entry.embed_dim;
    spec.config.depths = entry.depths;
    spec.config.drop_path = entry.drop_path;
    spec.preprocessing = default_preprocessing(spec.config, entry.size);
    return spec;
  }
  fail(ErrorCode::kNotFound, "unknown model '{}'{} (`asmlp info --list` prints all names)", name,
       did_you_mean(architecture, zoo_names()));
}

}  // namespace asmlp
