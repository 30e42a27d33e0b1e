#include "native.h"

namespace asmlp::python {
namespace {

// asmlp.Error of Python, which asmlp/errors.py defines: Error(code, message).
void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const Error& error) {
    const py::object type = py::module_::import("asmlp.errors").attr("Error");
    PyErr_SetObject(type.ptr(), py::make_tuple(to_string(error.code()), error.what()).ptr());
  }
}

}  // namespace
}  // namespace asmlp::python

PYBIND11_MODULE(_native, module) {
  using namespace asmlp::python;
  module.doc() = "libasmlp for the classes of this package; see asmlp.";
  py::register_exception_translator(translate);
  module.def("version", &asmlp::version);
  add_models(module);
  add_classifier_and_backbone(module);
  add_dense(module);
  add_weights(module);
}
