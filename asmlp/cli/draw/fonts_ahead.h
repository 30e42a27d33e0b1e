// The fonts of pictures, loaded while a model is read.
#pragma once

#include <future>

namespace asmlp::cli {

// The first text that a process draws takes some 25 ms: fontconfig and the font are read. That is
// more than a small network takes, so it happens on a thread from the beginning.
class FontsAhead {
 public:
  // Starts when pictures are `wanted`.
  explicit FontsAhead(bool wanted);
  // Before the first picture is drawn.
  void wait();

 private:
  std::future<void> loading_;
};

}  // namespace asmlp::cli
