// The accuracies of a study as a picture.
#pragma once

#include <filesystem>
#include <optional>

#include "asmlp/report/axis.h"
#include "asmlp/study/plan.h"

namespace asmlp::study {

// The axis of the picture: all seeds' top-1 and one standard deviation around every mean, not
// beyond 100 %. Nothing while no run has finished.
std::optional<Axis> top1_axis(const Json& document);

// Every variant of every group on one scale of top-1: a mark per seed, their mean, and one standard
// deviation to both sides; a line at the baseline's mean. Written as PNG, atomically; Error(kIo).
// Nothing is written while no run has finished.
void write_study_top1(const std::filesystem::path& path, const Json& document);

}  // namespace asmlp::study
