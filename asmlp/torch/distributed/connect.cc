#include "asmlp/torch/distributed/connect.h"

#include <torch/torch.h>
#include <unistd.h>

#include <exception>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/torch/distributed/shared_gradients.h"
#include "asmlp/torch/distributed/shared_sum.h"
#include "asmlp/torch/distributed/system_limits.h"
#include "asmlp/torch/distributed/token_store.h"

namespace asmlp::dist {
namespace {

using Clock = std::chrono::steady_clock;
using StorePtr = c10::intrusive_ptr<c10d::Store>;

constexpr std::chrono::milliseconds kJoinPause{50};

// The flattened pieces in which broadcast() sends many tensors: as PyTorch's
// DistributedDataParallel.
constexpr size_t kBroadcastBytes = size_t{250} << 20;

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string text_of(c10d::Store& store, const std::string& key) {
  const std::vector<uint8_t> bytes = store.get(key);
  return {bytes.begin(), bytes.end()};
}

std::string key(const char* what, int rank) {
  return std::string(what) + "/" + std::to_string(rank);
}

std::string meeting_point(const Rendezvous& r) { return fmt::format("{}:{}", r.address, r.port); }

// Rank 0's machine and process: "node7, process 4711".
std::string own_name() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("{}, process {}", host, ::getpid());
}

std::shared_ptr<StoreServer> open_server(const Rendezvous& r, bool one_machine) {
  if (r.rank != 0) return nullptr;
  ServerOptions options;
  options.reach = one_machine ? Reach::kMachine : Reach::kNetwork;
  options.address = r.address;
  options.port = r.port;
  options.token = r.token;
  return std::make_shared<StoreServer>(options);
}

// A way to the store: rank 0's does not depend on the network.
StorePtr open_store(const Rendezvous& r, const std::shared_ptr<StoreServer>& server,
                    std::chrono::milliseconds limit) {
  if (server) return c10::make_intrusive<TokenStore>(server, limit);
  try {
    return c10::make_intrusive<TokenStore>(r.address, r.port, r.token, limit);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) throw;
    fail(
        ErrorCode::kIo,
        "rank {} of {} cannot reach rank 0 at {} within {:.3g} s: does it run, are MASTER_ADDR and "
        "MASTER_PORT right, does a firewall let the port through? ({})",
        r.rank, r.size, meeting_point(r), std::chrono::duration<double>(limit).count(),
        explain_exception(error).message);
  }
}

// Where the processes of one machine meet nobody else does.
Rendezvous settled(Rendezvous r) {
  if (on_one_machine(r)) {
    r.address = kLoopback;
  } else {
    require(!r.token.empty(), ErrorCode::kInvalidArgument,
            "{} has started this process as rank {} of {} on several machines, which have to know "
            "one another: give all of them the same secret in the environment variable {}, which "
            "`openssl rand -hex 32` makes (mpirun of Open MPI: -x {}; torchrun: on every machine)",
            r.source, r.rank, r.size, kTokenVariable, kTokenVariable);
  }
  return r;
}

// Everyone says who it is; returns the names when all have. (Of other ranks than 0, only rank 0's
// is needed and asked for.)
std::vector<std::string> join(c10d::Store& store, const Rendezvous& r, Clock::time_point deadline) {
  const int64_t taken = store.add(key("join", r.rank), 1);
  require(
      taken == 1, ErrorCode::kMismatch,
      "two processes of the run at {} call themselves rank {}: give every process a RANK of its "
      "own, or the runs different ports",
      meeting_point(r), r.rank);
  store.set(key("who", r.rank), bytes_of(fmt::format("{} {}", r.size, own_name())));
  std::vector<std::string> names;
  for (int peer = 0; peer < r.size; ++peer) names.push_back(fmt::format("rank {}", peer));

  const auto await = [&](const std::string& name) {
    while (!store.check({name})) {
      if (Clock::now() >= deadline) return false;
      std::this_thread::sleep_for(kJoinPause);
    }
    return true;
  };
  if (r.rank != 0) {
    const bool all = await("all");
    require(
        all, ErrorCode::kIo,
        "rank {} of {} reached the meeting point {}, but not all processes came; rank 0 says which",
        r.rank, r.size, meeting_point(r));
    if (const std::string problem = text_of(store, "all"); !problem.empty()) {
      fail(ErrorCode::kMismatch, "{}", problem);
    }
    names[0] += fmt::format(
        " ({})", text_of(store, key("who", 0)).substr(text_of(store, key("who", 0)).find(' ') + 1));
    return names;
  }
  std::string missing, problem;
  for (int peer = 0; peer < r.size; ++peer) {
    if (!await(key("who", peer))) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", peer);
      continue;
    }
    const std::string who = text_of(store, key("who", peer));
    const std::string name = who.substr(who.find(' ') + 1);
    names[static_cast<size_t>(peer)] += fmt::format(" ({})", name);
    if (std::stoi(who) != r.size && problem.empty()) {
      problem = fmt::format(
          "rank 0 was started as one of {} processes, rank {} ({}) as one of {}: start all with "
          "the "
          "same number (WORLD_SIZE)",
          r.size, peer, name, std::stoi(who));
    }
  }
  require(
      missing.empty(), ErrorCode::kIo,
      "of the {} processes, these did not come to {}: rank {}. Were they started, do they have the "
      "same MASTER_ADDR and MASTER_PORT?",
      r.size, meeting_point(r), missing);
  store.set("all", bytes_of(problem));
  if (!problem.empty()) {
    std::this_thread::sleep_for(4 * kJoinPause);  // until the others have read it
    fail(ErrorCode::kMismatch, "{}", problem);
  }
  return names;
}

