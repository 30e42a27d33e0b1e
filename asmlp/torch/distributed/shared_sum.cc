#include "asmlp/torch/distributed/shared_sum.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

template <typename T>
void add(const void* from, void* to, int64_t bytes) {
  const auto* in = static_cast<const T*>(from);
  auto* out = static_cast<T*>(to);
  for (int64_t i = 0; i < bytes / int64_t{sizeof(T)}; ++i) out[i] += in[i];
}

}  // namespace

// A process's part of the memory. What it gives to a sum stays until all have come to the next one:
// the one after that has the same buffer.
struct SharedSum::Member {
  alignas(64) std::atomic<uint32_t> turn;  // of the last sum that this process has come to
  std::atomic<uint32_t> asleep;            // whether it waits for another one's turn
  struct alignas(64) Part {
    int64_t bytes;
    int32_t type;  // torch::ScalarType
    alignas(64) char values[kCapacity];
  } parts[2];
};

size_t SharedSum::bytes_of(int size) { return static_cast<size_t>(size) * sizeof(Member); }

std::unique_ptr<SharedSum> SharedSum::create(int rank, int size) {
  return std::unique_ptr<SharedSum>(
      new SharedSum(SharedMemory::create(bytes_of(size)), rank, size));
}

std::unique_ptr<SharedSum> SharedSum::open(const std::string& name, int rank, int size) {
  auto memory = SharedMemory::open(name, bytes_of(size));
  if (!memory) return nullptr;
  return std::unique_ptr<SharedSum>(new SharedSum(std::move(memory), rank, size));
}

SharedSum::Member& SharedSum::member(int rank) const {
  return static_cast<Member*>(
      memory_->data())[rank];  // zeros at first, which are its atomics' values
}

bool SharedSum::takes(const torch::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.is_cpu() && tensor.numel() > 0 &&
         static_cast<int64_t>(tensor.nbytes()) <= kCapacity &&
         (type == torch::kFloat || type == torch::kDouble || type == torch::kInt64);
}

bool SharedSum::sum(torch::Tensor& tensor, const Patience& patience) {
  const auto values = tensor.contiguous();
  const auto bytes = static_cast<int64_t>(values.nbytes());
  const uint32_t turn = ++turn_;
  const size_t buffer = turn % 2;
  Member::Part& mine = member(rank_).parts[buffer];
  mine.bytes = bytes;
  mine.type = static_cast<int32_t>(values.scalar_type());
  std::memcpy(mine.values, values.data_ptr(), static_cast<size_t>(bytes));
  // Sequentially consistent: a process that is about to sleep is seen, or has seen the turn.
  member(rank_).turn.store(turn);
  bool sleepers = false;
  for (int peer = 0; peer < size_; ++peer) sleepers |= member(peer).asleep.load() != 0;
  if (sleepers) wake(member(rank_).turn);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    if (!await_turn(member(peer).turn, turn, member(rank_).asleep, patience)) return false;
  }
  auto total = torch::zeros_like(values);
  for (int peer = 0; peer < size_; ++peer) {
    const Member::Part& theirs = member(peer).parts[buffer];
    require(theirs.bytes == bytes && theirs.type == mine.type, ErrorCode::kMismatch,
            "rank {} adds {} bytes of {}, rank {} {} bytes of {}: the processes are not in the "
            "same step; start all with the same options and data",
            rank_, bytes, c10::toString(values.scalar_type()), peer, theirs.bytes,
            c10::toString(static_cast<torch::ScalarType>(theirs.type)));
    const void* part = theirs.values;
    switch (values.scalar_type()) {
      case torch::kFloat:
        add<float>(part, total.data_ptr(), bytes);
        break;
      case torch::kDouble:
        add<double>(part, total.data_ptr(), bytes);
        break;
      default:
        add<int64_t>(part, total.data_ptr(), bytes);
    }
  }
  tensor.copy_(total);
  return true;
}

}  // namespace asmlp::dist
