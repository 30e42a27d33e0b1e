// Labelled image collections, read without LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/image/image.h"

namespace asmlp {

struct Sample {
  Image image;
  int target = 0;    // index into classes()
  std::string name;  // file name relative to the root, or "#123" for IDX
};

// Random access to labelled images. get() may be called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Decodes sample `index` in [0, size()). Error (naming the file) when it cannot be read.
  virtual Sample get(int64_t index) const = 0;
  virtual int target(int64_t index) const = 0;  // without decoding
  virtual const std::vector<std::string>& classes() const = 0;
};

enum class Split { kTrain, kValidation };

// torchvision's ImageFolder: one folder per class in sorted order, images at any depth below it, in
// sorted path order. Error(kNotFound) when no class folder or no image is there, with what was
// expected.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root);

// MNIST-style IDX files, plain or gzip: {train,t10k}-images-idx3-ubyte[.gz] and the labels beside.
// Images are grey. Class names: Fashion-MNIST's when the path or the labels' file says so (the
// folder's name contains "fashion"), else "0".."9".
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& root, Split split);

// IDX when `root` holds such files, else ImageFolder in root/train or root/{val,validation,test}
// where such a folder exists, else ImageFolder in root itself.
std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& root, Split split);

}  // namespace asmlp
