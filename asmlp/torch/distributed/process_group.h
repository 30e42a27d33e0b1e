// c10d's process group and gradient reducer, in whatever form the LibTorch at hand has them.
// Everything that differs between its versions and builds is in process_group.cc.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>

#include "asmlp/torch/distributed/world.h"

namespace asmlp::dist {

// Where the tensors of the collectives live.
enum class Transport {
  kGloo,  // memory; TCP
  kNccl,  // CUDA
};

// Where the processes of one machine meet.
inline constexpr const char* kLoopback = "127.0.0.1";

// Collective: connects the processes through `store`. gloo listens on the loopback address when
// `master` is kLoopback; else on the interfaces that GLOO_SOCKET_IFNAME lists (commas between
// them), else on the address of this machine that leads to `master`. A collective that takes longer
// than `limit` fails. Error(kUnsupported) when this LibTorch has no NCCL; whatever c10d throws when
// a process does not answer.
c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(
    Transport transport, const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
    const std::string& master, std::chrono::milliseconds limit);

// c10d's Reducer, with buckets as PyTorch's DistributedDataParallel has them: 25 MB, the first 1
// MB, in the order in which backward comes to the parameters; the gradients are views of the
// buckets.
std::unique_ptr<GradientSync> make_gradient_sync(const std::vector<torch::Tensor>& parameters,
                                                 c10::intrusive_ptr<c10d::ProcessGroup> group);

// The numeric address by which this machine reaches `host` (of the outgoing interface), or "" when
// it cannot be told.
std::string address_toward(const std::string& host);

}  // namespace asmlp::dist
