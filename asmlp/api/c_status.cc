// The C API: versions, names and messages.
#include "asmlp/api/c_handles.h"

namespace asmlp {
namespace {

thread_local std::string last_error;
thread_local const char* last_error_text = "";

// A value of the C API is the one of the C++ API with the same number.
static_assert(ASMLP_TASK_SEGMENT == static_cast<int>(Task::kSegment));
static_assert(ASMLP_PRECISION_INT8 == static_cast<int>(Precision::kInt8));
static_assert(ASMLP_EXIF_IGNORE == static_cast<int>(Exif::kIgnore));
static_assert(ASMLP_ISA_AUTO == static_cast<int>(Isa::kAuto));
static_assert(ASMLP_ISA_AVX512_AMX == static_cast<int>(Isa::kAvx512Amx));

// The name of a value of 0..last; "unknown" for another number.
template <typename Enum>
const char* name_of_value(int value, Enum last) {
  if (value < 0 || value > static_cast<int>(last)) return "unknown";
  return to_string(static_cast<Enum>(value));
}

}  // namespace

void remember(const char* message) noexcept {
  try {
    last_error = message;
    last_error_text = last_error.c_str();
  } catch (...) {
    last_error_text = "out of memory";
  }
}

asmlp_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return ASMLP_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return ASMLP_NOT_FOUND;
    case ErrorCode::kIo:
      return ASMLP_IO;
    case ErrorCode::kBadFormat:
      return ASMLP_BAD_FORMAT;
    case ErrorCode::kUnsupported:
      return ASMLP_UNSUPPORTED;
    case ErrorCode::kMismatch:
      return ASMLP_MISMATCH;
    case ErrorCode::kTooLarge:
      return ASMLP_TOO_LARGE;
    case ErrorCode::kInterrupted:
      return ASMLP_INTERRUPTED;
    case ErrorCode::kBusy:
      return ASMLP_BUSY;
  }
  return ASMLP_INTERNAL;
}

}  // namespace asmlp

using asmlp::ErrorCode;

const char* asmlp_version(void) { return asmlp::version(); }
int asmlp_version_number(void) { return ASMLP_VERSION_NUMBER; }
const char* asmlp_last_error(void) { return asmlp::last_error_text; }

const char* asmlp_status_name(asmlp_status status) {
  if (status == ASMLP_OK) return "ok";
  if (status == ASMLP_OUT_OF_MEMORY) return "out_of_memory";
  if (status == ASMLP_INTERNAL) return "internal";
  for (int code = 0; code <= static_cast<int>(ErrorCode::kBusy); ++code) {
    if (asmlp::status_of(ErrorCode{code}) == status) return asmlp::to_string(ErrorCode{code});
  }
  return "unknown";
}

const char* asmlp_task_name(asmlp_task task) {
  return asmlp::name_of_value(task, asmlp::Task::kSegment);
}
const char* asmlp_precision_name(asmlp_precision precision) {
  return asmlp::name_of_value(precision, asmlp::Precision::kInt8);
}
const char* asmlp_isa_name(asmlp_isa isa) {
  return asmlp::name_of_value(isa, asmlp::Isa::kAvx512Amx);
}
