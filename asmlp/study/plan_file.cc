#include "asmlp/study/plan_file.h"

#include <algorithm>
#include <cctype>

#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"
#include "asmlp/schema/yaml.h"

namespace asmlp::study {
namespace {

void check_seeds(const std::optional<std::vector<uint64_t>>& seeds, const std::string& where) {
  if (!seeds) return;
  require(!seeds->empty() && seeds->size() <= 1000, ErrorCode::kInvalidArgument,
          "{}: seeds must be a list of 1 to 1000 seeds", where);
  for (auto seed = seeds->begin(); seed != seeds->end(); ++seed) {
    require(*seed <= uint64_t{INT64_MAX}, ErrorCode::kInvalidArgument,
            "{}: seeds: {} must be at most 2^63-1", where, *seed);
    require(std::find(seeds->begin(), seed, *seed) == seed, ErrorCode::kInvalidArgument,
            "{}: seeds: {} is given twice", where, *seed);
  }
}

}  // namespace

PlanFile read_plan_file(const std::string& text, const std::string& what) {
  PlanFile file;
  read_json(json_from_yaml(text, what), file, what);
  check_ranges(file, what.c_str());
  require(!file.base.is_null(), ErrorCode::kInvalidArgument,
          "{}: `base` is missing: the options of all runs, or `recipe: FILE` with changes", what);
  require(file.seeds.has_value(), ErrorCode::kInvalidArgument,
          "{}: `seeds` is missing: a list, e.g. [1, 2, 3]", what);
  check_seeds(file.seeds, what);
  require(file.variants.has_value() == file.grid.is_null(), ErrorCode::kInvalidArgument,
          "{}: give `variants` or `grid`, one of them", what);
  if (!file.variants) return file;
  require(!file.variants->empty(), ErrorCode::kInvalidArgument, "{}: variants is an empty list",
          what);
  size_t number = 0;
  for (const PlanVariant& variant : *file.variants) {
    const std::string where = fmt::format("{}: variant {}", what, ++number);
    check_seeds(variant.seeds, where);
    require(!variant.name.text.empty() || !variant.grid.is_null(), ErrorCode::kInvalidArgument,
            "{} needs a `name`", where);
    require(!variant.claim || !file.baseline.text.empty(), ErrorCode::kInvalidArgument,
            "{}: `claim` compares it with the `baseline`, which the study does not name", where);
  }
  return file;
}

}  // namespace asmlp::study

namespace asmlp {

nlohmann::ordered_json Codec<study::PlanName>::write(const study::PlanName& value) {
  return value.text;
}

void Codec<study::PlanName>::read(const nlohmann::json& json, study::PlanName& value,
                                  const std::string& where) {
  if (json.is_number()) {
    value.text = json.dump();
  } else {
    read_json(json, value.text, where);
  }
  const auto breaks = [](unsigned char c) { return c == '|' || std::iscntrl(c) != 0; };
  require(
      !value.text.empty() && value.text.size() <= 100 && std::ranges::none_of(value.text, breaks),
      ErrorCode::kInvalidArgument, "{}: '{}' must be 1 to 100 bytes without '|' and line breaks",
      where, excerpt(value.text));
}

}  // namespace asmlp
