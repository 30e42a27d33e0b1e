// Labeled image collections, read without LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"
#include "asmlp/image/left_out.h"

namespace asmlp {

struct Sample {
  Image image;
  int target = 0;    // index into classes()
  std::string name;  // file name relative to the root, or "#123" for IDX
  // The file's bytes, not decoded yet; empty when `image` holds the picture. Only get_encoded()
  // fills it.
  std::string encoded = {};
  DecodeOptions decoding = {};  // of `encoded`
  // The picture where somebody keeps it (dataset/cache), instead of `image`.
  PixelView view = {};
};

// Something that could not be read, and the number of samples lost with it.
struct Unreadable {
  std::string message;  // "<file>: <why>"
  int64_t samples = 1;
};

// The sample with its picture in `image`: decodes `encoded` when that holds it. Error as
// decode_image's, naming the sample.
Sample decoded(Sample sample);

// True when the bytes begin as a JPEG file does.
bool is_jpeg(std::string_view bytes);

// Random access to labeled images. get() may be called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // How pictures are decoded from now on (by default DecodeOptions{}); before the first get().
  virtual void set_decoding(const DecodeOptions&) {}
  // One sentence about the files that were left out (LeftOut::note); empty when there are none.
  virtual std::string left_out() const { return {}; }
  // Decodes sample `index` in [0, size()). Error (naming the file) when it cannot be read.
  virtual Sample get(int64_t index) const = 0;
  // get(), but a JPEG file stays as it is (Sample::encoded): for who decodes only a part of it.
  // Whether its bytes are a whole picture is then for the decoder to find out.
  virtual Sample get_encoded(int64_t index) const { return get(index); }
  virtual int target(int64_t index) const = 0;  // without decoding
  // The file that get() reads; empty where pictures are no files of their own.
  virtual std::filesystem::path file(int64_t) const { return {}; }
  // What set_decoding said.
  virtual DecodeOptions decoding() const { return {}; }
  // Sample::name, without decoding.
  virtual std::string name(int64_t index) const {
    return std::string(1, '#') += std::to_string(index);
  }
  virtual const std::vector<std::string>& classes() const = 0;
};

enum class Split { kTrain, kValidation };

// torchvision's ImageFolder: one folder per class in sorted order, images at any depth below it, in
// sorted path order. Hidden and empty files are left out. Error(kNotFound) when no class folder or
// no image is there, with what was expected.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root);

// The images of an ImageFolder as files, in its order.
struct ImageFile {
  std::filesystem::path path;
  int target = 0;    // index into classes
  std::string name;  // relative to the root
};
struct ImageFiles {
  std::vector<ImageFile> files;
  std::vector<std::string> classes;
  LeftOut left_out;  // of the class folders, and images outside of them
};

// What open_image_folder opens; errors as there.
ImageFiles list_image_folder(const std::filesystem::path& root);

// Where open_dataset would look for an ImageFolder of this split below `root` (root/train, root/val
// and so on, when that holds class folders); an empty path when there is none.
std::filesystem::path find_split_folder(const std::filesystem::path& root, Split split);

// MNIST-style IDX files, plain or gzip: {train,t10k}-images-idx3-ubyte[.gz] and the labels beside.
// Images are gray. Class names: Fashion-MNIST's when the path or the labels' file says so (the
// folder's name contains "fashion"), else "0".."9".
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& root, Split split);

// IDX when `root` holds such files, else ImageFolder in root/train or root/{val,validation,test}
// where such a folder exists, else ImageFolder in root itself.
std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& root, Split split);

// A part of a data set, and its own name for it: the folder's ("val", "test"), or "train" and
// "t10k" of IDX files; "all" for class folders that no split divides.
struct NamedDataset {
  std::unique_ptr<Dataset> dataset;
  std::string split;
};

// The split that a user names (split_folders of dataset/split.h), of data as open_dataset reads it.
// "test" and "validation" of IDX files are both t10k. Only "" takes class folders without splits as
// they are. Error(kNotFound) that says which splits there are.
NamedDataset open_split(const std::filesystem::path& root, const std::string& split);

}  // namespace asmlp
