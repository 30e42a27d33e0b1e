#include "asmlp/dataset/coco_layout.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/dataset/folder.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// None when the folder cannot be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code ignored;
  return visible_entries(folder, ignored);
}

bool has_coco_form(const fs::path& file) {
  try {
    const MappedFile mapped = map_file(file);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes.data()),
                                mapped.bytes.size());
    return std::ranges::all_of(
        std::initializer_list<const char*>{"\"images\"", "\"annotations\"", "\"categories\""},
        [&](const char* key) { return text.find(key) != std::string_view::npos; });
  } catch (const Error&) {
    return false;
  }
}

// The split that a file is named after: "instances_val2017" and "val2017_annotations" are
// "val2017", "annotations" and "instances_default" are "".
std::string split_in(std::string stem) {
  for (const std::string_view begin : {"instances_", "annotations_", "_annotations.", "coco_"}) {
    if (lower_case(stem).starts_with(begin)) stem.erase(0, begin.size());
  }
  for (const std::string_view end : {".coco", "_coco", "_annotations", "_instances", ".json"}) {
    if (lower_case(stem).ends_with(end)) stem.erase(stem.size() - end.size());
  }
  for (const char* plain : {"annotations", "instances", "default", "coco", "result", "labels",
                            "_annotations", "trainval", "all", "dataset"}) {
    if (lower_case(stem) == plain) return "";
  }
  return stem;
}

// "val" for "val2017" and "val_2017".
std::string without_year(std::string name) {
  constexpr size_t kDigits = 4;
  if (name.size() <= kDigits || !std::all_of(name.end() - kDigits, name.end(),
                                             [](unsigned char c) { return std::isdigit(c); })) {
    return name;
  }
  name.erase(name.size() - kDigits);
  if (name.ends_with('_') || name.ends_with('-')) name.pop_back();
  return name;
}

// What tools call a split, the usual name first.
std::vector<std::string> aliases_of(const std::string& split) {
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"train", "training"},
        std::vector<std::string>{"val", "valid", "validation"},
        std::vector<std::string>{"test", "testing"}}) {
    if (std::ranges::find(names, split) != names.end()) return names;
  }
  return {split};
}

// How well a name fits to the wanted split, the smaller the better; nothing when it does not.
std::optional<int> fit(const std::string& name, const std::string& wanted) {
  const std::string own = lower_case(name), split = lower_case(wanted);
  if (own == split) return 0;
  const std::vector<std::string> aliases = aliases_of(split);
  for (size_t i = 0; i < aliases.size(); ++i) {
    const int rank = 1 + 3 * static_cast<int>(i);
    if (own == aliases[i] + "2017") return rank;
    if (own == aliases[i]) return rank + 1;
    if (without_year(own) == aliases[i]) return rank + 2;
  }
  return std::nullopt;
}

bool names_a_split(const std::string& name) {
  return std::ranges::any_of(std::initializer_list<const char*>{"train", "validation", "test"},
                             [&](const char* split) { return fit(name, split).has_value(); });
}

// Folders that exist, each once.
class FolderList {
 public:
  void add(const fs::path& folder) {
    const fs::path path = folder.lexically_normal();
    if (std::ranges::find(folders_, path) == folders_.end() && is_folder(path)) {
      folders_.push_back(path);
    }
  }
  std::vector<fs::path> take() { return std::move(folders_); }

 private:
  std::vector<fs::path> folders_;
};

// Where the images of an annotation file may be.
std::vector<fs::path> image_folders(const fs::path& root, const fs::path& file,
                                    const std::string& split) {
  FolderList folders;
  const fs::path beside = file.parent_path();
  // A split with a folder of its own, which holds the file.
  if (beside != root && names_a_split(beside.filename().string())) {
    for (const char* below : {"", "images", "data"}) folders.add(beside / below);
  } else if (beside.parent_path() != root && beside != root) {
    for (const char* below : {"images", "", "data", "images/default"}) {
      folders.add(beside.parent_path() / below);
    }
  }
  if (!split.empty()) {
    std::vector<std::string> names{split, without_year(split)};
    for (const std::string& alias : aliases_of(lower_case(without_year(split)))) {
      names.push_back(alias + "2017");
      names.push_back(alias);
    }
    for (const std::string& name : names) {
      folders.add(root / name);
      folders.add(root / "images" / name);
      folders.add(root / name / "images");
    }
  }
  for (const char* below : {"images", "images/default", "data", "JPEGImages", "img", "imgs"}) {
    folders.add(root / below);
  }
  folders.add(beside / "images");
  folders.add(beside);
  folders.add(root);
  // Any other folder beside it.
  for (const fs::path& entry : entries_of(root)) {
    if (entry.filename() != "annotations" && !names_a_split(entry.filename().string())) {
      folders.add(entry);
    }
  }
  return folders.take();
}

