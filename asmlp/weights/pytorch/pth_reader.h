// parse_pth with its checksums off: damaged members then reach the parsers behind them. For the
// fuzz target and the mutation tests.
#pragma once

#include "asmlp/weights/pytorch/pth.h"
#include "asmlp/weights/pytorch/zip.h"

namespace asmlp {

PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what, Checksums checksums);

}  // namespace asmlp
