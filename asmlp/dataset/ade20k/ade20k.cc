#include "asmlp/dataset/ade20k/ade20k.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/hold_out.h"
#include "asmlp/image/decode.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr int kOther = 0;
constexpr int kNoClass = 255;
constexpr size_t kMaxListBytes = size_t{1} << 20;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_at(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t end = text.find(separator);
  for (; end != std::string_view::npos; end = text.find(separator)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

// The N of objectInfo<N>.txt; nothing for another name.
std::optional<int> classes_of_list(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::string_view kBegin = "objectInfo", kEnd = ".txt";
  if (name.size() <= kBegin.size() + kEnd.size() || !name.starts_with(kBegin) ||
      !name.ends_with(kEnd)) {
    return std::nullopt;
  }
  return number(
      std::string_view(name).substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size()));
}

std::vector<SegmentationClass> read_class_list(const fs::path& path, int classes) {
  const std::string text = read_file(path, kMaxListBytes);
  std::vector<std::string_view> lines = split_at(text, '\n');
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  const auto header =
      lines.empty() ? std::vector<std::string_view>() : split_at(lines.front(), '\t');
  const auto column = [&](std::string_view name) {
    const auto found = std::ranges::find(header, name);
    require(found != header.end(), ErrorCode::kBadFormat,
            "{}: its first line must name tab-separated columns, among them {}", path.string(),
            name);
    return static_cast<size_t>(found - header.begin());
  };
  const size_t index_column = column("Idx"), name_column = column("Name");
  require(classes >= 1 && classes < kNoClass && std::ssize(lines) == classes + 1,
          ErrorCode::kBadFormat,
          "{}: lists {} classes; expected the number in its name, which must be 1..{}",
          path.string(), std::ssize(lines) - 1, kNoClass - 1);
  const std::vector<SegmentationClass>& ade = ade20k_classes();
  std::vector<SegmentationClass> list;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto cells = split_at(lines[i], '\t');
    require(cells.size() == header.size() && number(cells[index_column]) == static_cast<int>(i),
            ErrorCode::kBadFormat, "{}: line {}: expected {} columns and the number {} as Idx",
            path.string(), i + 1, header.size(), i);
    const std::string_view name = cells[name_column].substr(0, cells[name_column].find(','));
    require(!name.empty(), ErrorCode::kBadFormat, "{}: line {}: the name is empty", path.string(),
            i + 1);
    list.push_back({std::string(name), ade[(i - 1) % ade.size()].color});
  }
  return list;
}

// The visible files in `folder`, by name.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (fs::is_regular_file(it->path(), ignored) &&
        !it->path().filename().string().starts_with('.')) {
      files.push_back(it->path());
    }
  }
  require(!error,
          error == std::errc::no_such_file_or_directory ? ErrorCode::kNotFound : ErrorCode::kIo,
          "{}: cannot list the folder: {}; expected a data set laid out as ADE20K: "
          "images/training, images/validation, annotations/training, annotations/validation",
          folder.string(), error.message());
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.native(); });
  return files;
}

std::vector<SegmentationClass> find_classes(const fs::path& root) {
  fs::path list;
  int classes = 0;
  for (const fs::path& path : files_in(root)) {
    const auto count = classes_of_list(path);
    if (!count || *count == std::ssize(ade20k_classes())) continue;
    require(list.empty(), ErrorCode::kBadFormat,
            "{} and {}: two lists of classes; remove the one that is not this data set's",
            list.string(), path.string());
    list = path;
    classes = *count;
  }
  return list.empty() ? ade20k_classes() : read_class_list(list, classes);
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

Ade20k::Ade20k(const fs::path& root, Split split) : classes_(find_classes(root)) {
  const char* name = split == Split::kTrain ? "training" : "validation";
  const fs::path images = root / "images" / name, annotations = root / "annotations" / name;
  const std::vector<fs::path> label_files = files_in(annotations);
  for (const fs::path& image : files_in(images)) {
    if (!has_image_extension(image)) continue;
    const fs::path labels = annotations / (image.stem().string() + ".png");
    require(std::ranges::binary_search(label_files, labels.native(), {},
                                       [](const fs::path& path) { return path.native(); }),
            ErrorCode::kNotFound, "{}: has no labels; expected them in {}", image.string(),
            labels.string());
    files_.push_back({image, labels});
  }
  require(!files_.empty(), ErrorCode::kNotFound, "{}: holds no .jpg, .jpeg, .png or .webp images",
          images.string());
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

const Ade20k::Files& Ade20k::files(int64_t index) const {
  require(index >= 0 && index < size(), ErrorCode::kInvalidArgument, "image {} of a data set of {}",
          index, size());
  return files_[static_cast<size_t>(index)];
}

LabeledImage Ade20k::get(int64_t index) const {
  const Files& from = files(index);
  LabeledImage pair{decode_image(from.image), read_label_png(from.labels),
                    from.image.stem().string()};
  require(pair.image.height == pair.labels.height && pair.image.width == pair.labels.width,
          ErrorCode::kMismatch, "{}: {} x {} labels for {} x {} pixels (width x height) of {}",
          from.labels.string(), pair.labels.width, pair.labels.height, pair.image.width,
          pair.image.height, from.image.string());
  reduce_labels(pair.labels, static_cast<int>(classes_.size()), from.labels.string());
  return pair;
}

}  // namespace asmlp
