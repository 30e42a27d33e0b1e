#include "asmlp/torch/train/state.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::train {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKey = "asmlp_train";
constexpr int kVersion = 3;
// Says that the file has a checksum, lest one flipped bit in that key hides it.
constexpr const char* kChecked = "checked";

Json line_of(const EpochSummary& e) {
  Json metrics = Json::object();
  for (const EvalMetric& metric : e.metrics) metrics[metric.name] = metric.value;
  return {{"epoch", e.epoch}, {"train_loss", e.train_loss}, {"lr", e.lr}, {"figures", metrics}};
}

// JSON has no NaN and no infinity: nlohmann writes null (the loss of a diverged epoch).
double number(const Json& value) { return value.is_null() ? NAN : value.get<double>(); }

EpochSummary summary_of(const Json& line) {
  EpochSummary e;
  line.at("epoch").get_to(e.epoch);
  e.train_loss = number(line.at("train_loss"));
  line.at("lr").get_to(e.lr);
  for (const auto& [name, value] : line.at("figures").items()) {
    e.metrics.push_back({eval_metric_info(name).name, number(value)});
  }
  return e;
}

// Visits the numbers of a state with their names in the file.
template <typename State, typename Visitor>
void visit_numbers(State& s, Visitor&& visit) {
  visit("epoch", s.epoch);
  visit("images", s.images);
  visit("loss_sum", s.loss_sum);
  visit("loss_count", s.loss_count);
  visit("updates", s.updates);
  visit("skipped", s.skipped);
  visit("skipped_in_row", s.skipped_in_row);
  visit("bad_samples", s.bad_samples);
  visit("bad_in_epoch", s.bad_in_epoch);
  visit("loss_scale", s.loss_scale);
  visit("loss_scale_age", s.loss_scale_age);
  visit("best", s.best);
  visit("best_epoch", s.best_epoch);
  visit("threads", s.threads);
  visit("world", s.world);
  visit("train_images", s.train_images);
}

// Those that states of earlier versions do not have.
template <typename State, typename Visitor>
void visit_later_numbers(State& s, Visitor&& visit) {
  visit("validations_since_best", s.validations_since_best);
}

// nlohmann writes doubles with as many digits as it takes to read the same bits back.
Json numbers(const RunState& state) {
  Json json;
  const auto write = [&](const char* name, const auto& value) { json[name] = value; };
  visit_numbers(state, write);
  visit_later_numbers(state, write);
  return json;
}

void read_numbers(const Json& json, RunState& state) {
  visit_numbers(state, [&](const char* name, auto& value) { json.at(name).get_to(value); });
  visit_later_numbers(state, [&](const char* name, auto& value) {
    if (json.contains(name)) json.at(name).get_to(value);
  });
}

// A state file is replaced in one step, so a kill never damages it: what is damaged now was damaged
// on the way (a full disk elsewhere, a copy that was cut off).
[[noreturn]] void fail_damaged(const std::filesystem::path& path, const std::string& reason) {
  const bool named = reason.find(path.string()) != std::string::npos;
  const std::filesystem::path other = path.parent_path() / "previous.safetensors";
  std::string advice;
  if (std::error_code none;
      path.filename() != other.filename() && std::filesystem::exists(other, none)) {
    try {
      const RunState state = read_state(other, nullptr);
      advice = fmt::format(
          "resume from the state before it, which is whole (epoch {}): asmlp train --resume {} "
          "(--auto-resume does so by itself), or ",
          state.epoch + 1, other.string());
    } catch (const Error&) {
      advice = other.string() + " is damaged, too: ";
    }
  }
  fail(ErrorCode::kBadFormat,
       "{}{}: the state of the run is damaged, it cannot be resumed; {}start the run again in "
       "another --output (best.safetensors is a model of its own)",
       named ? "" : path.string() + ": ", reason, advice);
}

TensorFile read_file_of_state(const std::filesystem::path& path) {
  try {
    return read_safetensors(path);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kBadFormat) fail_damaged(path, error.what());
    throw;
  }
}

}  // namespace

std::string numbers_to_json(const RunState& state) { return numbers(state).dump(); }

void numbers_from_json(const std::string& text, RunState& state) {
  read_numbers(Json::parse(text), state);
}

void write_state(const std::filesystem::path& path, const RunState& s, const TensorMap& tensors) {
  Json history = Json::array();
  for (const EpochSummary& epoch : s.history) {
    history.push_back(line_of(epoch));
  }
  const Json json{{"version", kVersion},           {kChecked, true},
                  {"numbers", numbers(s)},         {"command", s.command},
                  {"options", to_json(s.options)}, {"history", history}};
  write_safetensors(path, tensors,
                    {{kKey, json.dump()}, {"asmlp_train_model", s.model}, {"format", "pt"}},
                    FileChecksum::kAdd);
}

RunState read_state(const std::filesystem::path& path, TensorMap* tensors) {
  TensorFile file = read_file_of_state(path);
  const auto text = file.metadata.find(kKey);
  const auto model = file.metadata.find("asmlp_train_model");
  require(text != file.metadata.end() && model != file.metadata.end(), ErrorCode::kBadFormat,
          "{}: no state of a training run; resume needs the last.safetensors of its output folder",
          path.string());
  RunState s;
  try {
    const Json json = Json::parse(text->second);
    require(json.at("version") == kVersion, ErrorCode::kUnsupported,
            "{}: state version {}, this program knows version {}", path.string(),
            json.at("version").dump(), kVersion);
    if (json.contains(kChecked)) {
      const auto sum = file.metadata.find(kChecksumKey);
      s.checked = sum != file.metadata.end() && sum->second.starts_with("xxh64:");
      if (!s.checked) fail_damaged(path, "it has lost its checksum");
    }
    read_numbers(json.at("numbers"), s);
    json.at("command").get_to(s.command);
    s.options = options_from_json(json.at("options"), path.string());
    for (const Json& line : json.at("history")) {
      s.history.push_back(summary_of(line));
    }
  } catch (const nlohmann::json::exception& error) {
    fail_damaged(path, error.what());
  }
  s.model = model->second;
  if (tensors) *tensors = std::move(file.tensors);
  return s;
}

}  // namespace asmlp::train
