// A World of several processes, on c10d: gloo between CPUs, NCCL between GPUs.
#pragma once

#include <chrono>
#include <memory>

#include "asmlp/torch/distributed/process_group.h"
#include "asmlp/torch/distributed/rendezvous.h"
#include "asmlp/torch/distributed/watch.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::dist {

// By which way the processes of one machine add up.
enum class LocalSums {
  kMemory,   // shared memory, where all processes see it
  kNetwork,  // the transport's
};

struct ConnectOptions {
  Transport transport = Transport::kGloo;
  LocalSums local_sums = LocalSums::kMemory;
  // How long the processes wait for each other at the start: the machines of a job do not start at
  // once.
  std::chrono::milliseconds join_limit{std::chrono::minutes(5)};
  // How long a collective may wait for a process that lives but does not come (rank 0 may be
  // validating or writing files).
  std::chrono::milliseconds collective_limit{std::chrono::minutes(30)};
  WatchOptions watch;
};

// Collective: returns when all processes of the rendezvous are there. A GradientSync of the World
// must not outlive it.
//
// Error(kIo) when the meeting point cannot be opened or reached, or a process does not come in time
// (rank 0 names which); Error(kMismatch) when two processes have the same rank, or another number
// of processes; Error(kUnsupported) as make_process_group.
std::unique_ptr<World> connect(const Rendezvous& rendezvous, const ConnectOptions& options = {});

}  // namespace asmlp::dist
