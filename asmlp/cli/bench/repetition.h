// How often something is measured.
#pragma once

namespace asmlp::cli {

struct Repetition {
  int threads = 0;  // 0: all usable cores
  int runs = 0;     // timed, of each kind
  int warmup = 0;   // of each kind before those
};

}  // namespace asmlp::cli
