// What the operating system says of the processor.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// The cores that Arm designs and others build, by their part number.
struct ArmPart {
  unsigned number;
  const char* name;
};
constexpr std::array kArmParts = {
    ArmPart{0xd03, "Cortex-A53"},  ArmPart{0xd05, "Cortex-A55"},  ArmPart{0xd07, "Cortex-A57"},
    ArmPart{0xd08, "Cortex-A72"},  ArmPart{0xd09, "Cortex-A73"},  ArmPart{0xd0a, "Cortex-A75"},
    ArmPart{0xd0b, "Cortex-A76"},  ArmPart{0xd0c, "Neoverse N1"}, ArmPart{0xd0d, "Cortex-A77"},
    ArmPart{0xd40, "Neoverse V1"}, ArmPart{0xd41, "Cortex-A78"},  ArmPart{0xd44, "Cortex-X1"},
    ArmPart{0xd46, "Cortex-A510"}, ArmPart{0xd47, "Cortex-A710"}, ArmPart{0xd48, "Cortex-X2"},
    ArmPart{0xd49, "Neoverse N2"}, ArmPart{0xd4d, "Cortex-A715"}, ArmPart{0xd4e, "Cortex-X3"},
    ArmPart{0xd4f, "Neoverse V2"}, ArmPart{0xd80, "Cortex-A520"}, ArmPart{0xd81, "Cortex-A720"},
    ArmPart{0xd82, "Cortex-X4"},   ArmPart{0xd84, "Neoverse V3"}, ArmPart{0xd8e, "Neoverse N3"},
};

std::string arm_name(const std::string& implementer, const std::string& part) {
  if (std::strtoul(implementer.c_str(), nullptr, 16) == 0x41) {
    const unsigned long number = std::strtoul(part.c_str(), nullptr, 16);
    for (const ArmPart& one : kArmParts) {
      if (one.number == number) return one.name;
    }
  }
  return fmt::format("ARM processor (implementer {}, part {})", implementer, part);
}

std::string all_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string first_word(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// "2048K" or "1M" in bytes.
int64_t size_in_bytes(const std::string& text) {
  const int64_t number = std::atoll(text.c_str());
  const char unit = text.empty() ? ' ' : text.back();
  return number << (unit == 'K' ? 10 : unit == 'M' ? 20 : 0);
}

// How many numbers "0-3,8" has; at least 1.
int64_t count_of(const std::string& list) {
  int64_t count = 0;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string range = list.substr(begin, end - begin);
    const size_t dash = range.find('-');
    const int64_t first = std::atoll(range.c_str());
    const int64_t last = dash == std::string::npos ? first : std::atoll(range.c_str() + dash + 1);
    count += std::max<int64_t>(0, last - first + 1);
    begin = end + 1;
  }
  return std::max<int64_t>(1, count);
}

#if defined(__APPLE__)
int64_t system_number(const char* name) {
  int64_t value = 0;
  size_t size = sizeof value;
  return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}
#endif

// The lines "key : value" of a /proc/cpuinfo.
std::vector<std::pair<std::string, std::string>> entries_of(const std::string& cpuinfo) {
  std::vector<std::pair<std::string, std::string>> entries;
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    entries.emplace_back(line.substr(0, line.find_last_not_of(" \t:", colon) + 1),
                         line.substr(colon + 2));
  }
  return entries;
}

// How the features begin that cpu_features() lists, in the words of /proc/cpuinfo.
constexpr std::string_view kFeatures[] = {"avx",  "fma",  "f16c", "amx", "asimd",
                                          "fphp", "bf16", "i8mm", "sve"};

}  // namespace

std::string cpu_name_in(const std::string& cpuinfo, std::string board) {
  std::string implementer;
  std::vector<std::string> cores;  // the kinds of a processor of large and small cores
  for (const auto& [key, value] : entries_of(cpuinfo)) {
    if (key == "model name") return value;
    if (key == "Model") board = value;
    if (key == "CPU implementer") implementer = value;
    if (key == "CPU part") {
      const std::string name = arm_name(implementer, value);
      if (std::find(cores.begin(), cores.end(), name) == cores.end()) cores.push_back(name);
    }
  }
  if (cores.empty()) return board.empty() ? "unknown processor" : board;
  std::string names = cores.front();
  for (size_t i = 1; i < cores.size(); ++i) names += " + " + cores[i];
  return board.empty() ? names : fmt::format("{} ({})", names, board);
}

std::string cpu_name() {
#if defined(__APPLE__)
  char name[256] = {};
  size_t size = sizeof name - 1;
  if (::sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#endif
  std::string board = all_of("/proc/device-tree/model");
  if (const size_t end = board.find('\0'); end != std::string::npos) board.resize(end);
  return cpu_name_in(all_of("/proc/cpuinfo"), board);
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> features;
  for (const auto& [key, value] : entries_of(all_of("/proc/cpuinfo"))) {
    if (key != "flags" && key != "Features") continue;  // of x86, of ARM
    std::istringstream words(value);
    for (std::string word; words >> word;) {
      const auto begins = [&word = word](std::string_view start) {
        return word.starts_with(start);
      };
      if (std::any_of(std::begin(kFeatures), std::end(kFeatures), begins)) {
        features.push_back(word);
      }
    }
    break;  // of the first core
  }
  return features;
}

int64_t l2_cache_bytes_in(const std::filesystem::path& folder) {
  for (int index = 0;; ++index) {
    const auto cache = folder / fmt::format("index{}", index);
    const std::string level = first_word(cache / "level");
    if (level.empty()) return 0;
    if (level != "2" || first_word(cache / "type") == "Instruction") continue;
    return size_in_bytes(first_word(cache / "size")) /
           count_of(first_word(cache / "shared_cpu_list"));
  }
}

int64_t l2_cache_bytes() {
#if defined(__APPLE__)
  const int64_t size = system_number("hw.perflevel0.l2cachesize");
  const int64_t cores = system_number("hw.perflevel0.cpusperl2");
  return size > 0 ? size / std::max<int64_t>(1, cores) : system_number("hw.l2cachesize");
#else
#if defined(_SC_LEVEL2_CACHE_SIZE)
  // Of x86 the C library asks the processor; of ARM it knows nothing.
  if (const long bytes = ::sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) return bytes;
#endif
  return l2_cache_bytes_in("/sys/devices/system/cpu/cpu0/cache");
#endif
}

}  // namespace asmlp
