// Weights as arrays.
#include <asmlp/weights.hpp>

#include "native.h"

namespace asmlp::python {
namespace {

WeightOptions weight_options(std::pair<int, int> shift, const std::string& config) {
  return {shift.first, shift.second, config};
}

// (description, {name: array}, notes); the arrays are the library's own memory.
py::tuple load(const std::string& file, std::pair<int, int> shift, const std::string& config) {
  Weights weights;
  {
    const py::gil_scoped_release released;
    weights = load_weights(file, weight_options(shift, config));
  }
  py::dict tensors;
  for (WeightTensor& tensor : weights.tensors) {
    const std::vector<py::ssize_t> shape(tensor.shape.begin(), tensor.shape.end());
    tensors[py::str(tensor.name)] = array_of(std::move(tensor.values), shape);
  }
  return py::make_tuple(weights.description, tensors, weights.notes);
}

std::vector<std::string> save(const std::string& file,
                              const std::vector<std::pair<std::string, FloatArray>>& tensors,
                              std::pair<int, int> shift, const std::string& config) {
  std::vector<WeightView> views;
  for (const auto& [name, array] : tensors) {
    views.push_back({name, {array.shape(), array.shape() + array.ndim()}, array.data()});
  }
  const py::gil_scoped_release released;
  return save_weights(file, views, weight_options(shift, config));
}

}  // namespace

void add_weights(py::module_& module) {
  module.def("load_weights", &load);
  module.def("save_weights", &save);
}

}  // namespace asmlp::python
