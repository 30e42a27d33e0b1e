// Memory that could not be had: with what it was for, and in the words of other libraries; and how
// much is left.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace asmlp {

// A std::bad_alloc that says what the memory was for and how much it was.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(const std::string& message) : text_(message) {}
  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;  // copied without an allocation, as an exception must be
};

// Returns make(), in which memory for `what` of `bytes` bytes is taken: a std::bad_alloc of it
// leaves as an OutOfMemory that says both.
template <typename Make>
decltype(auto) with_memory_for(const std::string& what, double bytes, const Make& make) {
  try {
    return make();
  } catch (const OutOfMemory&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(fmt::format("out of memory: {} needs {:.3g} MB, which the system refuses",
                                  what, bytes / 1e6));
  }
}

// What to tell a user about an exception of any library.
struct ExceptionText {
  bool out_of_memory = false;  // also of LibTorch's allocators, whose exceptions have no type
  std::string message;         // without C++ frames and source lines; sizes stay
};
ExceptionText explain_exception(const std::exception& error);

// Memory that processes can still take without swapping, in bytes: the system's estimate, what the
// cgroup leaves, or what `ulimit -v` leaves this process, whichever is least. 0 when nobody says.
int64_t available_memory();

}  // namespace asmlp
