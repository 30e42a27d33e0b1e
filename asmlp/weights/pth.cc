#include "asmlp/weights/pth.h"

#include "asmlp/core/error.h"

namespace asmlp {

PthFile parse_pth(std::span<const std::byte>, const std::string& what) {
  fail(ErrorCode::kUnsupported, "{}: PyTorch checkpoints are read from the next commit on", what);
}

}  // namespace asmlp
