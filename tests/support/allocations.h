// How many allocations a test program of the engine has made so far.
#pragma once

#include <atomic>
#include <cstdint>

namespace asmlp::test {

extern std::atomic<int64_t> allocations;  // asmlp/engine/engine_test.cc counts

}  // namespace asmlp::test
