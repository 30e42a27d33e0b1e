// Models, and what is known of them.
#include <array>

#include "native.h"

namespace asmlp::python {
namespace {

// The value whose name this is, of those up to `last`.
template <typename Enum>
Enum named(const std::string& name, Enum last, const char* what) {
  std::string known;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    const char* candidate = to_string(static_cast<Enum>(i));
    if (name == candidate) return static_cast<Enum>(i);
    known += (i > 0 ? ", " : "") + std::string(candidate);
  }
  throw Error(ErrorCode::kInvalidArgument,
              std::string(what) + " is '" + name + "', must be one of " + known);
}

py::dict info_of(const Model& model) {
  const ModelInfo& info = model.info();
  py::list features;
  for (const FeatureInfo& f : info.features) {
    features.append(py::make_tuple(f.name, f.channels, f.stride));
  }
  using namespace py::literals;
  return py::dict("name"_a = info.name, "task"_a = to_string(info.task),
                  "is_classifier"_a = info.is_classifier, "in_channels"_a = info.in_channels,
                  "num_classes"_a = info.num_classes, "image_size"_a = info.image_size,
                  "embedding_size"_a = info.embedding_size, "features"_a = features,
                  "classes"_a = info.classes, "parameters"_a = info.parameters,
                  "multiply_adds"_a = info.multiply_adds, "precision"_a = to_string(info.precision),
                  "isa"_a = to_string(info.isa), "description"_a = info.description,
                  "short_side"_a = info.short_side, "long_side"_a = info.long_side);
}

// (model, notes)
std::pair<std::shared_ptr<Model>, std::vector<std::string>> load(const std::string& file,
                                                                 const std::string& precision,
                                                                 const std::string& isa,
                                                                 std::pair<int, int> shift,
                                                                 const std::string& config) {
  LoadOptions options;
  options.precision = named(precision, Precision::kInt8, "precision");
  options.isa = named(isa, Isa::kAvx512Amx, "isa");
  std::tie(options.shift_h, options.shift_w) = shift;
  options.config = config;
  LoadResult loaded = load_model(file, options);
  return {std::const_pointer_cast<Model>(loaded.model), std::move(loaded.notes)};
}

}  // namespace

void add_models(py::module_& module) {
  py::class_<Model, std::shared_ptr<Model>>(module, "Model")
      .def("info", &info_of)
      .def("feature_shape", [](const Model& model, int feature, int height, int width) {
        const FeatureShape shape = model.feature_shape(feature, height, width);
        return std::array<int, 3>{shape.channels, shape.height, shape.width};
      });
  module.def("load_model", &load, py::call_guard<py::gil_scoped_release>());
}

}  // namespace asmlp::python
