#include "asmlp/report/run_json.h"

#include <dlfcn.h>
#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <torch/version.h>
#include <unistd.h>

#include <ctime>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::train {
namespace {

using Json = nlohmann::ordered_json;

// PRETTY_NAME of os-release(5), else the kernel's name.
std::string system_name() {
  utsname kernel{};
  ::uname(&kernel);
  const std::string kernel_name = fmt::format("{} {}", kernel.sysname, kernel.release);
  try {
    const std::string text = read_file("/etc/os-release", 1 << 16);
    const std::string key = "PRETTY_NAME=\"";
    const size_t at = text.find(key);
    if (at == text.npos) return kernel_name;
    const size_t from = at + key.size();
    return fmt::format("{}, {}", text.substr(from, text.find('"', from) - from), kernel_name);
  } catch (const Error&) {
    return kernel_name;
  }
}

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

Json machine_facts() {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host);
  host[sizeof host - 1] = '\0';
  Json isas = Json::array();
  for (const Isa isa : available_isas()) isas.push_back(to_string(isa));
  return {{"host", host},
          {"os", system_name()},
          {"cpu", cpu_name()},
          {"isas", isas},
          {"cores", available_cores()}};
}

Json library_facts() { return {{"libtorch", TORCH_VERSION}, {"blas", blas_name()}}; }

std::string utc_time() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

Json read_run_json(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return Json::object();
  Json run = Json::parse(read_file(path), nullptr, false);
  require(run.is_object(), ErrorCode::kBadFormat, "{}: is no JSON object", path.string());
  return run;
}

void write_run_json(const std::filesystem::path& path, const Json& run) {
  write_file_atomically(path, [&](std::ostream& out) {
    out << run.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  });
}

}  // namespace asmlp::train
