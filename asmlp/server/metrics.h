// What the server counts, in the text format of Prometheus.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/server/queue/batcher.h"

namespace asmlp::server {

// Cumulative counts of values up to each bound.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void add(double value);
  // The samples of `name`; `labels` as in `model="m"`, or "".
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;  // one more than bounds: of what is above all
  double sum_ = 0;
};

// Thread-safe. The names of models and endpoints that are given come from the server, not from
// clients, so that their number is bounded.
class Metrics {
 public:
  // A request is answered. `model` is "" where none was meant.
  void add_request(const std::string& model, const std::string& endpoint, int status,
                   double seconds);
  // A batch of a model is computed.
  void add_batch(const std::string& model, std::span<const Timing> items);

  struct Gauge {
    std::string name, help, labels;  // gauges of one name follow one another
    double value = 0;
  };
  // All of it with what is measured at this moment; ends with a line break.
  std::string text(std::span<const Gauge> gauges) const;

 private:
  struct Model {
    Histogram queue, compute, batch;
    uint64_t images = 0;
    Model();
  };
  mutable std::mutex mutex_;
  struct RequestKey {
    std::string model, endpoint;
    int status;
    auto operator<=>(const RequestKey&) const = default;
  };
  std::map<RequestKey, uint64_t> requests_;
  std::map<std::string, Histogram> durations_;  // by endpoint
  std::map<std::string, Model> models_;
};

// The memory that this process has at the moment, in bytes; 0 when the system does not say.
int64_t resident_memory();

// A value of a label: backslash, quote, and line break escaped.
std::string label_value(const std::string& text);

}  // namespace asmlp::server
