// PNG's rows without libspng, several times faster: libdeflate unpacks them at once, and their
// filters are undone a pixel at a time in a vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace asmlp {

// Unpacks the zlib stream that the parts make together into all of `rows`. False unless it is
// whole, has exactly that many bytes, and its checksum is right: then another decoder may find out
// what is wrong with it.
bool unpack_png_rows(std::span<const std::string_view> parts, std::span<uint8_t> rows);

inline constexpr size_t kPngSlack = 8;

// Undoes the filter of a row in place: of the first `count` bytes behind its first one, which says
// which filter it is. `pixel` is the number of bytes from a sample to that of the next pixel, 1 to
// 8; `above` the row above without its filter (behind its first byte), or null for the first row.
// Behind both rows there are kPngSlack bytes that may be read.
// False for a filter that PNG does not know.
bool unfilter_png_row(uint8_t* row, const uint8_t* above, size_t count, size_t pixel);

}  // namespace asmlp
