// Descriptions as JSON values, for the source files that have them inside other documents.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "asmlp/model/description/description.h"

namespace asmlp {

// Errors and forms: description.h. Everything is validated.
Architecture read_architecture(nlohmann::json json, const std::string& what);
DetectorSpec read_detector(nlohmann::json json, const std::string& what);
SegmentorSpec read_segmentor(nlohmann::json json, const std::string& what);
Description read_description(nlohmann::json json, const std::string& what,
                             std::optional<Task> task = {});
// A model of `task`; Error(kUnsupported) when it describes one of another.
Description read_description_of(nlohmann::json json, const std::string& what, Task task);

nlohmann::ordered_json write_json(const Architecture& architecture);
nlohmann::ordered_json write_json(const DetectorSpec& spec);
nlohmann::ordered_json write_json(const SegmentorSpec& spec);
nlohmann::ordered_json write_json(const Description& description);

}  // namespace asmlp
