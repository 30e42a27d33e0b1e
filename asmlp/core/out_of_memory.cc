#include "asmlp/core/out_of_memory.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace asmlp {
namespace {

// LibTorch appends the C++ frames, and its checks begin with the source line.
std::string without_frames(std::string text) {
  for (const char* mark : {"\nException raised from ", "Exception raised from ", "\nframe #"}) {
    if (const size_t at = text.find(mark); at != std::string::npos) text.resize(at);
  }
  for (const char* check : {"[enforce fail at ", "[enforce fail "}) {
    const size_t begin = text.find(check), end = text.find("] . ", begin);
    if (begin != std::string::npos && end != std::string::npos) text.erase(begin, end + 4 - begin);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// What the system said no to; "" for another reason.
std::string refused(const std::error_code& code) {
  if (code.category() != std::system_category() && code.category() != std::generic_category()) {
    return "";
  }
  switch (code.value()) {
    case EAGAIN:
      return "the system gives this process no further thread; see `ulimit -u` and `ulimit -v`, "
             "or use fewer threads";
    case EMFILE:
    case ENFILE:
      return "the system gives this process no further file or socket; see `ulimit -n`";
    default:
      return "";
  }
}

}  // namespace

ExceptionText explain_exception(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const OutOfMemory*>(&error)) return {true, ours->what()};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return {true, "out of memory"};
  const std::string text = without_frames(error.what());
  if (text.find("CUDA out of memory") != std::string::npos) return {true, text};
  constexpr const char* kTried = "you tried to allocate ";
  if (const size_t at = text.find(kTried); at != std::string::npos) {
    const double bytes = std::strtod(text.c_str() + at + std::string(kTried).size(), nullptr);
    return {true, fmt::format("out of memory: a tensor needs {:.3g} MB, which the system refuses",
                              bytes / 1e6)};
  }
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    const std::string reason = refused(system->code());
    if (!reason.empty()) return {false, reason + " (" + text + ")"};
  }
  return {false, text};
}

}  // namespace asmlp
