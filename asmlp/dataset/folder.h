// Looking into the folders of a data set.
#pragma once

#include <filesystem>
#include <system_error>
#include <vector>

namespace asmlp {

// Links are followed. False, too, where it cannot be told.
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);

// The entries of a folder that are not hidden (is_hidden), sorted by the bytes of their paths, as
// torchvision sorts. Where the folder cannot be listed, `error` says why, and what was found so far
// is returned.
std::vector<std::filesystem::path> visible_entries(const std::filesystem::path& folder,
                                                   std::error_code& error);

}  // namespace asmlp
