#include "asmlp/weights/pytorch/config_json.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp {

nlohmann::json ConfigWriter::convert(const PickleValue& value, int depth) {
  using Json = nlohmann::json;
  values_ += 1 + std::min(value.text.size(), kMaxText) / 16;
  require(values_ <= 100'000, ErrorCode::kBadFormat, "{}: its config has too many values", what_);
  switch (value.kind) {
    case PickleKind::kBool:
      return value.number != 0;
    case PickleKind::kInt:
      return value.number;
    case PickleKind::kFloat:
      return value.real;
    case PickleKind::kText:
      return value.text.substr(0, kMaxText);
    case PickleKind::kTuple:
    case PickleKind::kList: {
      Json list = Json::array();
      if (depth >= kMaxDepth) return nullptr;
      for (PickleRef item : value.items) list.push_back(convert(pickle_.at(item), depth + 1));
      return list;
    }
    case PickleKind::kInstance: {
      if (value.items.empty() || depth >= kMaxDepth) return nullptr;
      const PickleValue* attributes = pickle_.dict_of(value);
      return convert(attributes != nullptr ? *attributes : pickle_.at(value.items[0]), depth + 1);
    }
    case PickleKind::kDict: {
      Json object = Json::object();
      if (depth >= kMaxDepth) return nullptr;
      for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
        const PickleValue& key = pickle_.at(value.items[i]);
        if (key.kind != PickleKind::kText) continue;
        values_ += std::min(key.text.size(), kMaxText) / 16;
        Json item = convert(pickle_.at(value.items[i + 1]), depth + 1);
        if (!item.is_null()) object[std::string(key.text.substr(0, kMaxText))] = std::move(item);
      }
      return object;
    }
    default:
      return nullptr;
  }
}

}  // namespace asmlp
