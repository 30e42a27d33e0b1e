#include <algorithm>
#include <future>
#include <limits>
#include <thread>

#include "native.h"

namespace asmlp::python {
namespace {

int side(py::ssize_t extent) {
  if (extent > std::numeric_limits<int>::max()) {
    throw Error(ErrorCode::kTooLarge,
                "an array with a side of " + std::to_string(extent) + " is too large");
  }
  return static_cast<int>(extent);
}

}  // namespace

ReadOptions read_options(const std::string& exif, std::int64_t max_pixels) {
  if (exif != "apply" && exif != "ignore") {
    throw Error(ErrorCode::kInvalidArgument, "exif is '" + exif + "', must be 'apply' or 'ignore'");
  }
  return {exif == "apply" ? Exif::kApply : Exif::kIgnore, max_pixels};
}

TensorView tensor_view(const FloatArray& array) {
  if (array.ndim() != 4) {
    throw Error(ErrorCode::kInvalidArgument,
                "a tensor has 4 axes: batch x channels x height x width");
  }
  return {array.data(), side(array.shape(0)), side(array.shape(1)), side(array.shape(2)),
          side(array.shape(3))};
}

Images::Images(const py::list& items, const std::string& channel_order, ReadOptions reading,
               PixelStyle style, int threads)
    : kept_(items), reading_(reading), style_(style), threads_(threads) {
  if (channel_order != "rgb" && channel_order != "bgr") {
    throw Error(ErrorCode::kInvalidArgument,
                "channel_order is '" + channel_order + "', must be 'rgb' or 'bgr'");
  }
  const ChannelOrder order = channel_order == "rgb" ? ChannelOrder::kRgb : ChannelOrder::kBgr;
  for (const py::handle item : items) {
    if (py::isinstance<py::str>(item)) {
      // Any name that the system has, UTF-8 or not.
      const auto name = py::reinterpret_steal<py::bytes>(PyUnicode_EncodeFSDefault(item.ptr()));
      if (!name) throw py::error_already_set();
      items_.emplace_back(std::string(name));
    } else if (py::isinstance<py::array>(item)) {
      const auto array = py::cast<ByteArray>(item);
      const bool color = array.ndim() == 3;
      const ImageView view{array.data(),
                           side(array.shape(0)),
                           side(array.shape(1)),
                           color ? side(array.shape(2)) : 1,
                           array.shape(0) > 1 ? array.strides(0) : 0,
                           order};
      items_.emplace_back(view);
    } else {
      const auto& buffer = buffers_.emplace_back(py::cast<py::buffer>(item).request());
      items_.emplace_back(Bytes(buffer.ptr, static_cast<std::size_t>(buffer.size)));
    }
  }
}

DecodedImage Images::read(const Item& item) const {
  if (const auto* path = std::get_if<std::string>(&item))
    return read_image(*path, reading_, style_);
  const auto& [bytes, size] = std::get<Bytes>(item);
  return read_image(bytes, size, reading_, style_);
}

Images::Decoded Images::decode(std::size_t first, std::size_t count) const {
  Decoded result;
  result.images.resize(count);
  std::vector<std::size_t> files;
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::holds_alternative<ImageView>(items_[first + i])) files.push_back(i);
  }
  // As many files at once as there are threads; where the system refuses one, in this thread.
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t workers =
      std::min(files.size(), threads_ > 0 ? static_cast<std::size_t>(threads_) : cores);
  const auto work = [&](std::size_t worker) {
    for (std::size_t k = worker; k < files.size(); k += workers) {
      result.images[files[k]] = read(items_[first + files[k]]);
    }
  };
  std::vector<std::future<void>> others;
  for (std::size_t worker = 1; worker < workers; ++worker) {
    others.push_back(std::async(std::launch::async | std::launch::deferred, work, worker));
  }
  if (workers > 0) work(0);
  for (auto& other : others) other.get();
  for (std::size_t i = 0; i < count; ++i) {
    const auto* view = std::get_if<ImageView>(&items_[first + i]);
    result.views.push_back(view != nullptr ? *view : result.images[i].view());
  }
  return result;
}

}  // namespace asmlp::python
