#include "asmlp/cli/dense/coco_files.h"

#include "asmlp/cli/options/options.h"

namespace asmlp::cli {
namespace {

constexpr std::pair<CocoTask, const char*> kFiles[]{{CocoTask::kBox, ".bbox.json"},
                                                    {CocoTask::kMask, ".segm.json"}};

}  // namespace

void add_coco_results_option(CLI::App& app, std::string& prefix) {
  app.add_option("--coco-results", prefix,
                 "write COCO result files: PREFIX.bbox.json and, of a model that has masks, "
                 "PREFIX.segm.json")
      ->type_name("PREFIX")
      ->group("Output");
}

void check_coco_results(const std::string& prefix) {
  if (prefix.empty()) return;
  for (const auto& [task, suffix] : kFiles) check_output(prefix + suffix);
}

void write_coco_result_files(const std::string& prefix, DetectorKind kind,
                             const CocoAnnotations& annotations,
                             std::span<const CocoDetection> detections) {
  if (prefix.empty()) return;
  for (const auto& [task, suffix] : kFiles) {
    if (task == CocoTask::kMask && !has_masks(kind)) continue;
    write_coco_results(prefix + suffix, task, annotations, detections);
  }
}

}  // namespace asmlp::cli
