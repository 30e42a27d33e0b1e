// run.json: what a run is, on what it ran, and what came out of it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace asmlp {

// The object in the file; an empty one when there is no file. Error(kBadFormat) when it holds
// something else.
nlohmann::ordered_json read_run_json(const std::filesystem::path& path);

// Writes atomically. Text that is not UTF-8 gets replacement characters.
void write_run_json(const std::filesystem::path& path, const nlohmann::ordered_json& run);

}  // namespace asmlp
