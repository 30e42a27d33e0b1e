#include "asmlp/report/machine.h"

#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/report/build_info.h"

namespace asmlp {
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

}  // namespace

Json machine_facts() {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host);
  host[sizeof host - 1] = '\0';
  Json isas = Json::array();
  for (const Isa isa : available_isas()) isas.push_back(to_string(isa));
  return {{"host", host},      {"os", system_name()},
          {"cpu", cpu_name()}, {"features", cpu_features()},
          {"isas", isas},      {"cores", available_cores()}};
}

std::string utc_time() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

Json measurement_document() {
  const BuildInfo build = build_info();
  const Json machine = machine_facts();
  return {{"machine",
           {{"cpu", machine["cpu"]},
            {"cores", machine["cores"]},
            {"isas", machine["isas"]},
            {"features", machine["features"]}}},
          {"build",
           {{"version", build.version},
            {"commit", build.commit},
            {"compiler", build.compiler},
            {"type", build.type}}},
          {"date", utc_time()},
          {"rows", Json::array()}};
}

}  // namespace asmlp
