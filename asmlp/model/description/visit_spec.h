// The parts that descriptions of every task have, in one place for all of them.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "asmlp/model/description/description.h"

namespace asmlp {

// Calls visit(spec) with a classifier's ModelSpec, a detector's or a segmentor's spec: name,
// classes, origin, quantization are members of each. `description` may be const.
template <typename AnyDescription, typename Visitor>
decltype(auto) visit_spec(AnyDescription& description, Visitor&& visit) {
  static_assert(std::is_same_v<std::remove_const_t<AnyDescription>, Description>);
  if (auto* architecture = std::get_if<Architecture>(&description.model)) {
    return visit(architecture->spec);
  }
  if (auto* detector = std::get_if<DetectorSpec>(&description.model)) return visit(*detector);
  return visit(std::get<SegmentorSpec>(description.model));
}

}  // namespace asmlp
