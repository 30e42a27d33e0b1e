// The document of `asmlp bench` and its forms for people.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// Reads documents that `asmlp bench --json` wrote and puts their rows together, in this order. The
// rest is the first one's. Error(kBadFormat) for another file, Error(kMismatch) when they come from
// different processors or builds.
Json read_bench_documents(const std::vector<std::filesystem::path>& files);

// Whether it was measured by --latency, and not by runs of one engine.
bool is_latency_row(const Json& row);

enum class Markup { kPlain, kMarkdown };

// Of the rows measured by runs of one engine: speed; checks and memory; and, for every row that has
// them, the steps by stage. Of those of --latency: their percentiles.
std::string bench_text(const Json& document, Markup markup);

// A row's model without what all the zoo's names share: "tiny" for asmlp_tiny_patch4_shift5_224.
std::string short_model_name(const std::string& name);

}  // namespace asmlp::cli
