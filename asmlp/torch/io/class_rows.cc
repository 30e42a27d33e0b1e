#include "asmlp/torch/io/class_rows.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "asmlp/core/error.h"
#include "asmlp/dataset/class_match.h"

namespace asmlp::nn {
namespace {

// The rows of a tensor: `per_class` for each class, one class after the other, then `more`.
struct RowRule {
  const char* part;  // of the name, between dots
  int64_t per_class, more;
};
constexpr RowRule kRowRules[]{
    {"head", 1, 0}, {"fc_cls", 1, 1}, {"fc_reg", 4, 0}, {"conv_logits", 1, 0}, {"conv_seg", 1, 0}};

const RowRule* rule_of(const std::string& name) {
  for (const RowRule& rule : kRowRules) {
    const std::string part = std::string(rule.part) + ".";
    const bool first = name.starts_with(part);
    // "head" alone is the classifier's: "mask_head." is another word.
    if (first || name.find("." + part) != std::string::npos) return &rule;
  }
  return nullptr;
}

Tensor take_rows(const Tensor& from, const std::vector<int64_t>& rows) {
  const size_t size = from.bytes.size() / static_cast<size_t>(from.shape[0]);
  const auto memory = std::make_shared<std::vector<std::byte>>(size * rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(memory->data() + i * size, from.bytes.data() + rows[i] * static_cast<int64_t>(size),
                size);
  }
  Tensor result{from.dtype, from.shape, {}, memory};
  result.shape[0] = static_cast<int64_t>(rows.size());
  result.bytes = *memory;
  return result;
}

// As it is written, else the only one of this plain form.
std::optional<int> find_name(const std::vector<std::string>& names, const std::string& name) {
  const auto exact = std::ranges::find(names, name);
  if (exact != names.end()) return static_cast<int>(exact - names.begin());
  std::optional<int> found;
  for (size_t k = 0; k < names.size(); ++k) {
    if (plain_class_name(names[k]) != plain_class_name(name)) continue;
    if (found) return std::nullopt;
    found = static_cast<int>(k);
  }
  return found;
}

}  // namespace

ClassMatch match_classes(const ClassList& file, const ClassList& network) {
  ClassMatch match;
  const auto same_order = [&] {
    match.source.resize(static_cast<size_t>(network.count));
    std::iota(match.source.begin(), match.source.end(), 0);
  };
  if (file.count <= 0) {
    match.note = "the head starts anew: the file has none";
    return match;
  }
  if (file.names.empty() || network.names.empty()) {
    if (file.count == network.count) {
      same_order();
      match.note = fmt::format(
          "the head is kept: {} has no class names, and {} classes are taken for the same ones",
          file.names.empty() ? "the file" : "the model", file.count);
    } else {
      match.note = fmt::format("the head starts anew: {} classes, and the file's has {}",
                               network.count, file.count);
    }
    return match;
  }
  if (file.names == network.names) {
    same_order();
    return match;
  }
  std::vector<int> source;
  std::string missing;
  for (const std::string& name : network.names) {
    if (const auto found = find_name(file.names, name)) {
      source.push_back(*found);
    } else if (missing.empty()) {
      missing = name;
    }
  }
  if (!missing.empty()) {
    match.note = fmt::format(
        "the head starts anew: the file knows {} of the {} classes, not '{}'; it is kept when it "
        "knows all of them",
        source.size(), network.names.size(), missing);
    return match;
  }
  match.source = std::move(source);
  match.note =
      file.count == network.count
          ? "the head is kept: the file has the same classes in another order, its rows follow "
            "their names"
          : fmt::format("the head is kept for {} classes of the file's {}, by their names",
                        network.count, file.count);
  return match;
}

size_t apply_match(TensorMap& tensors, const ClassMatch& match, int file_classes) {
  size_t taken_out = 0;
  for (auto it = tensors.begin(); it != tensors.end();) {
    const RowRule* rule = rule_of(it->first);
    const Tensor& tensor = it->second;
    const bool by_class = rule != nullptr && !tensor.shape.empty() && file_classes > 0 &&
                          tensor.shape[0] == rule->per_class * file_classes + rule->more;
    if (!by_class) {
      ++it;
    } else if (match.source.empty()) {
      ++taken_out;
      it = tensors.erase(it);
    } else {
      std::vector<int64_t> rows;
      for (const int from : match.source) {
        for (int64_t k = 0; k < rule->per_class; ++k) rows.push_back(from * rule->per_class + k);
      }
      for (int64_t k = 0; k < rule->more; ++k) rows.push_back(rule->per_class * file_classes + k);
      it->second = take_rows(tensor, rows);
      ++it;
    }
  }
  return taken_out;
}

}  // namespace asmlp::nn
