// The results of a study: per group a row for each variant, compared with the baseline.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/study/plan.h"

namespace asmlp::study {

// What is known about a run: StudyFolder::result.
using FindResult = std::function<std::optional<Json>(const StudyRun&)>;
// What is known about a configuration's speed: StudyFolder::speed.
using FindSpeed = std::function<std::optional<Json>(const StudyConfig&)>;

// {"study", "epochs", "machine", "build", "date", "spread", "residuals", "runs": {"planned",
// "finished", "failed", "missing"}, "groups": [{"name", "rows": [...]}]}; docs/guide/studies.md
// lists the keys. Top-1 is that of the last epoch in percent: no epoch is chosen by looking at the
// images it is reported on.
Json study_document(const StudyPlan& plan, const FindResult& find,
                    const FindSpeed& speed = nullptr);

// What a comparison says about a claim: "supported", "not supported", "undecided".
const char* judge_claim(Claim claim, const std::string& verdict);

enum class StudyMarkup { kPlain, kMarkdown };
std::string study_text(const Json& document, StudyMarkup markup);

// One line per group and variant.
std::string study_csv(const Json& document);

}  // namespace asmlp::study
