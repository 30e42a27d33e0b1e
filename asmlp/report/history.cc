#include "asmlp/report/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "asmlp/core/atomic_file.h"

namespace asmlp {

EvalMetrics columns_of(const std::vector<EpochSummary>& history) {
  const auto validated = std::ranges::find_if(history, &EpochSummary::validated);
  return validated == history.end() ? EvalMetrics() : validated->metrics;
}

void write_summary(const std::filesystem::path& path, const std::vector<EpochSummary>& history) {
  write_file_atomically(path, [&](std::ostream& out) {
    const EvalMetrics columns = columns_of(history);
    out << "epoch,train_loss,";
    for (const EvalMetric& column : columns) out << "eval_" << column.name << ',';
    out << "lr\n";
    for (const EpochSummary& e : history) {
      out << fmt::format("{},{:.6g},", e.number(), e.train_loss);
      for (const EvalMetric& column : columns) {
        if (e.validated()) out << fmt::format("{:.6g}", value_of(e.metrics, column.name));
        out << ',';
      }
      out << fmt::format("{:.6g}\n", e.lr);
    }
  });
}

}  // namespace asmlp