class Finder {
 public:
  explicit Finder(const fs::path& root) : root_(root) {}

  std::vector<CocoFiles> run() {
    for (const char* folder : {"annotations", "Annotations"}) look_into(root_ / folder, "");
    look_into(root_, "");
    for (const fs::path& entry : entries_of(root_)) {
      const std::string name = entry.filename().string();
      if (!names_a_split(name) || !is_folder(entry)) continue;
      look_into(entry, name);
      look_into(entry / "annotations", name);
    }
    return std::move(found_);
  }

 private:
  // `split`: the one that all files in the folder are of, or "".
  void look_into(const fs::path& folder, const std::string& split) {
    std::vector<fs::path> files;
    for (const fs::path& entry : entries_of(folder)) {
      if (lower_case(entry.extension().string()) == ".json" && is_file(entry)) {
        files.push_back(entry);
      }
    }
    // The telling names first.
    std::stable_partition(files.begin(), files.end(), has_telling_name);
    for (const fs::path& file : files) {
      const bool telling = has_telling_name(file);
      const std::string own = split.empty() ? split_in(file.stem().string()) : split;
      const bool known = own.empty() || names_a_split(own);
      // After instances_ any name is one of a split; others are not worth to be read.
      if (!telling && !(known && has_coco_form(file))) continue;
      found_.push_back({file, image_folders(root_, file, own), own});
      if (!split.empty()) break;
    }
  }

  static bool has_telling_name(const fs::path& file) {
    const std::string name = file.filename().string();
    return name.starts_with("instances_") || name == "_annotations.coco.json";
  }

  const fs::path root_;
  std::vector<CocoFiles> found_;
};

std::string described(const fs::path& root, const std::vector<CocoFiles>& found) {
  if (!is_folder(root)) return "there is no such folder";
  std::vector<std::string> names;
  if (!found.empty()) {
    for (const CocoFiles& files : found) {
      names.push_back(files.annotations.lexically_relative(root).string());
    }
    return fmt::format("found {}", fmt::join(names, ", "));
  }
  constexpr size_t kShown = 12;
  for (const fs::path& entry : entries_of(root)) {
    if (names.size() == kShown) {
      names.emplace_back("...");
      break;
    }
    names.push_back(entry.filename().string() + (is_folder(entry) ? "/" : ""));
  }
  return names.empty() ? "the folder is empty"
                       : fmt::format("found no annotation file among {}", fmt::join(names, ", "));
}

constexpr const char* kLayouts =
    "layouts that are read: annotations/instances_{train,val}2017.json with train2017/ and "
    "val2017/; "
    "annotations/instances_{train,val}.json or {train,val}.json with {train,val}/ or "
    "images/{train,val}/; {train,valid,test}/_annotations.coco.json; without splits "
    "annotations/instances_default.json, annotations.json, result.json or labels.json with images/";

}  // namespace

std::vector<CocoFiles> list_coco(const fs::path& root) {
  if (!is_folder(root)) return {};
  // Without a slash at the end, which would be an empty name.
  const fs::path folder = root.lexically_normal();
  return Finder(folder.has_filename() ? folder : folder.parent_path()).run();
}

CocoFiles find_coco(const fs::path& root, const std::string& split, const std::string& hint) {
  std::vector<CocoFiles> found = list_coco(root);
  const CocoFiles* best = nullptr;
  int best_rank = 0;
  bool any_split = false;
  for (const CocoFiles& files : found) {
    any_split = any_split || !files.split.empty();
    const auto rank = fit(files.split, split);
    if (rank && (best == nullptr || *rank < best_rank)) {
      best = &files;
      best_rank = *rank;
    }
  }
  const bool whole = fit("train", split) || fit("val", split);
  if (best == nullptr && !any_split && whole && !found.empty()) best = &found.front();
  require(best != nullptr, ErrorCode::kNotFound,
          "{}: has no annotations of a {} split in COCO's format: {}; {}; or name folder and file "
          "({}){}{}",
          root.string(), split == "train" ? "training" : split, described(root, found), kLayouts,
          "--images, --annotations; to train: --train-images, --train-annotations, --val-images, "
          "--val-annotations",
          hint.empty() ? "" : "; ", hint);
  return *best;
}

CocoFiles named_coco(const fs::path& images, const fs::path& annotations) {
  require(is_folder(images), ErrorCode::kNotFound, "{}: no such folder of images", images.string());
  std::error_code error;
  const bool there = fs::exists(annotations, error);
  require(there, ErrorCode::kNotFound, "{}: no such annotation file: {}", annotations.string(),
          path_error(annotations, error ? error.value() : ENOENT));
  return {annotations, {images}, ""};
}

}  // namespace asmlp
