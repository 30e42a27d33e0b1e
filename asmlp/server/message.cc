#include "asmlp/server/message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "asmlp/core/printable.h"

namespace asmlp::server {
namespace {

// Milliseconds with three digits after the point.
double milliseconds(double seconds) { return std::round(seconds * 1e6) / 1e3; }

}  // namespace

std::string HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string json_line(const AccessRecord& record, const std::string& time) {
  nlohmann::ordered_json line{{"time", time},
                              {"remote", record.remote},
                              {"method", record.method},
                              {"path", record.target},
                              {"status", record.status},
                              {"endpoint", record.facts.endpoint},
                              {"model", record.facts.model},
                              {"images", record.facts.images},
                              {"bytes_in", record.bytes_in},
                              {"bytes_out", record.bytes_out},
                              {"batch", record.facts.timing.batch},
                              {"queue_ms", milliseconds(record.facts.timing.queue_seconds)},
                              {"compute_ms", milliseconds(record.facts.timing.compute_seconds)},
                              {"ms", milliseconds(record.seconds)}};
  return printable_json(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string text_line(const AccessRecord& record, const std::string& time) {
  std::string text = fmt::format("{} {} {} {} {} {:.1f} ms", time, record.remote, record.method,
                                 printable(record.target), record.status, record.seconds * 1e3);
  if (record.facts.timing.batch > 0) {
    text +=
        fmt::format(", {} of {} image{}, queue {:.1f} ms, batch of {} in {:.1f} ms",
                    record.facts.model, record.facts.images, record.facts.images == 1 ? "" : "s",
                    record.facts.timing.queue_seconds * 1e3, record.facts.timing.batch,
                    record.facts.timing.compute_seconds * 1e3);
  }
  return text;
}

std::string utc_now() {
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(whole), (now - whole).count());
}

}  // namespace asmlp::server
