// The other program, asmlp-torch, for what needs LibTorch.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "asmlp/cli/options/other_program.h"
#include "asmlp/model/task.h"

namespace asmlp::cli {

inline constexpr OtherProgram kTorchProgram{
    "asmlp-torch",
    "build it with LibTorch: `scripts/install_deps.sh && cmake --preset release && cmake --build "
    "--preset release`"};

// The program `asmlp-torch` (find_program).
std::filesystem::path find_torch_program(const std::string& what);

// Replaces this process by `asmlp-torch`, found by find_torch_program(what), with the same
// arguments and, where it has been decided, the task. Returns only by an Error.
[[noreturn]] void exec_torch(const std::string& what, Arguments arguments,
                             std::optional<Task> task = {});

}  // namespace asmlp::cli
