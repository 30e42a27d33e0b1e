#include "asmlp/weights/weight_file.h"

#include <algorithm>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/foreign_file.h"
#include "asmlp/weights/pytorch/pth.h"
#include "asmlp/weights/safetensors.h"
#include "asmlp/weights/shards.h"
#include "asmlp/weights/unwrap.h"

namespace asmlp {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<int> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](int a, std::byte b) { return a == std::to_integer<int>(b); });
}

// A safetensors file begins with the length of its header and a '{'. That length may look like the
// begin of a pickle or a zip archive, but neither of those has a '{' in that place; a text may.
bool is_safetensors(std::span<const std::byte> bytes) {
  const auto is_text = [](std::byte byte) {
    const int value = std::to_integer<int>(byte);
    return (value >= 0x20 && value < 0x7f) || value == '\n' || value == '\r' || value == '\t';
  };
  return bytes.size() > 8 && std::to_integer<char>(bytes[8]) == '{' &&
         !std::ranges::all_of(bytes.first(8), is_text);
}

// The model in the state of a training run.
void take_model_of_state(WeightFile& file) {
  const bool averaged = has_prefix(file.tensors, "ema.");
  file.tensors = below_prefix(file.tensors, averaged ? "ema." : "model.");
  const std::filesystem::path best = file.path.parent_path() / "best.safetensors";
  std::error_code ignored;
  file.notes.push_back(fmt::format(
      "the state of a training run: its {} weights are taken; `asmlp train --resume` continues "
      "it{}.",
      averaged ? "averaged" : "latest",
      std::filesystem::exists(best, ignored) ? "; the best epoch's are in " + best.string() : ""));
}

// One file, names as they are there.
WeightFile read_file_of_weights(const std::filesystem::path& path) {
  const MappedFile mapped = map_file(path);  // once: what comes out of a pipe is gone
  if (is_safetensors(mapped.bytes)) {
    TensorFile read = parse_safetensors(mapped, path.string());
    WeightFile file{path, std::move(read.tensors), std::move(read.metadata), "", {}, {}};
    file.classes = class_names_of(file.metadata);
    return file;
  }
  if (!starts_with(mapped.bytes, {'P', 'K'}) && !starts_with(mapped.bytes, {0x80})) {
    fail_foreign(mapped.bytes, path);
  }
  PthFile file = parse_pth(mapped.bytes, path.string());
  return {path,
          std::move(file.tensors),
          {},
          std::move(file.config_json),
          std::move(file.classes),
          std::move(file.notes)};
}

}  // namespace

WeightFile read_weights(const std::filesystem::path& path) {
  std::vector<std::string> notes;
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const std::filesystem::path own = folder ? weights_in_folder(path, notes) : path;
  refuse_single_shard(own);
  WeightFile file =
      is_shard_index(own) ? read_shards(own, read_file_of_weights) : read_file_of_weights(own);
  file.notes.insert(file.notes.begin(), notes.begin(), notes.end());
  if (file.is_training_state()) {
    take_model_of_state(file);
  } else {
    file.tensors = unwrapped(std::move(file.tensors), own.string(), file.notes);
  }
  if ((folder || is_shard_index(own)) && file.classes.names.empty()) {
    file.classes = names_in_config_beside(own);
  }
  return file;
}

std::vector<std::string> class_names_for(const WeightFile& file, int count,
                                         std::vector<std::string>* notes) {
  const ClassNames& own = file.classes;
  if (own.names.empty() || count == 0) return {};
  const bool fits = std::ssize(own.names) == count;
  if (notes != nullptr) {
    notes->push_back(fits ? fmt::format("class names are taken from its {}.", own.place)
                          : fmt::format("its {} has {} names, but the model has {} classes: they "
                                        "are not used.",
                                        own.place, own.names.size(), count));
  }
  return fits ? own.names : std::vector<std::string>();
}

std::optional<Description> WeightFile::description() const {
  return described(metadata, path.string());
}

Task WeightFile::task() const {
  if (const auto own = description()) return own->task();
  if (has_prefix(tensors, "roi_head.")) return Task::kDetect;
  return has_prefix(tensors, "decode_head.") ? Task::kSegment : Task::kClassify;
}

bool has_prefix(const TensorMap& tensors, const std::string& prefix) {
  const auto first = tensors.lower_bound(prefix);
  return first != tensors.end() && first->first.starts_with(prefix);
}

TensorMap below_prefix(const TensorMap& tensors, const std::string& prefix) {
  TensorMap below;
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && it->first.starts_with(prefix);
       ++it) {
    below[it->first.substr(prefix.size())] = it->second;
  }
  return below;
}

}  // namespace asmlp
