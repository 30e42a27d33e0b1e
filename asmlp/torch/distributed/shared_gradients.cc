#include "asmlp/torch/distributed/shared_gradients.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

// Large enough that what a bucket costs beside its bytes (some looks at counters) does not matter,
// small enough that the last one, for which backward leaves no time, is quick.
constexpr int64_t kBucketBytes = 4 << 20;
constexpr int64_t kLine = 64;  // bytes

int64_t padded(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

// Where the gradients are in a process's part of the memory: from the last parameter, whose
// gradient comes first, to the first one.
struct GradientLayout {
  struct Bucket {
    int64_t begin = 0, end = 0;  // bytes
    int parameters = 0;
  };
  std::vector<int64_t> offsets;  // of each parameter
  std::vector<size_t> bucket_of;
  std::vector<Bucket> buckets;
  int64_t bytes = 0;

  explicit GradientLayout(const std::vector<torch::Tensor>& parameters)
      : offsets(parameters.size()), bucket_of(parameters.size()) {
    for (size_t i = parameters.size(); i-- > 0;) {
      if (buckets.empty() || buckets.back().end - buckets.back().begin >= kBucketBytes) {
        buckets.push_back({bytes, bytes, 0});
      }
      offsets[i] = bytes;
      bucket_of[i] = buckets.size() - 1;
      bytes += padded(static_cast<int64_t>(parameters[i].nbytes()));
      buckets.back().end = bytes;
      ++buckets.back().parameters;
    }
  }
  // Of a process: `asleep`, `done`, and two per bucket.
  int64_t turn_bytes() const {
    return padded(static_cast<int64_t>((2 + 2 * buckets.size()) * sizeof(Turn)));
  }
};

// to = the mean of `count` numbers of each, added in the order of the ranks.
template <typename T>
void mean_of(const std::vector<const T*>& from, int64_t count, T* to) {
  constexpr int64_t kBlock = 1024;
  const T factor = T(1) / static_cast<T>(from.size());
  at::parallel_for(0, count, 16 * kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kBlock) {
      const int64_t size = std::min(kBlock, end - first);
      T sums[kBlock];
      std::copy_n(from[0] + first, size, sums);
      for (size_t k = 1; k < from.size(); ++k) {
        const T* const more = from[k] + first;
        for (int64_t i = 0; i < size; ++i) sums[i] += more[i];
      }
      for (int64_t i = 0; i < size; ++i) to[first + i] = sums[i] * factor;
    }
  });
}

}  // namespace

