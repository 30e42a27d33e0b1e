#include "asmlp/cli/bench/dense_contender.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "asmlp/cli/bench/statistics.h"

namespace asmlp::cli {
namespace {

// The steps of the backbone are one part; what the engine calls the others, for people.
std::string part_name(const ProfileEntry& entry) {
  if (entry.stage >= 0) return "backbone";
  if (entry.name == "rpn") return "RPN";
  if (entry.name == "nms") return "NMS";
  std::string name = entry.name;
  std::ranges::replace(name, '_', ' ');
  return name;
}

Json spread_of(const std::vector<double>& ms) {
  const Statistics s = summarize(ms);
  return {{"median", s.median}, {"min", s.min}, {"p10", s.p10}, {"p90", s.p90}};
}

// LibTorch's kernels are compared with the best instruction set here.
Peaks peaks_of(const DenseRunner& runner) {
  const bool torch = runner.isa() == "libtorch";
  return {torch ? default_isa() : parse_isa(runner.isa(), "isa"), runner.precision(),
          runner.threads()};
}

}  // namespace

DenseContender::DenseContender(std::string backend, std::shared_ptr<DenseRunner> runner,
                               std::function<int64_t()> once)
    : backend_(std::move(backend)),
      runner_(std::move(runner)),
      once_(std::move(once)),
      peaks_(peaks_of(*runner_)) {}

DenseContender::Part& DenseContender::part(const std::string& name) {
  const auto known = std::ranges::find(parts_, name, &Part::name);
  if (known != parts_.end()) return *known;
  parts_.push_back({name, std::vector<double>(total_ms_.size()), 0});
  return parts_.back();
}

void DenseContender::run(bool timed) {
  using Clock = std::chrono::steady_clock;
  runner_->reset_profile();
  const auto begin = Clock::now();
  detections_ = once_();
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  if (!timed) return;
  for (Part& known : parts_) known.ms.push_back(0), known.gflop = 0;
  total_ms_.push_back(ms);
  for (const ProfileEntry& entry : runner_->profile()) {
    Part& one = part(part_name(entry));
    one.ms.back() += entry.seconds * 1e3;
    one.gflop += 2e-9 * static_cast<double>(entry.multiply_adds);
  }
}

double DenseContender::gflop() const {
  double sum = 0;
  for (const Part& one : parts_) sum += one.gflop;
  return sum;
}

Json DenseContender::row(const std::string& rest, int batch, double gflop) const {
  if (this->gflop() > 0) gflop = this->gflop();
  const double median = summarize(total_ms_).median;
  Json row{{"isa", runner_->isa()},
           {"threads", runner_->threads()},
           {"runs", total_ms_.size()},
           {"detections", detections_},
           {"images_per_second", batch * 1e3 / median},
           {"gflops", gflop / median * 1e3}};
  row["peak"] = peaks_.json(gflop / median * 1e3);
  Json ms = Json::object(), of = Json::object(), ratio = Json::object();
  std::vector<double> left = total_ms_;
  for (const Part& one : parts_) {
    for (size_t i = 0; i < left.size(); ++i) left[i] -= one.ms[i];
    // A detector of boxes has no masks.
    if (std::ranges::all_of(one.ms, [](double value) { return value == 0; })) continue;
    ms[one.name] = spread_of(one.ms);
    if (one.gflop == 0) continue;
    of[one.name] = one.gflop;
    ratio[one.name] = one.gflop / summarize(one.ms).median * 1e3 / peaks_.own();
  }
  if (!parts_.empty()) {
    for (double& value : left) value = std::max(0.0, value);
    ms[rest] = spread_of(left);
  }
  ms["total"] = spread_of(total_ms_);
  if (gflop > 0) {
    of["total"] = gflop;
    ratio["total"] = gflop / median * 1e3 / peaks_.own();
  }
  row["parts_ms"] = std::move(ms);
  row["parts_gflop"] = std::move(of);
  row["parts_of_peak"] = std::move(ratio);
  return row;
}

}  // namespace asmlp::cli
