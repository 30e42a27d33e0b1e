// The rows of `asmlp bench` as a picture.
#pragma once

#include <filesystem>

#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// One line per row: a bar of GFLOP/s up to a mark at the peak measured in the same run, the share
// of that peak, images/s and ms per image. Rows of --latency are left out; Error(kInvalidArgument)
// when there are no others. Written as PNG, atomically; Error(kIo).
void write_bench_plot(const std::filesystem::path& path, const Json& document);

}  // namespace asmlp::cli
