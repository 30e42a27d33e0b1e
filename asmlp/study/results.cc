#include "asmlp/study/results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <set>

#include "asmlp/report/machine.h"
#include "asmlp/schema/fields.h"
#include "asmlp/study/family.h"
#include "asmlp/study/statistics.h"

namespace asmlp::study {

namespace {

// The runs of a variant by what became of them.
struct Outcomes {
  std::vector<uint64_t> seeds;  // finished
  std::vector<double> top1;     // of these
  BySeed by_seed;               // the same
  std::vector<double> best;     // the best epoch's: flattered, for comparison with other tables
  std::vector<double> rates;
  Json failed = Json::array();
  std::vector<uint64_t> missing;
  Json parameters, multiply_adds;  // null when no run said
};

class Document {
 public:
  Document(const StudyPlan& plan, const FindResult& find, const FindSpeed& speed)
      : plan_(plan), speed_(speed) {
    for (const StudyRun& run : plan.runs()) {
      if (auto result = find(run)) results_[{run.config, run.seed}] = std::move(*result);
    }
    std::vector<Sample> samples;
    std::vector<BySeed> by_seed;
    for (size_t c = 0; c < plan.configs.size(); ++c) {
      const Outcomes all = outcomes(c, plan.configs[c].seeds);
      samples.push_back(describe_sample(all.top1));
      by_seed.push_back(all.by_seed);
    }
    spread_ = pool(samples);
    residuals_ = residual_spread(by_seed);
    if (plan.baseline) {
      const StudyVariant& variant = plan.variants[*plan.baseline];
      baseline_ = outcomes(variant.config, variant.seeds).by_seed;
    }
  }

  Json json() const {
    Json json = measurement_document();  // machine, build, date
    json.erase("rows");
    json["study"] = plan_.name;
    json["epochs"] = plan_.epochs;
    json["runs"] = counts();
    std::set<std::string> commits;
    for (const auto& [key, result] : results_) commits.insert(result.value("commit", "unknown"));
    json["commits"] = commits;
    std::set<std::string> settings;
    for (const auto& [key, result] : results_) {
      if (result["outcome"] != "finished") continue;
      settings.insert(
          fmt::format("{} x {}", result.value("at_once", 0), result.value("threads", 0)));
    }
    json["processes_x_threads"] = settings;
    if (spread_.freedom > 0) {
      json["spread"] = {{"deviation", spread_.deviation}, {"degrees_of_freedom", spread_.freedom}};
    }
    if (residuals_.freedom > 0) {
      json["residuals"] = {
          {"deviation", residuals_.deviation},
          {"degrees_of_freedom", residuals_.freedom},
          {"chance_beyond_two_errors", chance_beyond_two_errors(residuals_.freedom)}};
    }
    if (plan_.baseline) json["baseline"] = plan_.variants[*plan_.baseline].name;
    json["groups"] = Json::array();
    std::vector<std::string> groups;
    for (const StudyVariant& variant : plan_.variants) {
      if (std::find(groups.begin(), groups.end(), variant.group) == groups.end()) {
        groups.push_back(variant.group);
      }
    }
    for (const std::string& group : groups) json["groups"].push_back(group_json(group));
    return json;
  }

 private:
  Json counts() const {
    int planned = 0, finished = 0, failed = 0;
    for (const StudyRun& run : plan_.runs()) {
      ++planned;
      const auto found = results_.find({run.config, run.seed});
      if (found == results_.end()) continue;
      (found->second["outcome"] == "finished" ? finished : failed) += 1;
    }
    return {{"planned", planned},
            {"finished", finished},
            {"failed", failed},
            {"missing", planned - finished - failed}};
  }

  Outcomes outcomes(size_t config, const std::vector<uint64_t>& seeds) const {
    Outcomes all;
    for (uint64_t seed : seeds) {
      const auto found = results_.find({config, seed});
      if (found == results_.end()) {
        all.missing.push_back(seed);
        continue;
      }
      const Json& result = found->second;
      const Json train = result.value("train", Json::object());
      if (result["outcome"] != "finished" || !train.contains("last_top1")) {
        all.failed.push_back({{"seed", seed}, {"error", result.value("error", "no top-1")}});
        continue;
      }
      all.seeds.push_back(seed);
      all.top1.push_back(train["last_top1"].get<double>());
      all.by_seed[seed] = all.top1.back();
      all.best.push_back(train.value("best_top1", all.top1.back()));
      all.rates.push_back(train.value("train_images_per_second", 0.0));
      if (train.contains("parameters")) all.parameters = train["parameters"];
      if (train.contains("multiply_adds")) all.multiply_adds = train["multiply_adds"];
    }
    return all;
  }

  Json row(const StudyVariant& variant) const {
    const Outcomes all = outcomes(variant.config, variant.seeds);
    const Sample top1 = describe_sample(all.top1);
    const bool is_baseline =
        plan_.baseline && plan_.variants[*plan_.baseline].config == variant.config;
    Json row{{"name", variant.name},
             {"baseline", is_baseline},
             {"seeds_planned", variant.seeds.size()},
             {"seeds", all.seeds},
             {"top1", all.top1},
             {"best_top1", all.best},
             {"parameters", all.parameters},
             {"multiply_adds", all.multiply_adds},
             {"family", family_of(plan_.configs[variant.config].options)},
             {"failed", all.failed},
             {"missing", all.missing},
             {"options", plan_.configs[variant.config].options}};
    if (speed_) {
      if (const auto speed = speed_(plan_.configs[variant.config])) row["engine"] = *speed;
    }
    if (top1.n > 0) {
      row["mean"] = top1.mean;
      row["min"] = top1.min;
      row["max"] = top1.max;
      if (top1.n > 1) row["deviation"] = top1.deviation;
      if (spread_.freedom > 0) row["mean_error"] = spread_.deviation / std::sqrt(top1.n);
      // Of the run that other work on the machine disturbed least.
      row["images_per_second"] = describe_sample(all.rates).max;
    }
    if (plan_.baseline && !is_baseline) {
      if (const auto found = compare(all.by_seed, baseline_, residuals_)) {
        row["pairs"] = found->pairs;
        row["difference"] = found->difference;
        if (found->standard_error) row["standard_error"] = *found->standard_error;
        row["verdict"] = found->verdict;
      }
      if (variant.claim) {
        row["claim"] = name_of(*variant.claim);
        row["claim_is"] = judge_claim(*variant.claim, row.value("verdict", "undecided"));
      }
    }
    return row;
  }

  Json group_json(const std::string& group) const {
    Json rows = Json::array();
    bool has_baseline = false;
    for (const StudyVariant& variant : plan_.variants) {
      if (variant.group != group) continue;
      rows.push_back(row(variant));
      has_baseline = has_baseline || rows.back()["baseline"] == true;
    }
    if (plan_.baseline && !has_baseline) {
      rows.insert(rows.begin(), row(plan_.variants[*plan_.baseline]));
    }
    return {{"name", group}, {"rows", rows}};
  }

  const StudyPlan& plan_;
  const FindSpeed& speed_;
  std::map<std::pair<size_t, uint64_t>, Json> results_;
  Spread spread_;     // within configurations
  Spread residuals_;  // without what the seeds have in common
  BySeed baseline_;
};

}  // namespace

const char* judge_claim(Claim claim, const std::string& verdict) {
  if (verdict == "undecided") return "undecided";
  return verdict == name_of(claim) ? "supported" : "not supported";
}

Json study_document(const StudyPlan& plan, const FindResult& find, const FindSpeed& speed) {
  return Document(plan, find, speed).json();
}

}  // namespace asmlp::study
