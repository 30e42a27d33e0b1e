// Classifiers and backbones.
#include <memory>

#include "native.h"

namespace asmlp::python {
namespace {

RunOptions run_options(int threads, int image_size, int max_batch, const ReadOptions& reading) {
  RunOptions options;
  options.threads = threads;
  options.image_size = image_size;
  options.max_batch = max_batch;
  options.reading = reading;
  return options;
}

using KeptClassifier = Kept<Classifier, RunOptions, PixelStyle::kPillow>;
using KeptBackbone = Kept<Backbone, RunOptions, PixelStyle::kPillow>;

template <typename KeptRunner>
std::unique_ptr<KeptRunner> make(const std::shared_ptr<Model>& model, int threads, int image_size,
                                 int max_batch, const std::string& exif, std::int64_t max_pixels) {
  return std::make_unique<KeptRunner>(
      model, run_options(threads, image_size, max_batch, read_options(exif, max_pixels)));
}

using Predictions = std::vector<std::vector<std::pair<int, float>>>;  // index and probability

void append(Predictions& all, const std::vector<std::vector<Prediction>>& more) {
  for (const auto& image : more) {
    auto& one = all.emplace_back();
    for (const Prediction& p : image) one.emplace_back(p.index, p.probability);
  }
}

Predictions classify(KeptClassifier& kept, const py::list& items, const std::string& order,
                     int top_k) {
  const Images images = kept.images(items, order);
  const py::gil_scoped_release released;
  Predictions all;
  images.for_batches(kept.batch(), [&](const std::vector<ImageView>& views, std::size_t) {
    append(all, kept.runner.classify(views, top_k));
  });
  return all;
}

Predictions classify_tensor(KeptClassifier& kept, const FloatArray& tensor, int top_k) {
  const TensorView view = tensor_view(tensor);
  const py::gil_scoped_release released;
  Predictions all;
  append(all, kept.runner.classify(view, top_k));
  return all;
}

FloatArray logits(KeptClassifier& kept, const py::list& items, const std::string& order) {
  const Images images = kept.images(items, order);
  const auto classes = static_cast<std::size_t>(kept.runner.model().info().num_classes);
  FloatArray result({images.size(), classes});
  float* values = result.mutable_data();
  const py::gil_scoped_release released;
  images.for_batches(kept.batch(), [&](const std::vector<ImageView>& views, std::size_t first) {
    kept.runner.logits(views, OutputView{values + first * classes, views.size() * classes});
  });
  return result;
}

FloatArray logits_tensor(KeptClassifier& kept, const FloatArray& tensor) {
  const TensorView view = tensor_view(tensor);
  FloatArray result({view.batch, kept.runner.model().info().num_classes});
  const OutputView out{result.mutable_data(), static_cast<std::size_t>(result.size())};
  const py::gil_scoped_release released;
  kept.runner.logits(view, out);
  return result;
}

// The arrays of `batch` images of height x width: the maps that are wanted, and the embedding.
struct FeatureArrays {
  std::vector<FloatArray> maps;  // empty where it is not wanted
  FloatArray embedding;
  std::vector<OutputView> views;  // of one image: its first values
  std::size_t embedding_size;

  FeatureArrays(const Model& model, py::ssize_t batch, int height, int width,
                const std::vector<bool>& wanted)
      : embedding({batch, py::ssize_t{model.info().embedding_size}}),
        embedding_size(static_cast<std::size_t>(model.info().embedding_size)) {
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      FloatArray map(std::vector<py::ssize_t>{0, 0, 0, 0});
      OutputView view;
      if (wanted[k]) {
        const FeatureShape shape = model.feature_shape(static_cast<int>(k), height, width);
        map = FloatArray({batch, py::ssize_t{shape.channels}, py::ssize_t{shape.height},
                          py::ssize_t{shape.width}});
        view.data = map.mutable_data();
        view.size = static_cast<std::size_t>(shape.channels) *
                    static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
      }
      maps.push_back(std::move(map));
      views.push_back(view);
    }
    whole = embedding.mutable_data();
  }

  // Of `count` images from `first` on.
  std::vector<OutputView> maps_of(std::size_t first, std::size_t count) const {
    std::vector<OutputView> result = views;
    for (OutputView& view : result) {
      if (view.data == nullptr) continue;
      view.data += first * view.size;
      view.size *= count;
    }
    return result;
  }
  OutputView embedding_of(std::size_t first, std::size_t count) const {
    return {whole + first * embedding_size, count * embedding_size};
  }

 private:
  float* whole;
};

using FeatureResult = std::pair<std::vector<FloatArray>, FloatArray>;

FeatureResult features(KeptBackbone& kept, const py::list& items, const std::string& order,
                       const std::vector<bool>& wanted) {
  const Images images = kept.images(items, order);
  const Model& model = kept.runner.model();
  const int side = kept.options.image_size > 0 ? kept.options.image_size : model.info().image_size;
  FeatureArrays arrays(model, static_cast<py::ssize_t>(images.size()), side, side, wanted);
  {
    const py::gil_scoped_release released;
    images.for_batches(kept.batch(), [&](const std::vector<ImageView>& views, std::size_t first) {
      kept.runner.features(views, arrays.maps_of(first, views.size()),
                           arrays.embedding_of(first, views.size()));
    });
  }
  return {std::move(arrays.maps), std::move(arrays.embedding)};
}

FeatureResult features_tensor(KeptBackbone& kept, const FloatArray& tensor,
                              const std::vector<bool>& wanted) {
  const TensorView view = tensor_view(tensor);
  FeatureArrays arrays(kept.runner.model(), view.batch, view.height, view.width, wanted);
  const auto batch = static_cast<std::size_t>(view.batch);
  {
    const py::gil_scoped_release released;
    kept.runner.features(view, arrays.maps_of(0, batch), arrays.embedding_of(0, batch));
  }
  return {std::move(arrays.maps), std::move(arrays.embedding)};
}

}  // namespace

void add_classifier_and_backbone(py::module_& module) {
  py::class_<KeptClassifier>(module, "Classifier")
      .def(py::init(&make<KeptClassifier>), py::call_guard<py::gil_scoped_release>())
      .def("classify", &classify)
      .def("classify_tensor", &classify_tensor, py::arg().noconvert(), py::arg())
      .def("logits", &logits)
      .def("logits_tensor", &logits_tensor, py::arg().noconvert());
  py::class_<KeptBackbone>(module, "Backbone")
      .def(py::init(&make<KeptBackbone>), py::call_guard<py::gil_scoped_release>())
      .def("features", &features)
      .def("features_tensor", &features_tensor, py::arg().noconvert(), py::arg());
}

}  // namespace asmlp::python
