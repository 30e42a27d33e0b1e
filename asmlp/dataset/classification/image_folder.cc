// torchvision's ImageFolder, and the choice between it and IDX.
#include <algorithm>
#include <span>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/utf8.h"
#include "asmlp/dataset/classification/open.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/folder.h"
#include "asmlp/dataset/shards/shards.h"
#include "asmlp/image/decode.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// Why `path` is no folder.
const char* no_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) ? "is not a folder" : "no such folder";
}

// The visible folders in `root`, sorted by name.
std::vector<fs::path> folders_in(const fs::path& root) {
  std::error_code error;
  std::vector<fs::path> folders = visible_entries(root, error);
  require(!error, ErrorCode::kIo, "{}: cannot list the folder: {}", root.string(), error.message());
  std::erase_if(folders, [](const fs::path& path) { return !is_folder(path); });
  return folders;
}

// Every image at any depth below `folder`. Symbolic links are followed as torchvision does; one
// that leads back to a folder above itself (`above`, canonical) is not entered again.
void collect_images(const fs::path& folder, std::vector<fs::path>& above,
                    std::vector<fs::path>& images, LeftOut& left_out) {
  std::error_code error;
  const fs::path canonical = fs::canonical(folder, error);
  if (!error && std::find(above.begin(), above.end(), canonical) != above.end()) return;
  above.push_back(canonical);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_folder(it->path())) {
      if (left_out.takes(*it)) images.push_back(it->path());
    } else if (is_hidden(it->path())) {
      left_out.count("hidden folder");
    } else {
      collect_images(it->path(), above, images, left_out);
    }
  }
  require(!error, ErrorCode::kIo, "{}: cannot list the folder: {}", folder.string(),
          error.message());
  above.pop_back();
}

// Images beside the class folders belong to no class.
void count_stray_images(const fs::path& root, LeftOut& left_out) {
  std::error_code ignored;
  for (const fs::path& path : visible_entries(root, ignored)) {
    if (is_folder(path)) continue;
    if (const std::string kind = special_kind(path); !kind.empty()) {
      left_out.count(kind);
    } else if (has_image_extension(path)) {
      left_out.count("images outside of the class folders");
    }
  }
}

class ImageFolder final : public Dataset {
 public:
  explicit ImageFolder(const fs::path& root) : root_(root), list_(list_image_folder(root)) {}

  int64_t size() const override { return static_cast<int64_t>(list_.files.size()); }

  void set_decoding(const DecodeOptions& decoding) override { decoding_ = decoding; }
  std::string left_out() const override { return list_.left_out.note(root_); }

  Sample get(int64_t index) const override {
    Sample sample = read(index);
    sample.image = decode_image(std::as_bytes(std::span(sample.encoded)),
                                entry(index).path.string(), decoding_);
    sample.encoded = {};
    return sample;
  }

  Sample get_encoded(int64_t index) const override {
    Sample sample = read(index);
    return is_jpeg(sample.encoded) ? sample : get(index);
  }

  fs::path file(int64_t index) const override { return entry(index).path; }
  DecodeOptions decoding() const override { return decoding_; }
  int target(int64_t index) const override { return entry(index).target; }

  std::string name(int64_t index) const override { return entry(index).name; }

  const std::vector<std::string>& classes() const override { return list_.classes; }

 private:
  const ImageFile& entry(int64_t index) const {
    check_index(*this, index);
    return list_.files[static_cast<size_t>(index)];
  }

  Sample read(int64_t index) const {
    const ImageFile& from = entry(index);
    return {Image(), from.target, from.name,
            read_file(from.path, decoding_.max_file_bytes, Inputs::kRegular), decoding_};
  }

  fs::path root_;
  ImageFiles list_;
  DecodeOptions decoding_;
};

}  // namespace

