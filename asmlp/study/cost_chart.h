// Cost against accuracy of a study's configurations, as SVG.
#pragma once

#include <filesystem>
#include <string>

#include "asmlp/study/plan.h"

namespace asmlp::study {

// A panel per cost that is known and differs: parameters, multiply-adds, milliseconds of training
// per image (LibTorch), milliseconds of the native engine per image (batch 1). In each, every
// configuration with a finished run as a numbered mark at its mean top-1, with one standard error
// to both sides where that is known; the models of a family (family.h) that differ in size are
// joined by a line. A list names the numbers. "" while no run has finished.
std::string study_cost_svg(const Json& document);

// Writes it, atomically; Error(kIo). Nothing is written while it is "".
void write_study_cost(const std::filesystem::path& path, const Json& document);

}  // namespace asmlp::study
