#include "asmlp/model/zoo.h"

#include <algorithm>
#include <numeric>

#include "asmlp/core/error.h"

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

int edit_distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int substitute = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substitute});
    }
  }
  return row.back();
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
  fail(ErrorCode::kNotFound,
       "unknown model '{}'; did you mean '{}'? `asmlp info --list` prints all names", name,
       nearest(architecture, zoo_names()));
}

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const auto best = std::min_element(candidates.begin(), candidates.end(),
                                     [&](const std::string& a, const std::string& b) {
                                       return edit_distance(word, a) < edit_distance(word, b);
                                     });
  return best == candidates.end() ? "" : *best;
}

}  // namespace asmlp
