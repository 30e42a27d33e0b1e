// Any bytes as a tar shard: samples within the classes and notes of what was passed over, nothing
// else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "asmlp/dataset/shards/shards.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kClasses = 1000;
  asmlp::ShardReader reader(std::as_bytes(std::span(data, size)), "fuzz input", kClasses);
  size_t total = 0;
  while (const auto sample = reader.next()) {
    total += sample->bytes.size();
    // Bytes that are not in the archive cannot be in a sample.
    if (sample->target < 0 || sample->target >= kClasses || sample->bytes.empty() || total > size) {
      std::abort();
    }
  }
  for (const asmlp::Unreadable& bad : reader.take_unreadable()) {
    if (bad.message.empty() || bad.samples != 1) std::abort();
  }
  return 0;
}
