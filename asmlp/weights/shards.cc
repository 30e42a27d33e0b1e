#include "asmlp/weights/shards.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kMaxIndexBytes = size_t{64} << 20;
constexpr size_t kMaxShards = 10'000;
constexpr std::string_view kIndexEnd = ".index.json";

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() < 256 &&
         name.find_first_of("/\\") == std::string::npos && name.find('\0') == std::string::npos;
}

// Which tensors the index places in which file.
std::map<std::string, std::set<std::string>> placed_tensors(const fs::path& index) {
  const std::string what = index.string();
  const std::string text = read_file(index, kMaxIndexBytes);
  require(is_parsable_json(text), ErrorCode::kTooLarge,
          "{}: too many values, or nested too deeply, for an index of shards", what);
  const Json json = Json::parse(text, nullptr, false);
  require(
      json.is_object() && json.contains("weight_map") && json["weight_map"].is_object() &&
          !json["weight_map"].empty(),
      ErrorCode::kBadFormat,
      "{}: no index of shards: it must be a JSON object with a 'weight_map' of tensors to files",
      what);
  std::map<std::string, std::set<std::string>> placed;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    require(file.is_string(), ErrorCode::kBadFormat, "{}: the file of tensor '{}' must be a text",
            what, tensor.substr(0, 200));
    const auto& name = file.get_ref<const std::string&>();
    require(
        is_plain_name(name), ErrorCode::kBadFormat,
        "{}: refused: tensor '{}' is placed in '{}'; shards lie in the folder of their index, so "
        "only plain file names are taken",
        what, tensor.substr(0, 200), name.substr(0, 200));
    placed[name].insert(tensor);
    require(placed.size() <= kMaxShards, ErrorCode::kTooLarge, "{}: more than {} shards", what,
            kMaxShards);
  }
  return placed;
}

// The index beside a file, if there is just one.
std::optional<fs::path> index_in(const fs::path& folder) {
  std::optional<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (!is_shard_index(entry.path()) || !entry.is_regular_file(ignored)) continue;
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found;
}

// "00001-of-00003" before the extension.
bool is_shard_name(const std::string& stem) {
  const size_t of = stem.rfind("-of-");
  if (of == std::string::npos || of == 0) return false;
  const auto digits = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  };
  const size_t dash = stem.rfind('-', of - 1);
  return dash != std::string::npos && digits(stem.substr(dash + 1, of - dash - 1)) &&
         digits(stem.substr(of + 4));
}

std::string what_folder(const fs::path& folder) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has("saved_model.pb") || has("variables")) {
    return "a TensorFlow SavedModel; PyTorch weights are needed";
  }
  if (has("data.pkl")) {
    return "the unpacked inside of a PyTorch checkpoint; give the .pth file itself";
  }
  if (has("train") || has("val") || has("annotations") || has("images")) {
    return "a data set, not a model; give it as the data, and a file of weights with --model";
  }
  std::error_code ignored;
  if (fs::is_empty(folder, ignored)) return "an empty folder; give a file of weights";
  return "a folder without weights (model.safetensors, pytorch_model.bin, best.safetensors); give "
         "a "
         "file of weights";
}

}  // namespace

bool is_shard_index(const fs::path& path) { return path.filename().string().ends_with(kIndexEnd); }

