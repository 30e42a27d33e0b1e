// A study: configurations x seeds under one budget, read from YAML. docs/guide/studies.md has the
// format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/study/plan_file.h"

namespace asmlp::study {

// What studies write: keys keep their order.
using Json = nlohmann::ordered_json;

// What one training run is given, without its seed: the keys of a recipe, '-' between words. Equal
// configurations under several names are trained once.
struct StudyConfig {
  nlohmann::json options;
  std::string name;             // of the first variant that has it; for folders and messages
  std::vector<uint64_t> seeds;  // of all its variants, in the order of the file
};

// A row of a group's table.
struct StudyVariant {
  std::string name;
  std::string group;            // "" when the file names none
  std::vector<uint64_t> seeds;  // at least one, all different
  size_t config = 0;            // index in StudyPlan::configs
  std::optional<Claim> claim;   // against the baseline
};

// One training run: a configuration with a seed.
struct StudyRun {
  size_t config = 0;
  uint64_t seed = 0;
  nlohmann::json options;  // the whole recipe, seed included
  std::string folder;      // readable and unique to the options: "shift-5_seed1_3f2a9c1b"
};

struct StudyPlan {
  std::string name;
  int epochs = 0;                  // of every run
  std::optional<size_t> baseline;  // index in variants: the row the others are compared with
  std::vector<StudyConfig> configs;
  std::vector<StudyVariant> variants;

  // Every run once. All first seeds come before all second ones, so that a budget that ends early
  // leaves a whole table of fewer seeds.
  std::vector<StudyRun> runs() const;
};

// Reads a study. `folder` is where a relative `recipe` and `model` file are looked for.
// Error(kInvalidArgument) naming `what` and the key: unknown keys (with the nearest known), names
// given twice, seeds given twice, an option that is the study's own (seed, epochs, threads,
// output). The training options themselves are checked by `asmlp train`. `data` replaces the data
// set of `base`; variants that set their own keep it.
StudyPlan parse_study(const std::string& text, const std::string& what,
                      const std::filesystem::path& folder,
                      const std::optional<std::string>& data = std::nullopt);

// parse_study of a file; the study is called after it unless it has a `name`.
StudyPlan load_study(const std::filesystem::path& path,
                     const std::optional<std::string>& data = std::nullopt);

// The options that decide a run's result, as text with sorted keys: those that only say how to run
// (workers, log and checkpoint intervals) are left out. Equal text, equal run.
std::string identity_of(const nlohmann::json& options);

// Eight hexadecimal digits of the text (FNV-1a).
std::string short_hash(const std::string& text);

}  // namespace asmlp::study
