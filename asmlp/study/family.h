// Which kind of network a configuration trains.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace asmlp::study {

inline constexpr const char* kEngineFamily = "AS-MLP";  // the one that the native engine runs

// "AS-MLP", "Swin", "MLP-Mixer", "ResMLP", or of AS-MLP's skeleton "global_mlp", "axial_mlp",
// "window_mlp", by the option `model`. "" when that does not say it: a file of weights, a detector,
// a description with a mistake.
std::string family_of(const nlohmann::json& options);

}  // namespace asmlp::study
