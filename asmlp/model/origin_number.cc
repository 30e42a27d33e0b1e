#include "asmlp/model/origin_number.h"

#include <charconv>
#include <cmath>

namespace asmlp {

std::optional<double> origin_number(const std::map<std::string, std::string>& origin,
                                    const std::string& key) {
  const auto found = origin.find(key);
  if (found == origin.end()) return std::nullopt;
  const char* const end = found->second.data() + found->second.size();
  double value = 0;
  const auto [rest, error] = std::from_chars(found->second.data(), end, value);
  if (error != std::errc() || rest != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace asmlp
