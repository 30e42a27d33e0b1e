// The two kinds of cache behind open_image_cache.
#pragma once

#include <memory>
#include <string>

#include "asmlp/dataset/cache/image_cache.h"

namespace asmlp {

std::shared_ptr<const ImageCache> open_ram_cache(CacheContents contents,
                                                 const CacheOptions& options);
// Null where the file cannot be had, which is said.
std::shared_ptr<const ImageCache> open_disk_cache(CacheContents contents,
                                                  const CacheOptions& options);

// contents.decode(index) as it is kept: gray where that says all.
Image decode_to_keep(const CacheContents& contents, int64_t index);

// "1.25 GB", "310 MB".
std::string bytes_text(double bytes);

}  // namespace asmlp
