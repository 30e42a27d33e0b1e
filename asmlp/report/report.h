// report.html: a run on one page, for a browser without network.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "asmlp/report/history.h"
#include "asmlp/report/picture.h"
#include "asmlp/report/step_log.h"

namespace asmlp {

// What the page is made of: the files of a run folder.
struct ReportData {
  nlohmann::ordered_json run = nlohmann::ordered_json::object();  // run.json (run_json.h)
  std::string recipe;                                             // args.yaml
  std::vector<StepLine> steps;                                    // steps.csv
  std::vector<EpochSummary> history;                              // summary.csv
  std::vector<EmbeddedPicture> pictures;                          // images/ (picture.h)
  std::string eval_metric = "top1";  // by which the best epoch is chosen (train/task.h)
};

// The page: outcome, curves, pictures, epochs, starts, what was trained on what, recipe. It needs
// no script, no other file and no network, and follows the reader's choice of light or dark.
std::string report_html(const ReportData& data);

// Its curves alone, as an SVG picture.
std::string curves_svg(const ReportData& data);

}  // namespace asmlp
