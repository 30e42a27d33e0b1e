// Notices that a process of the run is gone, also while this one waits for it in a collective.
//
// Every process counts up a number of its own in the store that rank 0 holds, once per beat. Rank 0
// reads the numbers: one that stands still for `silence` beats belongs to a process that was
// killed, stopped or cut off. Its verdict goes into the store, where the others read it; and a
// store that does not answer, or hangs up, means the same of rank 0. So a run of n processes costs
// O(n) small messages per beat, and every process knows within (silence + 2) beats.
//
// A beat that could not be looked at does not count as silence: a run that is stopped as a whole (a
// suspended machine, SIGSTOP to all) goes on when it is continued.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "asmlp/torch/distributed/world.h"

namespace asmlp::dist {

struct WatchOptions {
  std::chrono::milliseconds beat{1000};
  int silence = 15;         // beats without a sign of life, after which a process counts as lost
  int alarmed_silence = 4;  // the same, once a collective has failed in some process
  int grace = 4;            // beats between the verdict and on_lost
  // Called once, on a thread of its own, when a process is lost and the Watch is still there
  // `grace` beats later: the process then hangs in a collective, from which only its end will free
  // it.
  std::function<void(const PeerLost&)> on_lost;
};

class Watch {
 public:
  // `store` must be a client that nobody else uses: a call that blocks keeps it busy. `names[r]` is
  // how messages call rank r, `names[0]` with the store's address. Error(kIo) when its two threads
  // cannot be started.
  Watch(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<std::string> names,
        WatchOptions options);
  // Without end(), the process leaves as one that failed, as after fail().
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The first process that was found to be lost.
  std::optional<PeerLost> lost() const;

  // For a collective that failed: looks closer, and waits for the verdict, a few beats at most.
  std::optional<PeerLost> look_closer();

  // This process is done. Returns when all are done, or one is lost: until then all must stay, as
  // others may still be receiving what this one has sent.
  void end();
  // This process failed: the others are told, and end too.
  void fail();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // outlives the Watch when a call to the store never returns
  std::thread talk_, tick_;
};

}  // namespace asmlp::dist
