// Whether a command line is about a segmentor, known before it is parsed.
#pragma once

namespace asmlp::cli {

// Whether `validate ...` is of a segmentor: by the file of --model (model_task.h), or by an --arch
// of UPerNet for a file that does not say.
bool validates_segmentor(int argc, const char* const* argv);

}  // namespace asmlp::cli
