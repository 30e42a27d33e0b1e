#include "asmlp/core/files/inside_path.h"

#include <atomic>
#include <filesystem>

#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"

namespace asmlp {
namespace {

std::atomic<bool> outside_allowed{false};

}  // namespace

bool stays_inside(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) return false;
  const std::filesystem::path path = std::filesystem::path(name).lexically_normal();
  return !path.is_absolute() && *path.begin() != "..";
}

bool may_be_read(std::string_view name) {
  return stays_inside(name) || (outside_allowed && name.find('\0') == std::string_view::npos);
}

void require_inside(std::string_view name, const std::string& where) {
  require(may_be_read(name), ErrorCode::kBadFormat,
          "{}: '{}' leads out of the folder that it belongs to; refused, unless --allow-outside is "
          "given",
          where, printable(name.substr(0, 200), LineBreaks::kEscape));
}

void allow_outside_paths() { outside_allowed = true; }

}  // namespace asmlp
