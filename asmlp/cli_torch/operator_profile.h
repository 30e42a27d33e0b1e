// Where the time of training steps goes, operator by operator.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/torch/ops/op_clock.h"

namespace asmlp::cli {

// Listens to the fused operators (op_clock.h) while it lives.
class OperatorProfile {
 public:
  OperatorProfile();
  ~OperatorProfile();
  OperatorProfile(const OperatorProfile&) = delete;
  OperatorProfile& operator=(const OperatorProfile&) = delete;

  // After a step that took so long; one part of it, the update, is known by itself.
  void end_step(double seconds, double update_seconds);

  // Rows {"operator", "pass" ("forward", "backward", ""), "channels", "calls", "ms", "share",
  // "gflop", "of_peak", "gb_per_second"} of a step: medians over the steps, then "update", and
  // "other", which is what is left. `peak` is in GFLOP/s.
  Json rows(double peak) const;

 private:
  struct Cost {
    int64_t calls = 0;
    double multiply_adds = 0, bytes = 0, seconds = 0;
  };
  using Key = std::tuple<std::string, bool, int64_t>;  // name, backward, channels
  std::map<Key, std::vector<Cost>> steps_;
  std::map<Key, Cost> now_;
  std::vector<double> updates_, others_, totals_;
};

// The rows as a table.
std::string profile_text(const Json& rows, bool markdown);

}  // namespace asmlp::cli
