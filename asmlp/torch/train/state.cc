#include "asmlp/torch/train/state.h"

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
constexpr int kVersion = 1;

Json line_of(const EpochSummary& e) {
  return {{"epoch", e.epoch},         {"train_loss", e.train_loss}, {"lr", e.lr},
          {"validated", e.validated}, {"eval_loss", e.eval_loss},   {"eval_top1", e.eval_top1},
          {"eval_top5", e.eval_top5}};
}

// JSON has no NaN and no infinity: nlohmann writes null (the loss of a diverged epoch).
double number(const Json& value) { return value.is_null() ? NAN : value.get<double>(); }

EpochSummary summary_of(const Json& line) {
  EpochSummary e;
  line.at("epoch").get_to(e.epoch);
  e.train_loss = number(line.at("train_loss"));
  line.at("lr").get_to(e.lr);
  line.at("validated").get_to(e.validated);
  e.eval_loss = number(line.at("eval_loss"));
  line.at("eval_top1").get_to(e.eval_top1);
  line.at("eval_top5").get_to(e.eval_top5);
  return e;
}

// A state file is replaced in one step, so a kill never damages it: what is damaged now was damaged
// on the way (a full disk elsewhere, a copy that was cut off).
[[noreturn]] void fail_damaged(const std::filesystem::path& path, const std::string& reason) {
  const bool named = reason.find(path.string()) != std::string::npos;
  fail(ErrorCode::kBadFormat,
       "{}{}: the state of the run is damaged, it cannot be resumed; put a copy of the file back, "
       "or start the run again in another --output (best.safetensors beside it is a model of its "
       "own and stays usable)",
       named ? "" : path.string() + ": ", reason);
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

void write_state(const std::filesystem::path& path, const RunState& s, const TensorMap& tensors) {
  Json history = Json::array();
  for (const EpochSummary& epoch : s.history) {
    history.push_back(line_of(epoch));
  }
  // nlohmann writes doubles with as many digits as it takes to read the same bits back.
  const Json json{{"version", kVersion},
                  {"epoch", s.epoch},
                  {"batch", s.batch},
                  {"loss_sum", s.loss_sum},
                  {"loss_count", s.loss_count},
                  {"updates", s.updates},
                  {"skipped", s.skipped},
                  {"skipped_in_row", s.skipped_in_row},
                  {"best_top1", s.best_top1},
                  {"best_epoch", s.best_epoch},
                  {"command", s.command},
                  {"threads", s.threads},
                  {"train_images", s.train_images},
                  {"options", Json::parse(to_json(s.options))},
                  {"history", history}};
  write_safetensors(
      path, tensors,
      {{kKey, json.dump()}, {"asmlp_train_model", to_json(s.spec)}, {"format", "pt"}});
}

RunState read_state(const std::filesystem::path& path, TensorMap* tensors) {
  TensorFile file = read_file_of_state(path);
  const auto text = file.metadata.find(kKey);
  const auto spec = file.metadata.find("asmlp_train_model");
  require(text != file.metadata.end() && spec != file.metadata.end(), ErrorCode::kBadFormat,
          "{}: no state of a training run; resume needs the last.safetensors of its output folder",
          path.string());
  RunState s;
  try {
    const Json json = Json::parse(text->second);
    require(json.at("version") == kVersion, ErrorCode::kUnsupported,
            "{}: state version {}, this program knows version {}", path.string(),
            json.at("version").dump(), kVersion);
    json.at("epoch").get_to(s.epoch);
    json.at("batch").get_to(s.batch);
    json.at("loss_sum").get_to(s.loss_sum);
    json.at("loss_count").get_to(s.loss_count);
    json.at("updates").get_to(s.updates);
    json.at("skipped").get_to(s.skipped);
    json.at("skipped_in_row").get_to(s.skipped_in_row);
    json.at("best_top1").get_to(s.best_top1);
    json.at("best_epoch").get_to(s.best_epoch);
    if (json.contains("command")) json.at("command").get_to(s.command);
    json.at("threads").get_to(s.threads);
    json.at("train_images").get_to(s.train_images);
    s.options = options_from_json(json.at("options").dump(), path.string());
    for (const Json& line : json.at("history")) {
      s.history.push_back(summary_of(line));
    }
  } catch (const nlohmann::json::exception& error) {
    fail_damaged(path, error.what());
  }
  s.spec = spec_from_json(spec->second, path.string());
  if (tensors) *tensors = std::move(file.tensors);
  return s;
}

void write_summary(const std::filesystem::path& path, const std::vector<EpochSummary>& history) {
  write_file_atomically(path, [&](std::ostream& out) {
    out << "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n";
    for (const EpochSummary& e : history) {
      const auto cell = [&](double value) {
        return e.validated ? fmt::format("{:.6g}", value) : std::string();
      };
      out << fmt::format("{},{:.6g},{},{},{},{:.6g}\n", e.epoch, e.train_loss, cell(e.eval_loss),
                         cell(e.eval_top1), cell(e.eval_top5), e.lr);
    }
  });
}

}  // namespace asmlp::train
