#include "asmlp/torch/distributed/world.h"

#include <torch/torch.h>

#include <algorithm>
#include <numeric>

namespace asmlp::dist {
namespace {

class SingleSync : public GradientSync {
 public:
  void before_backward(const torch::Tensor&, bool) override {}
  void after_backward() override {}
};

class SingleWorld : public World {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  void broadcast(const std::vector<torch::Tensor>&) override {}
  void all_reduce(torch::Tensor&) override {}
  void barrier() override {}
  std::unique_ptr<GradientSync> synchronize(const std::vector<torch::Tensor>&) override {
    return std::make_unique<SingleSync>();
  }
  void explain(const std::exception&) override {}
};

}  // namespace

GradientSync::~GradientSync() = default;
World::~World() = default;

std::unique_ptr<World> single_world() { return std::make_unique<SingleWorld>(); }

bool any(World& world, bool mine) {
  torch::Tensor count = torch::tensor(mine ? 1 : 0, torch::kInt64);
  world.all_reduce(count);
  return count.item<int64_t>() > 0;
}

std::vector<std::string> all_gather(World& world, const std::string& mine) {
  if (world.size() == 1) return {mine};
  torch::Tensor lengths = torch::zeros({world.size()}, torch::kInt64);
  lengths[world.rank()] = static_cast<int64_t>(mine.size());
  world.all_reduce(lengths);
  const int64_t* length = lengths.data_ptr<int64_t>();
  // Every process fills its own part of all the bytes, the others leave it 0.
  torch::Tensor bytes = torch::zeros({lengths.sum().item<int64_t>()}, torch::kUInt8);
  const auto begin_of = [&](int rank) {
    return std::accumulate(length, length + rank, int64_t{0});
  };
  std::ranges::copy(mine, bytes.data_ptr<uint8_t>() + begin_of(world.rank()));
  if (bytes.numel() > 0) world.all_reduce(bytes);
  std::vector<std::string> all;
  for (int rank = 0; rank < world.size(); ++rank) {
    const uint8_t* begin = bytes.data_ptr<uint8_t>() + begin_of(rank);
    all.emplace_back(begin, begin + length[rank]);
  }
  return all;
}

}  // namespace asmlp::dist
