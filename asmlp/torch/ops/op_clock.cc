#include "asmlp/torch/ops/op_clock.h"

#include <utility>

namespace asmlp::nn {
namespace {

std::function<void(const OpRecord&)>& operator_listener() {
  static std::function<void(const OpRecord&)> listener;
  return listener;
}

}  // namespace

void listen_to_operators(std::function<void(const OpRecord&)> listener) {
  operator_listener() = std::move(listener);
}

OpClock::OpClock(const char* name, bool backward, int64_t channels, int64_t multiply_adds,
                 int64_t bytes)
    : record_{name, backward, channels, multiply_adds, bytes, 0} {
  if (operator_listener()) begin_ = std::chrono::steady_clock::now();
}

OpClock::~OpClock() {
  if (!operator_listener()) return;
  record_.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  operator_listener()(record_);
}

}  // namespace asmlp::nn
