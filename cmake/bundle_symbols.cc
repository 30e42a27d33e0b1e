// With ASMLP_BUNDLE_DEPS, a part of libasmlp.so and of the Python module, hidden in them.
#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {
// Debian's archives are compiled for programs, not for shared libraries: they can only reach a
// variable of the C library that lies in the same file. This is the stream that its `stderr` points
// to.
extern char _IO_2_1_stderr_[];
HIDDEN void* stderr = _IO_2_1_stderr_;

// What libtiff calls for LERC compression, a format of terrain data. Its library is C++ compiled
// the same way, which cannot be linked at all. 1 is its "failed": such files are refused.
HIDDEN unsigned lerc_getBlobInfo() { return 1; }
HIDDEN unsigned lerc_decode() { return 1; }
HIDDEN unsigned lerc_encodeForVersion() { return 1; }
}
