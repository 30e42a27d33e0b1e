// The one source of the tests that knows where the repository is: the others compile to the same
// objects in every clone, so that a compiler cache serves them all.
#include <filesystem>

namespace asmlp::test {

std::filesystem::path source_folder() { return ASMLP_SOURCE_FOLDER; }

}  // namespace asmlp::test
