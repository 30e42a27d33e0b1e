// Whole-file output in which nothing is ever lost. (Input: core/input_file.h.)
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>

#include "asmlp/core/input_file.h"

namespace asmlp {

// Writes a file by way of `<path>.tmp.<host>.<pid>.<n>` in the same folder: `write` fills the
// stream, then the data is flushed to disk and renamed over `path`. If anything fails the temporary
// file is removed, a file already at `path` stays as it was, and Error(kIo) with the reason (or
// what `write` threw) leaves. Temporary files of this target that dead processes of this host left
// are removed first.
//
// Links are followed: the link stays, its target is replaced (or made). The mode of a file that is
// replaced is kept, its owner where that is allowed; a new file has the mode of the umask. What is
// no regular file (FIFO, device, /dev/stdout and other open descriptors) is written through, not
// replaced. A FIFO waits for its reader; a signal with a handler ends that: Error(kInterrupted).
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(std::ostream&)>& write);

// Error(kNotFound / kIo) with the reason when write_file_atomically(path) would fail as things are:
// no folder, no permission, a folder of that name. Said before the work, not after it.
void check_writable(const std::filesystem::path& path);

// Removes what dead processes of this host left while they wrote `target`: files and folders beside
// it called `<target>.tmp.<host>.<pid>...` or `<target>.tmp.<pid>...`. Never throws.
void remove_leftovers(const std::filesystem::path& target) noexcept;

// ".tmp.<host>.<pid>", the part of such a name that tells who writes.
std::string temporary_suffix();

}  // namespace asmlp
