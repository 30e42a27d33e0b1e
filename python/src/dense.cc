// Detectors, segmentors, and masks.
#include <memory>

#include "native.h"

namespace asmlp::python {
namespace {

using KeptDetector = Kept<Detector, DetectOptions, PixelStyle::kOpenCv>;
using KeptSegmentor = Kept<Segmentor, SegmentOptions, PixelStyle::kOpenCv>;

std::unique_ptr<KeptDetector> make_detector(const std::shared_ptr<Model>& model, int threads,
                                            int max_batch, int short_side, int long_side,
                                            float score_threshold, int max_detections, bool masks,
                                            int tile, int tile_overlap, bool tile_whole,
                                            const std::string& exif, std::int64_t max_pixels) {
  DetectOptions options;
  options.threads = threads;
  options.max_batch = max_batch;
  options.short_side = short_side;
  options.long_side = long_side;
  options.score_threshold = score_threshold;
  options.max_detections = max_detections;
  options.masks = masks;
  options.tile = tile;
  options.tile_overlap = tile_overlap;
  options.tile_whole = tile_whole;
  options.reading = read_options(exif, max_pixels);
  return std::make_unique<KeptDetector>(model, options);
}

std::unique_ptr<KeptSegmentor> make_segmentor(const std::shared_ptr<Model>& model, int threads,
                                              int short_side, int long_side, bool multi_scale,
                                              bool flip, int window, int window_stride,
                                              bool full_size, const std::string& exif,
                                              std::int64_t max_pixels) {
  SegmentOptions options;
  options.threads = threads;
  options.short_side = short_side;
  options.long_side = long_side;
  options.multi_scale = multi_scale;
  options.flip = flip;
  options.window = window;
  options.window_stride = window_stride;
  options.full_size = full_size;
  options.reading = read_options(exif, max_pixels);
  return std::make_unique<KeptSegmentor>(model, options);
}

// Of one image: its height and width, boxes [n, 4], scores [n], labels [n], and the run lengths of
// the masks, an array each, or None without masks.
struct Objects {
  int height;
  int width;
  std::vector<Detection> found;
};

py::tuple to_python(Objects objects) {
  const auto n = static_cast<py::ssize_t>(objects.found.size());
  FloatArray boxes({n, py::ssize_t{4}}), scores(n);
  py::array_t<std::int32_t> labels(n);
  py::list masks;
  bool has_masks = true;
  for (py::ssize_t i = 0; i < n; ++i) {
    Detection& d = objects.found[static_cast<std::size_t>(i)];
    float* box = boxes.mutable_data(i, 0);
    box[0] = d.x1, box[1] = d.y1, box[2] = d.x2, box[3] = d.y2;
    scores.mutable_at(i) = d.score;
    labels.mutable_at(i) = d.label;
    has_masks = has_masks && !d.mask.empty();
    const auto runs = static_cast<py::ssize_t>(d.mask.counts.size());
    masks.append(array_of(std::move(d.mask.counts), {runs}));
  }
  return py::make_tuple(objects.height, objects.width, boxes, scores, labels,
                        has_masks ? py::object(masks) : py::object(py::none()));
}

py::list to_python(std::vector<Objects> all) {
  py::list result;
  for (Objects& objects : all) result.append(to_python(std::move(objects)));
  return result;
}

py::list detect(KeptDetector& kept, const py::list& items, const std::string& order) {
  const Images images = kept.images(items, order);
  std::vector<Objects> all;
  {
    const py::gil_scoped_release released;
    images.for_batches(kept.batch(), [&](const std::vector<ImageView>& views, std::size_t) {
      auto found = kept.runner.detect(views);
      for (std::size_t i = 0; i < views.size(); ++i) {
        all.push_back({views[i].height, views[i].width, std::move(found[i])});
      }
    });
  }
  return to_python(std::move(all));
}

py::list detect_tensor(KeptDetector& kept, const FloatArray& tensor) {
  const TensorView view = tensor_view(tensor);
  std::vector<Objects> all;
  {
    const py::gil_scoped_release released;
    for (auto& found : kept.runner.detect(view)) {
      all.push_back({view.height, view.width, std::move(found)});
    }
  }
  return to_python(std::move(all));
}

// Of each image: its labels [height, width], and (label, share) of the classes that occur.
py::list to_python(std::vector<Segmentation> all) {
  py::list result;
  for (Segmentation& one : all) {
    py::list shares;
    for (const ClassShare& s : one.shares) shares.append(py::make_tuple(s.label, s.share));
    result.append(py::make_tuple(
        array_of(std::move(one.labels), {py::ssize_t{one.height}, py::ssize_t{one.width}}),
        shares));
  }
  return result;
}

py::list segment(KeptSegmentor& kept, const py::list& items, const std::string& order) {
  const Images images = kept.images(items, order);
  std::vector<Segmentation> all;
  {
    const py::gil_scoped_release released;
    images.for_batches(1, [&](const std::vector<ImageView>& views, std::size_t) {
      all.push_back(kept.runner.segment(views.front()));
    });
  }
  return to_python(std::move(all));
}

py::list segment_tensor(KeptSegmentor& kept, const FloatArray& tensor) {
  const TensorView view = tensor_view(tensor);
  std::vector<Segmentation> all;
  {
    const py::gil_scoped_release released;
    all = kept.runner.segment(view);
  }
  return to_python(std::move(all));
}

// The labels of one image into `out`, rows of which are side by side.
void segment_into(KeptSegmentor& kept, const py::list& items, const std::string& order,
                  ByteArray& out) {
  const Images images = kept.images(items, order);
  const LabelView view{out.mutable_data(), static_cast<int>(out.shape(0)),
                       static_cast<int>(out.shape(1)), out.shape(0) > 1 ? out.strides(0) : 0};
  const py::gil_scoped_release released;
  images.for_batches(1, [&](const std::vector<ImageView>& views, std::size_t) {
    kept.runner.segment(views.front(), view);
  });
}

using Counts = py::array_t<std::uint32_t, py::array::c_style | py::array::forcecast>;

Mask mask_of(const Counts& counts, int height, int width) {
  return {height, width, {counts.data(), counts.data() + counts.size()}};
}

// A new array of booleans.
py::array_t<bool> mask_bitmap_of(const Counts& counts, int height, int width) {
  const Mask mask = mask_of(counts, height, width);
  py::array_t<bool> result({height, width});
  auto* pixels = reinterpret_cast<std::uint8_t*>(result.mutable_data());
  const py::gil_scoped_release released;
  mask_bitmap(mask, pixels);
  return result;
}

}  // namespace

void add_dense(py::module_& module) {
  py::class_<KeptDetector>(module, "Detector")
      .def(py::init(&make_detector), py::call_guard<py::gil_scoped_release>())
      .def("detect", &detect)
      .def("detect_tensor", &detect_tensor, py::arg().noconvert());
  py::class_<KeptSegmentor>(module, "Segmentor")
      .def(py::init(&make_segmentor), py::call_guard<py::gil_scoped_release>())
      .def("segment", &segment)
      .def("segment_tensor", &segment_tensor, py::arg().noconvert())
      .def("segment_into", &segment_into, py::arg(), py::arg(), py::arg().noconvert());
  module.def("mask_bitmap", &mask_bitmap_of);
  module.def("mask_area", [](const Counts& counts, int height, int width) {
    return mask_area(mask_of(counts, height, width));
  });
  module.def("mask_text", [](const Counts& counts, int height, int width) {
    return mask_text(mask_of(counts, height, width));
  });
}

}  // namespace asmlp::python
