// What the commands of detectors write and read in COCO's formats.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "asmlp/dataset/coco/coco_results.h"
#include "asmlp/model/detector_config.h"

namespace asmlp::cli {

// --coco-results PREFIX.
void add_coco_results_option(CLI::App& app, std::string& prefix);

// Error as check_output when a file cannot be written; nothing for "".
void check_coco_results(const std::string& prefix);

// PREFIX.bbox.json and, of a detector that has masks, PREFIX.segm.json, as COCO's tools and servers
// read them; nothing for "".
void write_coco_result_files(const std::string& prefix, DetectorKind kind,
                             const CocoAnnotations& annotations,
                             std::span<const CocoDetection> detections);

}  // namespace asmlp::cli
