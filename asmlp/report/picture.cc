#include "asmlp/report/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/report/html.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kJpegQuality = 92;

fs::path file_of(const std::string& name) { return fs::path("images") / (name + ".png"); }

// Its place in kPictureTags, or their number.
size_t place_of(const std::string& name) {
  const auto found = std::ranges::find(kPictureTags, name, &PictureTag::name);
  return static_cast<size_t>(found - std::begin(kPictureTags));
}

EmbeddedPicture embedded(const Picture& picture, std::string png, int64_t step) {
  const Image& image = picture.image;
  EmbeddedPicture result{.name = picture.name,
                         .title = picture.title,
                         .caption = picture.caption,
                         .step = step,
                         .height = image.height,
                         .width = image.width,
                         .media_type = "image/png",
                         .bytes = std::move(png)};
  if (result.bytes.size() > kLargePicture) {
    result.media_type = "image/jpeg";
    result.bytes = encode_jpeg(image, kJpegQuality);
  }
  return result;
}

}  // namespace

const char* const kPictureStyle = R"(.pictures { display: grid; gap: 1em; }
.pictures figure { background: var(--paper); border-radius: 8px; padding: .8em 1em;
  overflow-x: auto; }
.pictures figcaption span { flex-basis: 100%; margin-bottom: .5em; }
.pictures img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
)";

const char* tag_of_picture(const std::string& name) {
  const size_t place = place_of(name);
  return place < std::size(kPictureTags) ? kPictureTags[place].tag : "";
}

EmbeddedPicture store_picture(const fs::path& folder, const Picture& picture, int64_t step) {
  const std::vector<uint8_t> png = encode_png(picture.image);
  const fs::path path = folder / file_of(picture.name);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  require(!error, ErrorCode::kIo, "{}: cannot make the folder: {}", path.parent_path().string(),
          error.message());
  std::string bytes(png.begin(), png.end());
  write_file_atomically(path, [&](std::ostream& out) { out << bytes; });
  return embedded(picture, std::move(bytes), step);
}

Json pictures_json(const std::vector<EmbeddedPicture>& pictures) {
  Json list = Json::array();
  for (const EmbeddedPicture& picture : pictures) {
    list.push_back({{"file", file_of(picture.name).string()},
                    {"title", picture.title},
                    {"caption", picture.caption},
                    {"step", picture.step}});
  }
  return list;
}

std::vector<EmbeddedPicture> read_pictures(const fs::path& folder, const Json& list) {
  std::vector<EmbeddedPicture> pictures;
  if (!list.is_array()) return pictures;
  for (const auto& [name, tag] : kPictureTags) {
    const std::string file = file_of(name).string();
    const auto entry = std::ranges::find_if(list, [&](const Json& e) {
      return e.is_object() && e.contains("file") && e["file"] == file;
    });
    if (entry == list.end()) continue;
    try {
      Picture picture{name, entry->at("title"), entry->at("caption"), decode_image(folder / file)};
      pictures.push_back(
          embedded(picture, read_file(folder / file), entry->at("step").get<int64_t>()));
    } catch (const std::exception&) {
      // The next validation draws it anew.
    }
  }
  return pictures;
}

void replace_picture(std::vector<EmbeddedPicture>& pictures, EmbeddedPicture picture) {
  std::erase_if(pictures, [&](const EmbeddedPicture& p) { return p.name == picture.name; });
  const auto place = std::ranges::find_if(pictures, [&](const EmbeddedPicture& p) {
    return place_of(p.name) > place_of(picture.name);
  });
  pictures.insert(place, std::move(picture));
}

std::string pictures_html(const std::vector<EmbeddedPicture>& pictures) {
  if (pictures.empty()) return "";
  std::string html = "<h2>Pictures</h2>\n<div class=\"pictures\">\n";
  for (const EmbeddedPicture& picture : pictures) {
    html += fmt::format(
        "<figure><figcaption><b>{0}</b><span>{1} Step {2}.</span></figcaption>"
        "<img alt=\"{0}\" width=\"{3}\" height=\"{4}\" src=\"data:{5};base64,{6}\"></figure>\n",
        escape_html(picture.title), escape_html(picture.caption), group_digits(picture.step),
        picture.width, picture.height, picture.media_type, base64(picture.bytes));
  }
  return html + "</div>\n";
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace asmlp
