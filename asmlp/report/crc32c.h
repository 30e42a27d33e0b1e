// CRC-32C (Castagnoli; RFC 3720, appendix B.4): the check sum of TFRecord files.
#pragma once

#include <cstdint>
#include <string_view>

namespace asmlp {

// The CRC of the bytes: polynomial 0x1EDC6F41, reflected, first and last complement.
uint32_t crc32c(std::string_view bytes);

// As TFRecord stores it, so that a CRC over data that holds CRCs stays a good one: rotated right by
// 15 bits, plus 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace asmlp
