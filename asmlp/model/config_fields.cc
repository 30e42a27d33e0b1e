#include "asmlp/model/config_fields.h"

namespace asmlp {

using Json = nlohmann::json;

void Codec<ShiftSize>::read(const Json& json, ShiftSize& size, const std::string& where) {
  if (json.is_number()) {
    read_json(json, size.h, where);
    size.w = size.h;
  } else if (json.is_array() && json.size() == 2) {
    read_json(json[0], size.h, where);
    read_json(json[1], size.w, where);
  } else if (json.is_object() && json.size() == 2 && json.contains("h") && json.contains("w")) {
    read_json(json["h"], size.h, where);
    read_json(json["w"], size.w, where);
  } else {
    refuse_value(json, where, "a number, [h, w] or {\"h\": .., \"w\": ..}");
  }
}

nlohmann::ordered_json backbone_to_json(const Config& config) {
  nlohmann::ordered_json json = fields_to_json(config);
  json.erase("num_classes");
  return json;
}

void read_backbone(const Json& json, Config& config, const std::string& where) {
  require_object(json, where);
  require(json.contains("shift_size"), ErrorCode::kInvalidArgument,
          "{}: shift_size is missing; weights do not show it, so it must be said (the published "
          "models have 5, or 3)",
          where);
  require(!json.contains("num_classes"), ErrorCode::kInvalidArgument,
          "{}: a backbone has no num_classes; leave it out", where);
  read_json(json, config, where);
  config.num_classes = 0;
}

}  // namespace asmlp
