// The pictures of a run: files in its folder `images`, on its page, and in TensorBoard.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "asmlp/image/image.h"

namespace asmlp {

// What a task draws. The names are those of kPictureTags.
struct Picture {
  std::string name;     // of its file, without extension
  std::string title;    // on the page
  std::string caption;  // what is on it, a sentence
  Image image;          // RGB
};

struct PictureTag {
  const char* name;
  const char* tag;  // in TensorBoard
};
// All pictures, in the order of the page.
inline constexpr PictureTag kPictureTags[]{{"predictions", "predictions/validation"},
                                           {"samples", "samples/train"},
                                           {"confusion", "confusion"},
                                           {"pr_curve", "pr_curve"}};
const char* tag_of_picture(const std::string& name);  // "" for another name

// A picture as the page and TensorBoard hold it: the PNG file's bytes, or those of a JPEG file
// (quality 92) where the PNG file has more than kLargePicture bytes (of photographs).
struct EmbeddedPicture {
  std::string name, title, caption;
  int64_t step = 0;  // of the run, after which it was drawn
  int height = 0, width = 0;
  std::string media_type;  // "image/png" or "image/jpeg"
  std::string bytes;
};
inline constexpr size_t kLargePicture = 1'000'000;

// Writes folder/images/<name>.png, atomically, and gives what is embedded. Error(kIo).
EmbeddedPicture store_picture(const std::filesystem::path& folder, const Picture& picture,
                              int64_t step);

// What run.json says of the pictures, a list of {file, title, caption, step}, and from that the
// pictures of an earlier start; those that cannot be read are left out.
nlohmann::ordered_json pictures_json(const std::vector<EmbeddedPicture>& pictures);
std::vector<EmbeddedPicture> read_pictures(const std::filesystem::path& folder,
                                           const nlohmann::ordered_json& list);

// Puts a picture in the place of the one of its name, or at its place in the order of the page.
void replace_picture(std::vector<EmbeddedPicture>& pictures, EmbeddedPicture picture);

// The page's section: a figure per picture, whose image is a data URI. "" without pictures.
std::string pictures_html(const std::vector<EmbeddedPicture>& pictures);
extern const char* const kPictureStyle;  // its rules

// RFC 4648, section 4.
std::string base64(std::string_view bytes);

}  // namespace asmlp