class ConnectedWorld : public World {
 public:
  ConnectedWorld(const Rendezvous& r, const ConnectOptions& options)
      : rendezvous_(settled(r)),
        transport_(options.transport),
        collective_limit_(options.collective_limit),
        exceptions_(std::uncaught_exceptions()) {
    const Clock::time_point deadline = Clock::now() + options.join_limit;
    const Rendezvous& here = rendezvous_;
    server_ = open_server(here, on_one_machine(here));
    store_ = open_store(here, server_, options.join_limit);
    std::vector<std::string> names;
    try {
      names = join(*store_, here, deadline);
    } catch (const std::exception& error) {
      const auto* known = dynamic_cast<const Error*>(&error);
      const bool broken = known && std::string(known->what()).starts_with(kBrokenStore);
      if (known && !broken) throw;
      fail(ErrorCode::kIo,
           "rank {} of {}: the meeting at {} broke off: rank 0 was killed or failed ({})", r.rank,
           r.size, meeting_point(here), explain_exception(error).message);
    }
    const StorePtr watched = open_store(here, server_, options.join_limit);
    watch_.emplace(c10::make_intrusive<c10d::PrefixStore>("watch", watched), r.rank,
                   std::move(names), options.watch);
    guarded([&] {
      group_ =
          make_process_group(transport_, c10::make_intrusive<c10d::PrefixStore>("group", store_),
                             r.rank, r.size, here.address, options.collective_limit);
      if (options.local_sums == LocalSums::kMemory) share_memory();
    });
  }

  ~ConnectedWorld() override {
    // The group goes first: it may wait for a peer that is gone, and then only the Watch can end
    // that.
    if (std::uncaught_exceptions() > exceptions_) {
      watch_->fail();
    } else {
      watch_->end();
    }
    group_.reset();
  }

  int rank() const override { return rendezvous_.rank; }
  int size() const override { return rendezvous_.size; }
  int local_rank() const override { return rendezvous_.local_rank; }

  void broadcast(const std::vector<torch::Tensor>& tensors) override {
    const torch::NoGradGuard no_grad;
    // Empty ones lose their shape on the way.
    std::vector<torch::Tensor> filled;
    for (const torch::Tensor& tensor : tensors) {
      if (tensor.numel() > 0) filled.push_back(tensor);
    }
    if (filled.empty()) return;
    guarded([&] { c10d::broadcast_coalesced(group_, filled, kBroadcastBytes, 0); });
  }

  void all_reduce(torch::Tensor& tensor) override {
    const torch::NoGradGuard no_grad;
    if (shared_ && SharedSum::takes(tensor)) {
      if (!shared_->sum(tensor, patience())) no_answer("a sum in shared memory took too long");
      return;
    }
    guarded([&] {
      // NCCL knows GPU tensors only.
      const bool move = transport_ == Transport::kNccl && !tensor.is_cuda();
      std::vector<torch::Tensor> tensors{
          move ? tensor.to(torch::Device(torch::kCUDA, int8_t(local_rank()))) : tensor};
      group_->allreduce(tensors)->wait();
      if (move) tensor.copy_(tensors[0]);
    });
  }