ImageFiles list_image_folder(const fs::path& root) {
  require(is_folder(root), ErrorCode::kNotFound, "{}: {}", root.string(), no_folder(root));
  ImageFiles list;
  count_stray_images(root, list.left_out);
  for (const fs::path& folder : folders_in(root)) {
    const int target = static_cast<int>(list.classes.size());
    list.classes.push_back(folder.filename().string());
    // Class names go into JSON: the run's, the model's, the results'.
    require(is_utf8(list.classes.back()), ErrorCode::kBadFormat,
            "{}: the name of this class folder is not UTF-8 text; rename it",
            printable(folder.string(), LineBreaks::kEscape));
    std::vector<fs::path> images, above;
    collect_images(folder, above, images, list.left_out);
    // torchvision's order: folder by folder (as strings), then by name.
    std::vector<std::pair<std::string, std::string>> keys;
    for (const fs::path& image : images) {
      keys.emplace_back(image.parent_path().string(), image.filename().string());
    }
    std::sort(keys.begin(), keys.end());
    for (const auto& [parent, name] : keys) {
      const fs::path path = fs::path(parent) / name;
      list.files.push_back({path, target, path.lexically_relative(root).string()});
    }
  }
  require(!list.files.empty(), ErrorCode::kNotFound,
          "{}: {}; expected one folder per class with {} files in it{}", root.string(),
          list.classes.empty() ? "has no class folders" : "has no images in its class folders",
          image_extensions(),
          list.left_out.text().empty() ? "" : " (there are " + list.left_out.text() + ")");
  return list;
}

// A folder "train" without folders in it is a class of trains.
fs::path find_split_folder(const fs::path& root, Split split) {
  const std::vector<std::string> names =
      split == Split::kTrain ? std::vector<std::string>{"train"}
                             : std::vector<std::string>{"val", "validation", "test"};
  for (const std::string& name : names) {
    if (is_folder(root / name) && !folders_in(root / name).empty()) return root / name;
  }
  return {};
}

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

Sample decoded(Sample sample) {
  if (sample.encoded.empty()) return sample;
  sample.image =
      decode_image(std::as_bytes(std::span(sample.encoded)), sample.name, sample.decoding);
  sample.encoded = {};
  return sample;
}

void check_index(const Dataset& dataset, int64_t index) {
  require(index >= 0 && index < dataset.size(), ErrorCode::kInvalidArgument,
          "sample {} of a data set of {}", index, dataset.size());
}

std::unique_ptr<Dataset> open_image_folder(const fs::path& root) {
  return std::make_unique<ImageFolder>(root);
}

std::unique_ptr<Dataset> open_dataset(const fs::path& root, Split split) {
  const bool training = split == Split::kTrain;
  require(is_folder(root), ErrorCode::kNotFound,
          "{}: {}; expected a data set: a folder with IDX files (train-images-idx3-ubyte "
          "and so on, plain or .gz), or with one folder of images per class, or with such folders "
          "under train/ and val/",
          root.string(), no_folder(root));
  require(!names_shards(root.string()), ErrorCode::kUnsupported,
          "{}: holds tar shards, which `asmlp train` reads from end to end; give the folder of "
          "images that they were made from",
          root.string());
  if (has_idx_files(root)) return open_idx(root, split);
  const fs::path folder = find_split_folder(root, split);
  if (!folder.empty()) return open_image_folder(folder);
  // Its only split must not be mistaken for a class.
  const fs::path other = find_split_folder(root, training ? Split::kValidation : Split::kTrain);
  require(other.empty(), ErrorCode::kNotFound, "{}: has {} but no {}", root.string(),
          other.filename().string() + "/", training ? "train/" : "val/, validation/ or test/");
  require(!folders_in(root).empty(), ErrorCode::kNotFound,
          "{}: is no data set; expected IDX files ({}-images-idx3-ubyte and {}-labels-idx1-ubyte, "
          "plain or .gz), or one folder of images per class, or such folders under {}",
          root.string(), training ? "train" : "t10k", training ? "train" : "t10k",
          training ? "train/" : "val/, validation/ or test/");
  return open_image_folder(root);
}

}  // namespace asmlp
