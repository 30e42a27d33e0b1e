#include "asmlp/torch/kernels/scratch.h"

#include <algorithm>
#include <new>
#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/torch/kernels/aligned_array.h"

namespace asmlp::nn {
namespace {

constexpr size_t kLeastChunk = size_t{4} << 20;

struct ScratchChunk {
  AlignedArray<std::byte> memory;
  size_t size = 0;
};

ScratchChunk make_chunk(size_t bytes) {
  return {make_aligned<std::byte>(static_cast<int64_t>(bytes)), bytes};
}

// Chunks are filled in order; the bytes before chunks[chunk].memory + used are taken.
struct ScratchMemory {
  std::vector<ScratchChunk> chunks;
  size_t chunk = 0, used = 0;
};

ScratchMemory& scratch_memory() {
  thread_local ScratchMemory memory;
  return memory;
}

}  // namespace

Scratch::Scratch() : chunk_(scratch_memory().chunk), used_(scratch_memory().used) {}

Scratch::~Scratch() {
  ScratchMemory& memory = scratch_memory();
  memory.chunk = chunk_, memory.used = used_;
  // With nothing taken, several chunks become one that would have held all of it.
  if (chunk_ != 0 || used_ != 0 || memory.chunks.size() < 2) return;
  size_t total = 0;
  for (const ScratchChunk& chunk : memory.chunks) total += chunk.size;
  memory.chunks.clear();
  try {
    memory.chunks.push_back(make_chunk(total));
  } catch (const std::bad_alloc&) {  // the next take() asks again
  }
}

void* Scratch::take_bytes(size_t bytes) {
  ScratchMemory& memory = scratch_memory();
  bytes =
      static_cast<size_t>(round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(kAlignment)));
  while (memory.chunk < memory.chunks.size() &&
         memory.chunks[memory.chunk].size - memory.used < bytes) {
    ++memory.chunk, memory.used = 0;
  }
  if (memory.chunk == memory.chunks.size()) {
    memory.chunks.push_back(make_chunk(std::max(bytes, kLeastChunk)));
  }
  std::byte* const place = memory.chunks[memory.chunk].memory.get() + memory.used;
  memory.used += bytes;
  return place;
}

}  // namespace asmlp::nn
