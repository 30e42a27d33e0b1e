// Sums of few numbers between the processes of one machine, through memory that they share.
//
// A batch norm over several processes asks for a sum of some hundred bytes twice per layer and
// step. Through gloo each costs three wake-ups and a way through TCP in every process: half of the
// processor's time in the training of a small segmentor. Here it is a copy and a look at a counter.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>

#include "asmlp/torch/distributed/shared_memory.h"

namespace asmlp::dist {

class SharedSum {
 public:
  // The largest tensor, in bytes.
  static constexpr int64_t kCapacity = 32 << 10;

  // Memory for `size` processes: for rank 0, which gives `name()` to the others. Error(kIo) when
  // the system has none to share.
  static std::unique_ptr<SharedSum> create(int rank, int size);
  // The same memory in another process, or null where it cannot be seen: on another machine.
  static std::unique_ptr<SharedSum> open(const std::string& name, int rank, int size);

  const std::string& name() const { return memory_->name(); }
  // When all have opened it.
  void drop_name() { memory_->drop_name(); }

  // Whether sum() takes such a tensor: on CPU, fp32, fp64 or int64, up to kCapacity bytes.
  static bool takes(const torch::Tensor& tensor);
  // Collective, in place: added in the order of the ranks, the same bits everywhere. False when a
  // process has not come within the limit; sums cannot go on then. Error(kMismatch) when the
  // tensors of two processes differ in bytes or type.
  bool sum(torch::Tensor& tensor, const Patience& patience);

 private:
  struct Member;
  SharedSum(std::shared_ptr<SharedMemory> memory, int rank, int size)
      : memory_(std::move(memory)), rank_(rank), size_(size) {}
  static size_t bytes_of(int size);
  Member& member(int rank) const;

  std::shared_ptr<SharedMemory> memory_;
  int rank_, size_;
  uint32_t turn_ = 0;  // of the last sum; it may wrap
};

}  // namespace asmlp::dist