WeightFile read_shards(const fs::path& index, WeightFile (*read)(const fs::path&)) {
  const std::string what = index.string();
  const auto placed = placed_tensors(index);
  std::string missing;
  size_t missing_count = 0;
  for (const auto& [name, tensors] : placed) {
    std::error_code ignored;
    if (fs::is_regular_file(index.parent_path() / name, ignored)) continue;
    if (++missing_count <= 5) missing += (missing.empty() ? "" : ", ") + name;
  }
  require(missing_count == 0, ErrorCode::kNotFound,
          "{}: {} of its {} shards {} missing: {}{}; download them into the same folder", what,
          missing_count, placed.size(), missing_count == 1 ? "is" : "are", missing,
          missing_count > 5 ? ", ..." : "");
  WeightFile all;
  all.path = index;
  for (const auto& [name, tensors] : placed) {
    WeightFile shard = read(index.parent_path() / name);
    for (const std::string& tensor : tensors) {
      require(shard.tensors.contains(tensor), ErrorCode::kBadFormat,
              "{}: its tensor '{}' is not in {}", what, tensor.substr(0, 200), name);
    }
    for (auto& [tensor, value] : shard.tensors) {
      require(!all.tensors.contains(tensor), ErrorCode::kBadFormat,
              "{}: the tensor '{}' is there twice, in {} and in a shard before it", what,
              tensor.substr(0, 200), name);
      require(tensors.contains(tensor), ErrorCode::kBadFormat,
              "{}: {} holds '{}', which the index does not place there; are they of one model?",
              what, name, tensor.substr(0, 200));
      all.tensors.emplace(tensor, std::move(value));
    }
    all.metadata.merge(shard.metadata);
    if (all.training_config.empty() || all.training_config == "{}") {
      all.training_config = std::move(shard.training_config);
    }
    if (all.classes.names.empty()) all.classes = std::move(shard.classes);
    for (std::string& note : shard.notes) {
      if (std::ranges::find(all.notes, note) == all.notes.end()) {
        all.notes.push_back(std::move(note));
      }
    }
  }
  all.notes.push_back(fmt::format("the model is in {} shards.", placed.size()));
  return all;
}

void refuse_single_shard(const fs::path& path) {
  if (!is_shard_name(path.stem().string())) return;
  const auto index = index_in(path.has_parent_path() ? path.parent_path() : fs::path("."));
  require(!index, ErrorCode::kInvalidArgument,
          "{}: one shard of several; give their index, {}, or the folder", path.string(),
          index.value_or(fs::path()).string());
}

fs::path weights_in_folder(const fs::path& folder, std::vector<std::string>& notes) {
  std::optional<fs::path> found;
  for (const char* name :
       {"model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json",
        "pytorch_model.bin", "best.safetensors", "final.safetensors", "last.safetensors"}) {
    std::error_code ignored;
    if (!found && fs::is_regular_file(folder / name, ignored)) found = folder / name;
  }
  if (!found) found = index_in(folder);
  if (!found) {
    std::vector<fs::path> files;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string extension = entry.path().extension().string();
      for (const char* known : {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}) {
        if (extension == known && entry.is_regular_file(ignored)) files.push_back(entry.path());
      }
    }
    std::ranges::sort(files);
    require(files.size() <= 1, ErrorCode::kInvalidArgument,
            "{}: a folder with {} files of weights ({}, {}{}); name one of them", folder.string(),
            files.size(), files.empty() ? "" : files[0].filename().string(),
            files.size() < 2 ? "" : files[1].filename().string(), files.size() > 2 ? ", ..." : "");
    if (!files.empty()) found = files[0];
  }
  require(found.has_value(), ErrorCode::kNotFound, "{}: {}", folder.string(), what_folder(folder));
  notes.push_back(
      fmt::format("of the folder {}, {} is read.", folder.string(), found->filename().string()));
  return *found;
}

ClassNames names_in_config_beside(const fs::path& file) {
  const fs::path config = file.parent_path() / "config.json";
  std::error_code ignored;
  if (!fs::is_regular_file(config, ignored)) return {};
  try {
    const std::string text = read_file(config, kMaxIndexBytes);
    if (!is_parsable_json(text)) return {};
    const Json json = Json::parse(text, nullptr, false);
    ClassNames names = class_names_of(json.is_discarded() ? Json() : json);
    if (!names.names.empty()) names.place = "config.json's " + names.place;
    return names;
  } catch (const Error&) {
    return {};  // unreadable: then it says nothing
  }
}

}  // namespace asmlp
