// How the fields of configs that are no plain numbers look in JSON. For the source files that read
// and write descriptions.
#pragma once

#include "asmlp/model/config.h"
#include "asmlp/model/spec.h"
#include "asmlp/schema/fields.h"

namespace asmlp {

// n, [h, w] or {"h": h, "w": w}; written as [h, w].
template <>
struct Codec<ShiftSize> {
  static nlohmann::ordered_json write(const ShiftSize& size) { return {size.h, size.w}; }
  static void read(const nlohmann::json& json, ShiftSize& size, const std::string& where);
};

template <typename Int>
struct Codec<SquareField<Int>> {
  static nlohmann::ordered_json write(const SquareField<Int>& field) { return field.value; }
  static void read(const nlohmann::json& json, SquareField<Int>& field, const std::string& where) {
    ShiftSize size;
    Codec<ShiftSize>::read(json, size, where);
    field.value = size.h > size.w ? size.h : size.w;
  }
};

void read_backbone(const nlohmann::json& json, Config& config, const std::string& where);
nlohmann::ordered_json backbone_to_json(const Config& config);

template <typename C>
struct Codec<BackboneField<C>> {
  static nlohmann::ordered_json write(const BackboneField<C>& field) {
    return backbone_to_json(field.value);
  }
  static void read(const nlohmann::json& json, BackboneField<C>& field, const std::string& where) {
    read_backbone(json, field.value, where);
  }
};

}  // namespace asmlp
