// Names that come out of files, and the folders they are joined to.
#pragma once

#include <string>
#include <string_view>

namespace asmlp {

// Whether the path `folder / name` lies below the folder whatever the folder is: `name` is relative
// and does not climb above its start ("a/../b" does not, "../b" does), has no zero byte, and is not
// empty. Only the text is judged: a link inside the folder is its owner's.
bool stays_inside(std::string_view name);

// stays_inside, or the user has allowed the others (allow_outside_paths).
bool may_be_read(std::string_view name);

// Error(kBadFormat) unless may_be_read(name): "`where`: 'name' leads out of the folder ...".
// `where` names the file and the place in it.
void require_inside(std::string_view name, const std::string& where);

// For programs, --allow-outside: from now on names in files may lead anywhere.
void allow_outside_paths();

}  // namespace asmlp
