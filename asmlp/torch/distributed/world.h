// The processes of a data-parallel run, and what they say to one another.
//
// Every process runs the same program on its part of each batch. A World is what a trainer sees of
// the others; single_world() is the run of one process, connect() (connect.h) the run of many.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::dist {

// Another process of the run is gone: killed, stopped, cut off, or ended by an error of its own.
// The message names its rank. Nothing can be computed together any more: end the process; the run
// continues from its last state file on any number of processes.
class PeerLost : public Error {
 public:
  PeerLost(int rank, const std::string& message) : Error(ErrorCode::kIo, message), rank_(rank) {}
  // The lost process, -1 when it is not known which one.
  int rank() const noexcept { return rank_; }

 private:
  int rank_;
};

// Averages the gradients of one set of parameters over the processes, while backward runs.
class GradientSync {
 public:
  virtual ~GradientSync();

  // Call these before and after every loss.backward(), in every process alike. With `complete`,
  // this backward is the last of the step: when after_backward() returns, every parameter's grad
  // (what earlier calls accumulated included) is the mean of the processes' gradients, the same
  // bits everywhere; buckets of parameters travel while the rest of backward computes. Without
  // `complete`, the gradient only accumulates locally.
  //
  // `loss` must depend on every parameter. The gradients may be dropped between the steps.
  //
  // A lost process shows as PeerLost or as LibTorch's c10::Error, out of backward() or these;
  // World::explain turns the second into the first.
  virtual void before_backward(const torch::Tensor& loss, bool complete) = 0;
  virtual void after_backward() = 0;
};

// All functions but the getters are collective: every process calls the same ones in the same
// order, with tensors of the same shape and type, from one thread. They throw PeerLost.
//
// The destructor ends the run for this process. In an orderly way, when no exception is on its way
// through: it waits for the other processes to come to their ends (rank 0) or leaves its mark (the
// others). During an exception it tells the others that this process failed, and they end too.
class World {
 public:
  virtual ~World();

  virtual int rank() const = 0;        // of this process, 0 <= rank < size
  virtual int size() const = 0;        // processes
  virtual int local_rank() const = 0;  // among the processes of this machine: the GPU to use

  // Rank 0's values to everyone, in place.
  virtual void broadcast(const std::vector<torch::Tensor>& tensors) = 0;
  // The sum over the processes, in place, the same bits everywhere.
  virtual void all_reduce(torch::Tensor& tensor) = 0;
  // Returns when every process is here.
  virtual void barrier() = 0;

  // For `parameters` (all with gradient, of one type and device), which must have the same values
  // everywhere (broadcast). They must outlive it; at most one per parameter.
  virtual std::unique_ptr<GradientSync> synchronize(
      const std::vector<torch::Tensor>& parameters) = 0;

  // For the handler of an exception that came out of a backward pass: throws PeerLost, naming the
  // rank, when `error` comes from the loss of a process; returns otherwise.
  virtual void explain(const std::exception& error) = 0;
};

// One process: nothing to communicate. Its GradientSync does nothing.
std::unique_ptr<World> single_world();

// Whether `mine` holds in any process (collective): for decisions that all must take alike, as to
// stop.
bool any(World& world, bool mine);

// The bytes of every process, by rank, in all of them (collective); they may differ in length.
std::vector<std::string> all_gather(World& world, const std::string& mine);

}  // namespace asmlp::dist
