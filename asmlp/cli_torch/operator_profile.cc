#include "asmlp/cli_torch/operator_profile.h"

#include <fmt/format.h>

#include <functional>

#include "asmlp/cli/bench/statistics.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

double median(const std::vector<double>& samples) { return summarize(samples).median; }

}  // namespace

OperatorProfile::OperatorProfile() {
  nn::listen_to_operators([this](const nn::OpRecord& record) {
    Cost& cost = now_[{record.name, record.backward, record.channels}];
    ++cost.calls;
    cost.multiply_adds += static_cast<double>(record.multiply_adds);
    cost.bytes += static_cast<double>(record.bytes);
    cost.seconds += record.seconds;
  });
}

OperatorProfile::~OperatorProfile() { nn::listen_to_operators(nullptr); }

void OperatorProfile::end_step(double seconds, double update_seconds) {
  double known = update_seconds;
  for (const auto& [key, cost] : now_) {
    steps_[key].push_back(cost);
    known += cost.seconds;
  }
  now_.clear();
  updates_.push_back(update_seconds);
  others_.push_back(seconds - known);
  totals_.push_back(seconds);
}

Json OperatorProfile::rows(double peak) const {
  const double total = median(totals_);
  Json rows = Json::array();
  const auto add = [&](const std::string& name, const char* pass, int64_t channels, int64_t calls,
                       double seconds, double gflop, double gigabytes) {
    rows.push_back({{"operator", name},
                    {"pass", pass},
                    {"channels", channels},
                    {"calls", calls},
                    {"ms", seconds * 1e3},
                    {"share", seconds / total},
                    {"gflop", gflop},
                    {"of_peak", gflop / seconds / peak},
                    {"gb_per_second", gigabytes / seconds}});
  };
  for (const auto& [key, costs] : steps_) {
    const auto of = [&](double Cost::*member) {
      std::vector<double> values;
      for (const Cost& cost : costs) values.push_back(cost.*member);
      return median(values);
    };
    add(std::get<0>(key), std::get<1>(key) ? "backward" : "forward", std::get<2>(key),
        costs.front().calls, of(&Cost::seconds), 2e-9 * of(&Cost::multiply_adds),
        1e-9 * of(&Cost::bytes));
  }
  add("update", "", 0, 1, median(updates_), 0, 0);
  add("other", "", 0, 1, median(others_), 0, 0);
  return rows;
}

std::string profile_text(const Json& rows, bool markdown) {
  Table table({{"operator"},
               {"pass"},
               {"channels", Align::kRight},
               {"calls", Align::kRight},
               {"ms", Align::kRight},
               {"share", Align::kRight},
               {"GFLOP", Align::kRight},
               {"of peak", Align::kRight},
               {"GB/s", Align::kRight}});
  for (const Json& row : rows) {
    const auto number = [&](const char* key, double scale, int digits) {
      const double value = row[key].get<double>() * scale;
      return value == 0 ? std::string("-") : fmt::format("{:.{}f}", value, digits);
    };
    const auto channels = row["channels"].get<int64_t>();
    table.add_row({row["operator"].get<std::string>(), row["pass"].get<std::string>(),
                   channels == 0 ? "-" : std::to_string(channels),
                   std::to_string(row["calls"].get<int64_t>()), number("ms", 1, 1),
                   number("share", 100, 1) + " %", number("gflop", 1, 1),
                   row["gflop"] == 0 ? "-" : number("of_peak", 100, 1) + " %",
                   number("gb_per_second", 1, 1)});
  }
  return markdown ? table.markdown() : table.str();
}

}  // namespace asmlp::cli
