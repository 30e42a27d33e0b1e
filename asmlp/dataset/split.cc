#include "asmlp/dataset/split.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp {

std::vector<std::string> split_folders(const std::string& name) {
  if (name.empty()) return {"val", "validation", "valid", "test"};
  require(name.find('/') == std::string::npos && name != "." && name != "..",
          ErrorCode::kInvalidArgument,
          "split '{}': must be the name of one folder, like train, val or test", name);
  for (std::vector<std::string> same :
       {std::vector<std::string>{"train", "training"}, {"val", "validation", "valid"}}) {
    const auto found = std::ranges::find(same, name);
    if (found == same.end()) continue;
    std::rotate(same.begin(), found, found + 1);  // what was said comes first
    return same;
  }
  return {name};
}

std::string split_name(Split split) { return split == Split::kTrain ? "train" : ""; }

std::string listed(const std::vector<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace asmlp