// The memory: the turns of each process, the gradients of each process, and their means.
struct SharedGradients::State {
  State(const std::vector<torch::Tensor>& trained, std::shared_ptr<SharedMemory> shared,
        Place where)
      : parameters(trained), layout(trained), memory(std::move(shared)), place(std::move(where)) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      mine.push_back(view(part(place.rank), i));
      means.push_back(view(part(place.size), i));
    }
  }

  std::byte* part(int rank) const {
    return static_cast<std::byte*>(memory->data()) + place.size * layout.turn_bytes() +
           rank * layout.bytes;
  }
  torch::Tensor view(std::byte* begin, size_t i) const {
    return torch::from_blob(begin + layout.offsets[i], parameters[i].sizes(),
                            parameters[i].options().requires_grad(false));
  }
  Turn& turn(int rank, size_t index) const {
    auto* const turns = reinterpret_cast<Turn*>(static_cast<std::byte*>(memory->data()) +
                                                rank * layout.turn_bytes());
    return turns[index];
  }
  std::atomic<uint32_t>& asleep(int rank) const { return turn(rank, 0); }
  Turn& done(int rank) const { return turn(rank, 1); }
  Turn& given(int rank, size_t bucket) const { return turn(rank, 2 + 2 * bucket); }
  Turn& added(int rank, size_t bucket) const { return turn(rank, 3 + 2 * bucket); }

  void announce(Turn& mine_of_step) const {
    mine_of_step.store(step);
    for (int peer = 0; peer < place.size; ++peer) {
      if (asleep(peer).load() != 0) return wake(mine_of_step);
    }
  }
  // Whether all processes have come to the turn of this step; `wait` until then.
  template <typename TurnOf>
  bool all_have(const TurnOf& turn_of, uint32_t which, bool wait) const {
    for (int peer = 0; peer < place.size; ++peer) {
      Turn& theirs = turn_of(peer);
      if (has_come(theirs, which)) continue;
      if (!wait) return false;
      if (!await_turn(theirs, which, asleep(place.rank), place.patience)) place.on_timeout();
    }
    return true;
  }

  // The gradient of parameter i is complete.
  void take(size_t i) {
    // The others may still be reading what this process gave last.
    if (arrived++ == 0) all_have([&](int rank) -> Turn& { return done(rank); }, step - 1, true);
    const torch::NoGradGuard no_grad;
    mine[i].copy_(parameters[i].grad());
    const size_t bucket = layout.bucket_of[i];
    if (--left[bucket] > 0) return;
    announce(given(place.rank, bucket));
    order.push_back(bucket);
    advance(false);
  }

  // Does what can be done with the buckets that this process has given; with `wait` all of it.
  void advance(bool wait) {
    for (; next_added < order.size(); ++next_added) {
      const size_t bucket = order[next_added];
      if (!all_have([&](int rank) -> Turn& { return given(rank, bucket); }, step, wait)) break;
      add(bucket);
      announce(added(place.rank, bucket));
    }
    for (; next_fetched < next_added; ++next_fetched) {
      const size_t bucket = order[next_fetched];
      if (!all_have([&](int rank) -> Turn& { return added(rank, bucket); }, step, wait)) break;
      fetch(bucket);
    }
  }

  // This process's part of the bucket's means.
  void add(size_t bucket) const {
    const auto [begin, end, count] = layout.buckets[bucket];
    const int64_t lines = (end - begin) / kLine;
    const int64_t first = begin + lines * place.rank / place.size * kLine;
    const int64_t last = begin + lines * (place.rank + 1) / place.size * kLine;
    const auto run = [&](auto type) {
      using T = decltype(type);
      std::vector<const T*> from;
      for (int rank = 0; rank < place.size; ++rank) {
        from.push_back(reinterpret_cast<const T*>(part(rank) + first));
      }
      mean_of<T>(from, (last - first) / int64_t{sizeof(T)},
                 reinterpret_cast<T*>(part(place.size) + first));
    };
    if (parameters.front().scalar_type() == torch::kDouble) return run(double());
    run(float());
  }

  void fetch(size_t bucket) {
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (layout.bucket_of[i] == bucket) parameters[i].mutable_grad().copy_(means[i]);
    }
  }

  std::vector<torch::Tensor> parameters;
  GradientLayout layout;
  std::shared_ptr<SharedMemory> memory;
  Place place;
  // An accumulator, and with it our hook, lives as long as somebody holds it.
  std::vector<decltype(torch::autograd::impl::grad_accumulator(torch::Tensor()))> accumulators;
  std::vector<torch::Tensor> mine, means;  // views of the memory, one per parameter
  uint32_t step = 0;
  bool active = false;                      // in the last backward of a step
  size_t arrived = 0;                       // gradients
  std::vector<int> left;                    // of each bucket's gradients
  std::vector<size_t> order;                // of the buckets that are complete here
  size_t next_added = 0, next_fetched = 0;  // in that order
};

namespace {

// Calls `then` when the gradient of a parameter has been added to its grad.
class AfterAccumulation : public torch::autograd::FunctionPostHook {
 public:
  explicit AfterAccumulation(std::function<void()> then) : then_(std::move(then)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    then_();
    return outputs;
  }

 private:
  std::function<void()> then_;
};

}  // namespace

bool SharedGradients::takes(const std::vector<torch::Tensor>& parameters) {
  return std::ranges::all_of(parameters, [&](const torch::Tensor& p) {
    return p.is_cpu() && p.scalar_type() == parameters.front().scalar_type() &&
           (p.scalar_type() == torch::kFloat || p.scalar_type() == torch::kDouble);
  });
}

size_t SharedGradients::bytes(const std::vector<torch::Tensor>& parameters, int size) {
  const GradientLayout layout(parameters);
  return static_cast<size_t>(size * layout.turn_bytes() + (size + 1) * layout.bytes);
}

SharedGradients::SharedGradients(const std::vector<torch::Tensor>& parameters,
                                 std::shared_ptr<SharedMemory> memory, Place place)
    : state_(std::make_shared<State>(parameters, std::move(memory), std::move(place))) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::weak_ptr<State> weak = state_;
    auto accumulator = torch::autograd::impl::grad_accumulator(parameters[i]);
    accumulator->add_post_hook(std::make_unique<AfterAccumulation>([weak, i] {
      const auto state = weak.lock();
      if (state && state->active) state->take(i);
    }));
    state_->accumulators.push_back(std::move(accumulator));
  }
}

void SharedGradients::before_backward(const torch::Tensor&, bool complete) {
  State& s = *state_;
  s.active = complete;
  if (!complete) return;
  ++s.step;
  s.arrived = s.next_added = s.next_fetched = 0;
  s.order.clear();
  s.left.clear();
  for (const GradientLayout::Bucket& bucket : s.layout.buckets) s.left.push_back(bucket.parameters);
}

void SharedGradients::after_backward() {
  State& s = *state_;
  if (!std::exchange(s.active, false)) return;
  require(s.arrived == s.parameters.size(), ErrorCode::kInvalidArgument,
          "of {} parameters, {} got no gradient: the loss must depend on all of them, in every "
          "process",
          s.parameters.size(), s.parameters.size() - s.arrived);
  s.advance(true);
  s.announce(s.done(s.place.rank));
}

}  // namespace asmlp::dist
