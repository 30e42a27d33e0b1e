#include "asmlp/server/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace asmlp::server {
namespace {

// Doubling from a millisecond to half a minute: `histogram_quantile` is then right within a factor
// of two anywhere.
std::vector<double> second_bounds() {
  std::vector<double> bounds;
  for (double bound = 0.001; bound < 60; bound *= 2) bounds.push_back(bound);
  return bounds;
}

void describe(std::string& text, const std::string& name, const char* type,
              const std::string& help) {
  text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

std::string label_value(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
}

void Histogram::add(double value) {
  const auto place = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<size_t>(place)];
  sum_ += value;
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  const std::string before = labels.empty() ? "" : labels + ",";
  const std::string braced = labels.empty() ? "" : "{" + labels + "}";
  std::string text;
  uint64_t below = 0;
  for (size_t k = 0; k < bounds_.size(); ++k) {
    below += counts_[k];
    text += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, before, bounds_[k], below);
  }
  below += counts_.back();
  text += fmt::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", name, before, below);
  return text + fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, braced, sum_, below);
}

Metrics::Model::Model()
    : queue(second_bounds()), compute(second_bounds()), batch({1, 2, 4, 8, 16, 32, 64, 128}) {}

void Metrics::add_request(const std::string& model, const std::string& endpoint, int status,
                          double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{model, endpoint, status}];
  durations_.try_emplace(endpoint, second_bounds()).first->second.add(seconds);
}

void Metrics::add_batch(const std::string& model, std::span<const Timing> items) {
  if (items.empty()) return;
  const std::lock_guard lock(mutex_);
  Model& counts = models_[model];
  for (const Timing& item : items) counts.queue.add(item.queue_seconds);
  counts.compute.add(items.front().compute_seconds);
  counts.batch.add(static_cast<double>(items.size()));
  counts.images += items.size();
}

std::string Metrics::text(std::span<const Gauge> gauges) const {
  const std::lock_guard lock(mutex_);
  std::string text;
  describe(text, "asmlp_requests_total", "counter", "Requests by model, endpoint, and status.");
  for (const auto& [key, count] : requests_) {
    text += fmt::format("asmlp_requests_total{{model=\"{}\",endpoint=\"{}\",code=\"{}\"}} {}\n",
                        label_value(key.model), label_value(key.endpoint), key.status, count);
  }
  describe(text, "asmlp_request_duration_seconds", "histogram",
           "From the head of a request to its answer.");
  for (const auto& [endpoint, histogram] : durations_) {
    text += histogram.text("asmlp_request_duration_seconds",
                           "endpoint=\"" + label_value(endpoint) + "\"");
  }
  describe(text, "asmlp_images_total", "counter", "Images that were computed.");
  for (const auto& [name, model] : models_) {
    text += fmt::format("asmlp_images_total{{model=\"{}\"}} {}\n", label_value(name), model.images);
  }
  struct Kind {
    const char* name;
    const char* help;
    Histogram Model::*histogram;
  };
  for (const Kind& kind :
       {Kind{"asmlp_queue_duration_seconds", "That images waited for their batch.", &Model::queue},
        Kind{"asmlp_compute_duration_seconds", "Of one batch.", &Model::compute},
        Kind{"asmlp_batch_size", "Images per batch.", &Model::batch}}) {
    describe(text, kind.name, "histogram", kind.help);
    for (const auto& [name, model] : models_) {
      text += (model.*kind.histogram).text(kind.name, "model=\"" + label_value(name) + "\"");
    }
  }
  std::string last;
  for (const Gauge& gauge : gauges) {
    if (gauge.name != last) describe(text, gauge.name, "gauge", gauge.help);
    last = gauge.name;
    text += fmt::format("{}{} {}\n", gauge.name,
                        gauge.labels.empty() ? "" : "{" + gauge.labels + "}", gauge.value);
  }
  return text;
}

int64_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  return file >> size >> resident ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace asmlp::server
