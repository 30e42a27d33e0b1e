#include "asmlp/cli/images/calibration_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "asmlp/cli/images/find_images.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/class_match.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/image/input_batch.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kReadAtATime = 32;

// The split of a data set of classes, or nothing where there is none of that kind.
NamedDataset open_classes(const std::string& root, const std::string& split) {
  if (!split.empty()) return open_split(root, split);
  std::error_code ignored;
  if (!fs::is_directory(root, ignored)) return {};
  for (const char* tried : {"train", ""}) {
    try {
      return open_split(root, tried);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
  }
  return {};
}

// The model's classes of the data's; empty, with a note, where they are others.
std::vector<int> places_of(const Dataset& dataset, const std::string& data, const ModelSpec& spec,
                           std::vector<std::string>& notes) {
  if (spec.config.num_classes == 0) return {};
  const auto count = [](const std::vector<std::string>& names) {
    return static_cast<int>(names.size());
  };
  try {
    ClassMatch match =
        match_classes({"the data " + data, dataset.classes(), count(dataset.classes())},
                      {"the model", spec.classes, spec.config.num_classes});
    notes.insert(notes.end(), match.notes.begin(), match.notes.end());
    return match.places;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kMismatch) throw;
    notes.push_back(fmt::format(
        "the classes of {} are not the model's, so its labels are not used to measure top-1",
        data));
    return {};
  }
}

}  // namespace

CalibrationImages read_calibration_images(
    const std::vector<std::string>& data, const std::string& split, const ModelSpec& spec,
    const ImageOptions& options, int64_t wanted, int threads,
    const std::function<void(int64_t done, int64_t total)>& read) {
  require(split.empty() || data.size() == 1, ErrorCode::kInvalidArgument,
          "--split {}: is for one data set; {} places of images are given", split, data.size());
  CalibrationImages result;
  const NamedDataset named = data.size() == 1 ? open_classes(data[0], split) : NamedDataset();
  FoundImages found;
  std::vector<int> places;
  // Of a data set as its evaluation reads it, of pictures as people see them (as predict does).
  const DecodeOptions decoding =
      options.decoding(named.dataset ? spec.preprocessing.exif : Exif::kApply);
  if (named.dataset) {
    result.split = named.split;
    result.available = named.dataset->size();
    named.dataset->set_decoding(decoding);
    if (const std::string others = named.dataset->left_out(); !others.empty()) {
      result.notes.push_back(others);
    }
    places = places_of(*named.dataset, data[0], spec, result.notes);
  } else {
    found = find_images(data);
    for (const auto& missing : found.missing) throw Error(missing.code, missing.message);
    result.notes = found.notes;
    result.available = static_cast<int64_t>(found.files.size());
  }
  require(result.available > 0, ErrorCode::kNotFound, "{}: no image there",
          fmt::format("{}", fmt::join(data, ", ")));

  const int64_t total = std::min(wanted, result.available);
  InputBatch batch(spec.preprocessing, threads);
  read(0, total);
  for (int64_t first = 0; first < total; first += kReadAtATime) {
    const int count = static_cast<int>(std::min<int64_t>(kReadAtATime, total - first));
    const auto index = [&](int item) { return (first + item) * result.available / total; };
    batch.load(count, [&](int item) {
      if (named.dataset) return named.dataset->get(index(item)).image;
      return load_image(found.files[static_cast<size_t>(index(item))], decoding);
    });
    for (const auto& failure : batch.failures()) result.failures.push_back(failure.message);
    for (int slot = 0; slot < batch.size(); ++slot) {
      result.images.push_back(batch.image(slot));
      if (places.empty()) continue;
      const int target = named.dataset->target(index(batch.item(slot)));
      result.targets.push_back(places[static_cast<size_t>(target)]);
    }
    read(first + count, total);
  }
  require(!result.images.empty(), ErrorCode::kBadFormat, "none of {} images can be read: {}", total,
          result.failures.front());
  return result;
}

}  // namespace asmlp::cli
