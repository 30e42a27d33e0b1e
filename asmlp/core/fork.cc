#include "asmlp/core/fork.h"

#include <pthread.h>

#include <atomic>

namespace asmlp {
namespace {

std::atomic<unsigned> generation{0};

// Costs nothing per look, unlike getpid().
[[maybe_unused]] const int generation_forks =
    ::pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

unsigned fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

}  // namespace asmlp
