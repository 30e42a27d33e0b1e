#include "asmlp/dataset/ade20k/ade20k.h"

#include <algorithm>
#include <array>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/folder.h"
#include "asmlp/dataset/hold_out.h"
#include "asmlp/dataset/split.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/labels/class_color.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr int kOther = 0;
constexpr int kNoClass = 255;

// The visible entries of `folder` that are no folders, by name.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files = visible_entries(folder, error);
  require(!error,
          error == std::errc::no_such_file_or_directory ? ErrorCode::kNotFound : ErrorCode::kIo,
          "{}: cannot list the folder: {}; expected a data set laid out as ADE20K: "
          "images/training, images/validation, annotations/training, annotations/validation",
          folder.string(), error.message());
  std::erase_if(files, [](const fs::path& path) { return is_folder(path); });
  return files;
}

// The folders in images/ that annotations/ has too.
std::vector<std::string> splits_in(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::path& folder : visible_entries(root / "images", ignored)) {
    const fs::path name = folder.filename();
    if (is_folder(folder) && is_folder(root / "annotations" / name)) names.push_back(name.string());
  }
  return names;
}

// The folder of the split that `name` means; where there is none, the likeliest.
std::string find_split(const fs::path& root, const std::string& name) {
  const std::vector<std::string> there = splits_in(root);
  const std::vector<std::string> wanted = split_folders(name);
  for (const std::string& one : wanted) {
    if (std::ranges::find(there, one) != there.end()) return one;
  }
  require(there.empty(), ErrorCode::kNotFound,
          "{}: has no split '{}' in images/ and annotations/; there are: {}", root.string(),
          name.empty() ? "validation" : name, listed(there));
  if (name == "train") return "training";
  return name.empty() || name == "val" ? "validation" : name;
}

}  // namespace

void reduce_labels(Image& labels, int classes, const std::string& what) {
  require(classes >= 1 && classes < kNoClass, ErrorCode::kInvalidArgument,
          "{}: labels of {} classes; 1 to {} are possible", what, classes, kNoClass - 1);
  constexpr int kBad = -1;
  std::array<int, 256> reduced;
  for (int label = 0; label < 256; ++label) {
    const bool none = label == kOther || label == kNoClass;
    reduced[label] = none ? kNoClass : label <= classes ? label - 1 : kBad;
  }
  for (size_t i = 0; i < labels.pixels.size(); ++i) {
    const uint8_t label = labels.pixels[i];
    require(reduced[label] != kBad, ErrorCode::kBadFormat,
            "{}: label {} at row {}, column {}; labels are 1..{}, 0 and 255 for none", what, label,
            i / labels.width, i % labels.width, classes);
    labels.pixels[i] = static_cast<uint8_t>(reduced[label]);
  }
}

void relabel(Image& labels, std::span<const int> places) {
  for (uint8_t& label : labels.pixels) {
    if (label < places.size()) label = static_cast<uint8_t>(places[label]);
  }
}

Ade20k::Ade20k(const fs::path& root, Split split) : Ade20k(root, split_name(split)) {}

Ade20k::Ade20k(const fs::path& root, const std::string& split) : split_(find_split(root, split)) {
  if (auto list = find_class_list(root)) {
    classes_ = std::move(list->classes);
    colored_ = list->colored;
    class_file_ = std::move(list->file);
    named_ = true;
  }
  const fs::path images = root / "images" / split_, annotations = root / "annotations" / split_;
  std::vector<fs::path> label_files = files_in(annotations);
  std::erase_if(label_files, [](const fs::path& path) { return !is_file(path); });
  LeftOut left_out;
  for (const fs::path& image : files_in(images)) {
    if (!left_out.takes(fs::directory_entry(image))) continue;
    const fs::path labels = annotations / (image.stem().string() + ".png");
    require(std::ranges::binary_search(label_files, labels.native(), {},
                                       [](const fs::path& path) { return path.native(); }),
            ErrorCode::kNotFound, "{}: has no labels; expected them in {}", image.string(),
            labels.string());
    files_.push_back({image, labels});
  }
  require(!files_.empty(), ErrorCode::kNotFound, "{}: holds no images ({})", images.string(),
          image_extensions());
  left_out_ = left_out.note(images);
  // Files of one name need not be neighbors: "a.jpg", "a.x.jpg", "a.png".
  std::vector<Files> by_labels = files_;
  std::ranges::sort(by_labels, {}, [](const Files& f) { return f.labels.native(); });
  const auto twice = std::ranges::adjacent_find(by_labels, {}, &Files::labels);
  require(twice == by_labels.end(), ErrorCode::kBadFormat,
          "{} and {}: two images for one label file; remove one",
          twice == by_labels.end() ? "" : twice->image.string(),
          twice == by_labels.end() ? "" : (twice + 1)->image.string());
}

std::pair<Ade20k, Ade20k> Ade20k::hold_out(double fraction, uint64_t seed) const {
  std::vector<HoldOutSample> samples;
  for (const Files& files : files_) samples.push_back({files.image.filename().string()});
  const std::vector<bool> held = asmlp::hold_out(
      samples, fraction, seed, files_.empty() ? "" : files_[0].image.parent_path().string());
  std::pair<Ade20k, Ade20k> parts{*this, *this};
  parts.first.files_.clear();
  parts.second.files_.clear();
  for (size_t i = 0; i < held.size(); ++i) {
    (held[i] ? parts.second : parts.first).files_.push_back(files_[i]);
  }
  return parts;
}

std::vector<Color> Ade20k::palette() const {
  std::vector<Color> colors;
  if (!colored_) return colors;
  for (const SegmentationClass& one : classes_) colors.push_back(one.color);
  return colors;
}

void Ade20k::assume_classes(int count) {
  require(!named_ && count >= 1 && count < kNoClass, ErrorCode::kInvalidArgument,
          "{} classes of a data set {}; 1 to {} are possible", count,
          named_ ? "that names its own" : "without a list", kNoClass - 1);
  classes_.clear();
  for (int k = 0; k < count; ++k) classes_.push_back({std::to_string(k + 1), class_color(k)});
}

std::vector<std::string> class_names(const Ade20k& data) {
  std::vector<std::string> names;
  for (const SegmentationClass& one : data.classes()) names.push_back(one.name);
  return names;
}

const Ade20k::Files& Ade20k::files(int64_t index) const {
  require(index >= 0 && index < size(), ErrorCode::kInvalidArgument, "image {} of a data set of {}",
          index, size());
  return files_[static_cast<size_t>(index)];
}

LabeledImage Ade20k::get(int64_t index) const {
  const Files& from = files(index);
  require(!classes_.empty(), ErrorCode::kInvalidArgument,
          "{}: its folder does not list the classes", from.labels.string());
  DecodeOptions labels;
  labels.max_pixels = decoding_.max_pixels;
  LabeledImage pair{{}, read_label_png(from.labels, labels), from.image.stem().string()};
  std::optional<Image> kept = kept_ ? kept_(index) : std::nullopt;
  pair.image =
      kept ? *std::move(kept)
           : decode_labeled_image(from.image, pair.labels.height, pair.labels.width, decoding_);
  require(pair.image.height == pair.labels.height && pair.image.width == pair.labels.width,
          ErrorCode::kMismatch, "{}: {} x {} labels for {} x {} pixels (width x height) of {}",
          from.labels.string(), pair.labels.width, pair.labels.height, pair.image.width,
          pair.image.height, from.image.string());
  reduce_labels(pair.labels, static_cast<int>(classes_.size()), from.labels.string());
  return pair;
}

}  // namespace asmlp
