#include "asmlp/cli/bench/peaks.h"

#include <algorithm>

#include "asmlp/cli/bench/statistics.h"
#include "asmlp/kernels/kernels.h"
#include "asmlp/kernels/peak.h"

namespace asmlp::cli {
namespace {

constexpr double kPeakSeconds = 0.05;

}  // namespace

Peaks::Peaks(Isa isa, Precision precision, int threads)
    : pool_(threads), isa_(isa), instruction_(kernel_set(isa, precision).instruction) {}

void Peaks::sample() {
  std::vector<std::string> sampled;
  for (Precision precision : all_precisions()) {
    const std::string instruction = kernel_set(isa_, precision).instruction;
    if (std::ranges::count(sampled, instruction) > 0) continue;
    sampled.push_back(instruction);
    const Peak peak = measure_peak(isa_, precision, pool_, kPeakSeconds);
    samples_[instruction].push_back(peak.flops * 1e-9);
  }
}

double Peaks::own() const { return summarize(samples_.at(instruction_)).median; }

Json Peaks::json(double gflops) const {
  Json all = Json::object();
  for (const auto& [instruction, samples] : samples_) {
    all[instruction] = {{"gflops", summarize(samples).median}, {"samples", samples}};
  }
  return {{"instruction", instruction_},
          {"isa", to_string(isa_)},
          {"gflops", own()},
          {"ratio", gflops / own()},
          {"measured", all}};
}

}  // namespace asmlp::cli
