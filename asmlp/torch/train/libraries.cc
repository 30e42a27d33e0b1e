#include "asmlp/torch/train/libraries.h"

#include <dlfcn.h>
#include <torch/version.h>

#include <filesystem>
#include <string>

namespace asmlp::train {
namespace {

// LibTorch calls BLAS by its Fortran names; whose they are is decided when the program is loaded.
// (It need not be the OpenBLAS of our own products: the wheels bring MKL inside libtorch_cpu.)
std::string blas_name() {
  Dl_info product{}, openblas{};
  void* sgemm = ::dlsym(RTLD_DEFAULT, "sgemm_");
  if (!sgemm || ::dladdr(sgemm, &product) == 0 || !product.dli_fname) return "inside LibTorch";
  using Configuration = const char*();
  void* config = ::dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (config && ::dladdr(config, &openblas) != 0 && openblas.dli_fbase == product.dli_fbase) {
    return reinterpret_cast<Configuration*>(config)();
  }
  std::error_code error;
  const auto file = std::filesystem::canonical(product.dli_fname, error);
  return error ? product.dli_fname : file.string();
}

}  // namespace

nlohmann::ordered_json library_facts() {
  return {{"libtorch", TORCH_VERSION}, {"blas", blas_name()}};
}

}  // namespace asmlp::train
