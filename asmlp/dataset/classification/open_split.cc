// A split of a classifier's data, by the name that a user gives.
#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/dataset/classification/open.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/folder.h"
#include "asmlp/dataset/shards/shards.h"
#include "asmlp/dataset/split.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// The visible folders in `folder`, by name; none when it cannot be listed.
std::vector<std::string> subfolders(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::path& entry : visible_entries(folder, ignored)) {
    if (is_folder(entry)) names.push_back(entry.filename().string());
  }
  return names;
}

std::vector<std::string> idx_splits(const fs::path& root) {
  std::vector<std::string> splits;
  for (const std::string split : {"train", "t10k"}) {
    for (const char* suffix : {"", ".gz"}) {
      if (!is_file(root / (split + "-images-idx3-ubyte" + suffix))) continue;
      splits.push_back(split);
      break;
    }
  }
  return splits;
}

NamedDataset open_idx_split(const fs::path& root, const std::string& split) {
  const std::vector<std::string> names = split_folders(split);
  const auto is = [&](const char* name) { return std::ranges::count(names, name) > 0; };
  if (is("train")) return {open_idx(root, Split::kTrain), "train"};
  require(is("val") || is("test") || is("t10k"), ErrorCode::kNotFound,
          "{}: has no split '{}'; these IDX files have: {}", root.string(), split,
          listed(idx_splits(root)));
  return {open_idx(root, Split::kValidation), "t10k"};
}

}  // namespace

NamedDataset open_split(const fs::path& root, const std::string& split) {
  const std::vector<std::string> wanted = split_folders(split);
  // What open_dataset refuses, it refuses in its own words.
  if (!is_folder(root) || names_shards(root.string())) {
    return {open_dataset(root, Split::kValidation), ""};
  }
  if (has_idx_files(root)) return open_idx_split(root, split);
  for (const std::string& name : wanted) {
    // A folder "train" without folders in it is a class of trains.
    if (!subfolders(root / name).empty()) return {open_image_folder(root / name), name};
  }
  if (split.empty()) return {open_dataset(root, Split::kValidation), "all"};
  std::vector<std::string> others;
  for (const std::string& name : subfolders(root)) {
    if (!subfolders(root / name).empty()) others.push_back(name);
  }
  require(!others.empty(), ErrorCode::kNotFound,
          "{}: has no split '{}': it holds no folders of class folders{}; leave --split out to "
          "measure all of it",
          root.string(), split,
          subfolders(root).empty() ? "" : ", its own folders are taken for the classes");
  fail(ErrorCode::kNotFound, "{}: has no split '{}'; there are: {}", root.string(), split,
       listed(others));
}

}  // namespace asmlp
