// What the YAML of a study says, before variants and grids are expanded. docs/guide/studies.md has
// the format.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/schema/codec.h"
#include "asmlp/schema/field_info.h"

namespace asmlp::study {

// Stands in tables and plots: at most 100 bytes without '|' and line breaks. May be a number in the
// file. "": not given.
struct PlanName {
  std::string text;
};

// What somebody claims of a variant against the baseline.
enum class Claim { kBetter, kWorse };
constexpr auto names_of(Claim) {
  return std::array{std::pair{Claim::kBetter, "better"}, std::pair{Claim::kWorse, "worse"}};
}

struct PlanVariant {
  PlanName name;
  PlanName group;
  nlohmann::json set;   // a map of options, or null
  nlohmann::json grid;  // a map of lists, or null
  std::optional<std::vector<uint64_t>> seeds;
  std::optional<Claim> claim;

  static void visit(auto& self, auto&& field) {
    field("name", self.name);
    field("group", self.group);
    field("claim", self.claim);
    field("set", self.set);
    field("grid", self.grid);
    field("seeds", self.seeds);
  }
};

inline constexpr FieldInfo kStudyEpochs{.low = 1, .high = 1'000'000};

struct PlanFile {
  PlanName name;
  nlohmann::json base;
  std::optional<int> epochs;
  std::optional<std::vector<uint64_t>> seeds;
  PlanName baseline;
  std::optional<std::vector<PlanVariant>> variants;
  nlohmann::json grid;

  static void visit(auto& self, auto&& field) {
    field("name", self.name);
    field("base", self.base);
    field("epochs", self.epochs, kStudyEpochs);
    field("seeds", self.seeds);
    field("baseline", self.baseline);
    field("variants", self.variants);
    field("grid", self.grid);
  }
};

// Reads a study's YAML. Error(kInvalidArgument) naming `what` and the key: unknown keys (with the
// nearest known), values of the wrong type or out of range, seeds given twice, `base` or `seeds`
// missing, not one of `variants` and `grid`, a claim without a `baseline`.
PlanFile read_plan_file(const std::string& text, const std::string& what);

}  // namespace asmlp::study

namespace asmlp {

template <>
struct Codec<study::PlanName> {
  static nlohmann::ordered_json write(const study::PlanName& value);
  static void read(const nlohmann::json& json, study::PlanName& value, const std::string& where);
};

}  // namespace asmlp
