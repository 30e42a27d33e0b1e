#include "asmlp/report/run_json.h"

#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/text.h"

namespace asmlp {

nlohmann::ordered_json read_run_json(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return nlohmann::ordered_json::object();
  const std::string text = read_file(path);
  require(is_parsable_json(text), ErrorCode::kTooLarge,
          "{}: too many values, or nested too deeply, for a description of a run", path.string());
  auto run = nlohmann::ordered_json::parse(text, nullptr, false);
  require(run.is_object(), ErrorCode::kBadFormat, "{}: is no JSON object", path.string());
  return run;
}

void write_run_json(const std::filesystem::path& path, const nlohmann::ordered_json& run) {
  write_file_atomically(path, [&](std::ostream& out) {
    out << run.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  });
}

}  // namespace asmlp
