// What a struct's `visit` says of a field that is also an option of a command.
#pragma once

#include "asmlp/schema/field_info.h"

namespace asmlp {

// Whether a value may differ between a checkpoint and the run that resumes it. kFixed values decide
// what is trained. kWarns values decide its last bits or how it is divided over machines: another
// value is accepted with a warning. kFree values leave the weights as they are.
enum class OnResume { kFixed, kWarns, kFree };

// As OptionInfo{{.low = 1}, "Passes over the training images"}.
struct OptionInfo : FieldInfo {
  const char* help = "";
  OnResume on_resume = OnResume::kFixed;
  char short_name = 0;       // 'b' for -b
  const char* heading = "";  // in --help
};

// A visitor that hands on to `field` with the heading of a group. `field` must outlive it.
auto under(const char* heading, auto& field) {
  return [heading, &field](const char* name, auto&& value, OptionInfo info) {
    info.heading = heading;
    field(name, value, info);
  };
}

}  // namespace asmlp
