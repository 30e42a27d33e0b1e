// Numbers that a model's origin (model/spec.h) holds as text, as `asmlp calibrate` writes them.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace asmlp {

// The factor that the logits of the head were divided by, and the top score that 95 % of the
// rightly classified images of the calibration exceed.
inline constexpr const char* kTemperatureKey = "temperature";
inline constexpr const char* kTypicalScoreKey = "typical_score";

// The value under `key`; nothing where there is none, or text that is no finite number.
std::optional<double> origin_number(const std::map<std::string, std::string>& origin,
                                    const std::string& key);

}  // namespace asmlp