  void barrier() override {
    torch::Tensor nothing = torch::zeros({1});
    all_reduce(nothing);
  }

  std::unique_ptr<GradientSync> synchronize(const std::vector<torch::Tensor>& parameters) override {
    require(!parameters.empty(), ErrorCode::kInvalidArgument,
            "there are no parameters to synchronize");
    if (shared_ && SharedGradients::takes(parameters)) {
      const size_t bytes = SharedGradients::bytes(parameters, size());
      if (auto memory = shared_by_all(bytes)) {
        return std::make_unique<SharedGradients>(
            parameters, std::move(memory),
            SharedGradients::Place{rank(), size(), patience(), [this] {
                                     no_answer("a gradient in shared memory took too long");
                                   }});
      }
    }
    return make_gradient_sync(parameters, group_);
  }

  void explain(const std::exception& error) override {
    if (const auto lost = watch_->lost()) throw *lost;
    const std::string what = error.what();
    const bool communication = what.find("gloo") != std::string::npos ||
                               what.find("NCCL") != std::string::npos ||
                               what.starts_with(kBrokenStore);
    if (!communication) return;
    no_answer(explain_exception(error).message);
  }

 private:
  template <typename Function>
  void guarded(const Function& function) {
    try {
      function();
    } catch (const std::exception& error) {
      if (dynamic_cast<const PeerLost*>(&error)) throw;
      explain(error);
      throw;
    }
  }

  Patience patience() const {
    return {collective_limit_, [this] {
              if (const auto lost = watch_->lost()) throw *lost;
            }};
  }

  // Collective: where all processes see rank 0's memory, they use it.
  void share_memory() {
    if (rank() == 0) {
      try {
        shared_ = SharedSum::create(rank(), size());
      } catch (const Error&) {  // none in this system: gloo does it all
      }
      store_->set("memory", bytes_of(shared_ ? shared_->name() : ""));
    } else if (const std::string name = text_of(*store_, "memory"); !name.empty()) {
      shared_ = SharedSum::open(name, rank(), size());
    }
    const auto memory = std::exchange(shared_, nullptr);
    if (all_have(memory != nullptr)) shared_ = memory;
    if (memory) memory->drop_name();
  }

  // Collective: memory of rank 0's that all processes have opened, or null everywhere.
  std::shared_ptr<SharedMemory> shared_by_all(size_t bytes) {
    std::shared_ptr<SharedMemory> memory;
    if (rank() == 0) {
      try {
        memory = SharedMemory::create(bytes);
      } catch (const Error&) {  // there is too little
      }
    }
    const std::string name = all_gather(*this, memory ? memory->name() : "").front();
    if (rank() != 0) memory = SharedMemory::open(name, bytes);
    const bool all = all_have(memory != nullptr);
    if (memory) memory->drop_name();
    return all ? memory : nullptr;
  }

  bool all_have(bool mine) {
    auto count = torch::tensor(mine ? 1 : 0, torch::kInt64);
    all_reduce(count);
    return count.item<int64_t>() == size();
  }

  [[noreturn]] void no_answer(const std::string& what) {
    if (const auto lost = watch_->look_closer()) throw *lost;
    throw PeerLost(-1,
                   fmt::format("a process of the run no longer answers, but all are alive: their "
                               "network fails, or they do not take part in the same steps ({})",
                               what));
  }

  const Rendezvous rendezvous_;
  const Transport transport_;
  const std::chrono::milliseconds collective_limit_;
  const int exceptions_;  // on their way when this was made
  // In this order, so that the store is the last to go.
  std::shared_ptr<StoreServer> server_;  // rank 0's
  StorePtr store_;
  std::optional<Watch> watch_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::shared_ptr<SharedSum> shared_;  // null where the processes do not share a machine
};

}  // namespace

std::unique_ptr<World> connect(const Rendezvous& rendezvous, const ConnectOptions& options) {
  require(rendezvous.size >= 2 && rendezvous.rank >= 0 && rendezvous.rank < rendezvous.size,
          ErrorCode::kInvalidArgument, "rank {} of {} processes", rendezvous.rank, rendezvous.size);
  require_system_limits(rendezvous.rank, rendezvous.size);
  return std::make_unique<ConnectedWorld>(rendezvous, options);
}

}  // namespace asmlp::dist
