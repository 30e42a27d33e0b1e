// run.json: what a run is, on what it ran, and what came out of it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace asmlp::train {

// {"host", "os", "cpu", "isas", "cores"}: this machine as this process may use it.
nlohmann::ordered_json machine_facts();

// {"libtorch", "blas"}: the version compiled against, and the library that multiplies matrices as
// far as it can be told ("OpenBLAS 0.3.21 ...", or the file).
nlohmann::ordered_json library_facts();

// "2026-11-23T23:35:26Z".
std::string utc_time();

// The object in the file; an empty one when there is no file. Error(kBadFormat) when it holds
// something else.
nlohmann::ordered_json read_run_json(const std::filesystem::path& path);

// Writes atomically. Text that is not UTF-8 gets replacement characters.
void write_run_json(const std::filesystem::path& path, const nlohmann::ordered_json& run);

}  // namespace asmlp::train
