// What the engines of detectors and segmentors own besides their model.
#pragma once

#include <utility>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/engine/heads/plan_cache.h"
#include "asmlp/engine/plan.h"

namespace asmlp {

template <typename P>
struct HeadsState {
  explicit HeadsState(int threads) : pool(threads) {}

  ThreadPool pool;
  MemoryBlock memory;
  PlanCache<P> plans;
  std::vector<ProfileEntry> profile;    // of all runs
  ProductObserver* observer = nullptr;  // of every plan

  void observe_with(ProductObserver* wanted, Precision precision) {
    require(precision == Precision::kFp32, ErrorCode::kUnsupported,
            "what products read can be observed in fp32 only, this model is in {}",
            to_string(precision));
    observer = wanted;
  }

  // The plan's times are taken over.
  void collect(Plan& plan) {
    profile.resize(plan.profile.size());
    for (size_t i = 0; i < profile.size(); ++i) {
      ProfileEntry& entry = plan.profile[i];
      profile[i].name = entry.name;
      profile[i].stage = entry.stage;
      profile[i].seconds += std::exchange(entry.seconds, 0);
      profile[i].multiply_adds += std::exchange(entry.multiply_adds, 0);
    }
  }
};

}  // namespace asmlp
