#include "asmlp/study/folder.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <ostream>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/stop_signals.h"

namespace asmlp::study {
namespace {

namespace fs = std::filesystem;

// Saving a state takes seconds; a minute is another study at work.
constexpr std::chrono::minutes kPatience{1};

Json read_json(const fs::path& file) {
  if (!fs::is_regular_file(file)) return Json::object();
  Json json = Json::parse(read_file(file), nullptr, false);
  return json.is_object() ? json : Json::object();
}

void write_json(const fs::path& file, const Json& json) {
  write_file_atomically(file, [&](std::ostream& out) {
    out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  });
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder.string(),
          error.message());
}

// An entry of a file of the study that has one per key.
std::optional<Json> find_entry(const fs::path& file, const std::string& key) {
  const Json all = read_json(file);
  const auto found = all.find(key);
  if (found == all.end() || !found->is_object()) return std::nullopt;
  return *found;
}

void save_entry(const fs::path& file, const std::string& key, Json entry) {
  Json all = read_json(file);
  all[key] = std::move(entry);
  write_json(file, all);
}

std::string timing_key(const StudyConfig& config, int threads) {
  return fmt::format("{} {} threads", short_hash(identity_of(config.options)), threads);
}

}  // namespace

StudyFolder::StudyFolder(fs::path root, const std::function<void(const std::string&)>& say)
    : root_(std::move(root)) {
  make_folder(root_ / "runs");
  LockRequest request;
  request.holder = "a study";
  request.advice = "end it, or choose another --output";
  request.inherited = true;
  request.patience = kPatience;
  request.give_up = [signals = StopSignals::received()] {
    return StopSignals::received() > signals;
  };
  request.on_wait = say;
  request.on_taken_over = say;
  lock_ = std::make_unique<FolderLock>(root_, request);
}

StudyFolder::~StudyFolder() = default;

fs::path StudyFolder::run_folder(const StudyRun& run) const { return root_ / "runs" / run.folder; }

std::vector<std::string> StudyFolder::prepare(const StudyRun& run, int threads) const {
  const fs::path folder = run_folder(run);
  make_folder(folder);
  // JSON is YAML; the recipe reader takes it as it is.
  const fs::path recipe = folder / "recipe.yaml";
  write_json(recipe, Json(run.options));
  std::vector<std::string> arguments{
      "train",         "--config",  recipe.string(),         "--output",
      folder.string(), "--threads", std::to_string(threads), "--json"};
  if (const fs::path state = folder / "last.safetensors"; fs::exists(state)) {
    arguments.insert(arguments.end(), {"--resume", state.string()});
  }
  return arguments;
}

std::optional<Json> StudyFolder::result(const StudyRun& run) const {
  Json result = read_json(run_folder(run) / "result.json");
  const bool whole = result.contains("outcome") && result["outcome"].is_string() &&
                     result.contains("identity") && result["identity"] == identity_of(run.options);
  if (!whole) return std::nullopt;
  return result;
}

void StudyFolder::save_result(const StudyRun& run, Json result) const {
  result["identity"] = identity_of(run.options);
  write_json(run_folder(run) / "result.json", result);
}

std::optional<Json> StudyFolder::timing(const StudyConfig& config, int threads) const {
  return find_entry(root_ / "timing.json", timing_key(config, threads));
}

void StudyFolder::save_timing(const StudyConfig& config, int threads, Json timing) const {
  save_entry(root_ / "timing.json", timing_key(config, threads), std::move(timing));
}

std::optional<Json> StudyFolder::speed(const StudyConfig& config) const {
  return find_entry(root_ / "speed.json", short_hash(identity_of(config.options)));
}

void StudyFolder::save_speed(const StudyConfig& config, Json speed) const {
  save_entry(root_ / "speed.json", short_hash(identity_of(config.options)), std::move(speed));
}

Json read_train_json(const fs::path& file) { return read_json(file); }

std::string failure_of(const fs::path& out, const fs::path& log, int code) {
  const Json json = read_json(out);
  if (json.contains("error") && json["error"].is_object()) {
    return json["error"].value("message", "an error without a message");
  }
  std::string last;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = std::move(line);
  }
  const std::string how = code > 128 ? fmt::format("ended by signal {}", code - 128)
                                     : fmt::format("ended with code {}", code);
  return last.empty() ? how : fmt::format("{}; its log ends with: {}", how, last);
}

}  // namespace asmlp::study
