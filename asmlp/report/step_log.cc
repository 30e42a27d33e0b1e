#include "asmlp/report/step_log.h"

#include <charconv>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr std::string_view kHeading =
    "epoch,step,images,loss,lr,grad_norm,images_per_second,seconds\n";

std::string text_of(const StepLine& l) {
  return fmt::format("{:.5f},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.3f}\n", l.epoch, l.step, l.images,
                     l.loss, l.lr, l.gradient_norm, l.images_per_second, l.seconds);
}

// Takes a number and, unless it is the last of the line, the comma behind it.
template <typename T>
bool take(std::string_view& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (text.empty()) return true;
  if (text[0] != ',') return false;
  text.remove_prefix(1);
  return !text.empty();
}

std::optional<StepLine> parse(std::string_view text) {
  StepLine l;
  const bool whole = take(text, l.epoch) && take(text, l.step) && take(text, l.images) &&
                     take(text, l.loss) && take(text, l.lr) && take(text, l.gradient_norm) &&
                     take(text, l.images_per_second) && !text.empty() && take(text, l.seconds) &&
                     text.empty();
  return whole ? std::optional(l) : std::nullopt;
}

}  // namespace

std::vector<StepLine> read_steps(const std::filesystem::path& path, int64_t last_step) {
  std::vector<StepLine> lines;
  if (!std::filesystem::exists(path)) return lines;
  const std::string content = read_file(path);
  std::string_view rest = content;
  if (!rest.starts_with(kHeading)) return lines;
  rest.remove_prefix(kHeading.size());
  for (size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) {
    const auto line = parse(rest.substr(0, end));
    const int64_t before = lines.empty() ? 0 : lines.back().step;
    if (!line || line->step <= before || line->step > last_step) break;
    lines.push_back(*line);
  }
  return lines;
}

StepLog::StepLog(const std::filesystem::path& path, const std::vector<StepLine>& kept) {
  write_file_atomically(path, [&](std::ostream& out) {
    out << kHeading;
    for (const StepLine& line : kept) out << text_of(line);
  });
  file_.emplace(path, AppendFile::Open::kAppend);
}

void StepLog::add(const StepLine& line) { file_->add(text_of(line)); }

}  // namespace asmlp
