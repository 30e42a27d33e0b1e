// The module asmlp._native: the C++ API for the classes of python/asmlp, which check and explain.
// It gets images that are ready to be used, gives numpy arrays, and releases the GIL for everything
// that takes time.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <asmlp/asmlp.hpp>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace asmlp::python {

namespace py = pybind11;

// Arrays are taken as they are: a wrong type or layout is a TypeError, never a hidden copy.
using FloatArray = py::array_t<float, py::array::c_style>;
using ByteArray = py::array_t<std::uint8_t>;

// Each adds its classes and functions to the module.
void add_models(py::module_& module);
void add_classifier_and_backbone(py::module_& module);
void add_dense(py::module_& module);
void add_weights(py::module_& module);

// `exif` is "apply" or "ignore".
ReadOptions read_options(const std::string& exif, std::int64_t max_pixels);

// N x C x H x W floats; keeps nothing.
TensorView tensor_view(const FloatArray& array);

// An array of this shape over the vector's own memory.
template <typename T>
py::array_t<T> array_of(std::vector<T> values, const std::vector<py::ssize_t>& shape) {
  auto* kept = new std::vector<T>(std::move(values));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(shape, kept->data(), owner);
}

// The images of one call: paths (str), files in memory (anything with bytes), and pixels (uint8
// arrays of H x W or H x W x C whose pixels lie side by side). Holds what it was made of.
class Images {
 public:
  // Needs the GIL, as destruction does; the rest does not.
  Images(const py::list& items, const std::string& channel_order, ReadOptions reading,
         PixelStyle style, int threads);
  std::size_t size() const { return items_.size(); }

  // Calls use(views, first) for `batch` images at a time, of which `first` is the first one's
  // index. Files are decoded just before, several at a time.
  template <typename Use>
  void for_batches(std::size_t batch, const Use& use) const {
    for (std::size_t first = 0; first < size(); first += batch) {
      const Decoded decoded = decode(first, std::min(batch, size() - first));
      use(decoded.views, first);
    }
  }

 private:
  using Bytes = std::pair<const void*, std::size_t>;
  using Item = std::variant<std::string, Bytes, ImageView>;
  struct Decoded {
    std::vector<DecodedImage> images;
    std::vector<ImageView> views;
  };
  Decoded decode(std::size_t first, std::size_t count) const;
  DecodedImage read(const Item& item) const;

  std::vector<Item> items_;
  std::vector<py::buffer_info> buffers_;
  py::list kept_;
  ReadOptions reading_;
  PixelStyle style_;
  int threads_;
};

// A runner together with the options that images of a call need; files get the pixels of `style`.
template <typename Runner, typename Options, PixelStyle style>
struct Kept {
  Runner runner;
  Options options;

  Kept(const std::shared_ptr<Model>& model, const Options& chosen)
      : runner(model, chosen), options(chosen) {}
  Images images(const py::list& items, const std::string& order) const {
    return Images(items, order, options.reading, style, options.threads);
  }
  std::size_t batch() const { return static_cast<std::size_t>(options.max_batch); }
};

}  // namespace asmlp::python
