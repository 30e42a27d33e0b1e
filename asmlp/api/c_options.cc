// The C API: what the options and inputs of all engines have in common.
#include "asmlp/api/c_handles.h"

namespace asmlp {

ReadOptions reading_of(asmlp_exif exif, int64_t max_pixels) {
  require(exif == ASMLP_EXIF_APPLY || exif == ASMLP_EXIF_IGNORE, ErrorCode::kInvalidArgument,
          "exif is {}, which is none of asmlp_exif", static_cast<int>(exif));
  return {static_cast<Exif>(exif), max_pixels};
}

std::vector<ImageView> views_of(const asmlp_image* images, int count) {
  checked(images, "images");
  require(count >= 1, ErrorCode::kInvalidArgument, "count is {}, must be at least 1", count);
  std::vector<ImageView> views;
  for (int i = 0; i < count; ++i) {
    require(images[i].order == ASMLP_RGB || images[i].order == ASMLP_BGR,
            ErrorCode::kInvalidArgument,
            "image {} has the order {}, which is none of asmlp_channel_order", i,
            static_cast<int>(images[i].order));
    views.push_back({images[i].pixels, images[i].height, images[i].width, images[i].channels,
                     images[i].row_bytes, static_cast<ChannelOrder>(images[i].order)});
  }
  return views;
}

bool is_set(int option, const char* name) {
  require(option == 0 || option == 1, ErrorCode::kInvalidArgument, "{} is {}, must be 0 or 1", name,
          option);
  return option == 1;
}

}  // namespace asmlp
