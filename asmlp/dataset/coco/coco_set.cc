#include "asmlp/dataset/coco/coco_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/inside_path.h"
#include "asmlp/dataset/coco/coco_image_index.h"
#include "asmlp/dataset/coco/coco_record.h"
#include "asmlp/dataset/folder.h"
#include "asmlp/dataset/hold_out.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/left_out.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// Whether a name is one of another machine: no path below a folder of this one.
bool is_foreign(const std::string& file_name) {
  return file_name.find("://") != std::string::npos || local_name(file_name).starts_with('/');
}

// Where an image is below `folder`; "" when it is not there. A name that leads elsewhere is not
// looked for: the file may be there by the end of its path.
fs::path found_below(const fs::path& folder, const std::string& file_name) {
  if (may_be_read(file_name) && is_file(folder / file_name)) return folder / file_name;
  const std::string local = local_name(file_name);
  if (local != file_name && stays_inside(local) && is_file(folder / local)) {
    return folder / local;
  }
  return {};
}

using ImagePlaces = std::vector<fs::path>;  // of each image; "" when it is not there

int64_t found_in(const ImagePlaces& places) {
  return std::ranges::count_if(places, [](const fs::path& p) { return !p.empty(); });
}

ImagePlaces places_below(const fs::path& folder, const std::vector<CocoImage>& images) {
  ImagePlaces places;
  for (const CocoImage& image : images) places.push_back(found_below(folder, image.file_name));
  return places;
}

// Adds the images that are found by the end of their path; those that two records name are not.
void find_by_ends(const fs::path& folder, const std::vector<CocoImage>& images, bool all,
                  ImagePlaces& places) {
  std::vector<fs::path> files;
  PathEnds ends;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(folder, options, error), end; !error && it != end;
       it.increment(error)) {
    if (is_hidden(it->path())) {
      if (it->is_directory(error)) it.disable_recursion_pending();
      continue;
    }
    if (!is_file(it->path())) continue;
    ends.add(it->path().generic_string(), static_cast<int>(files.size()));
    files.push_back(it->path());
  }
  std::map<int, std::vector<size_t>> named;  // by file, the images
  for (size_t i = 0; i < images.size(); ++i) {
    if (!places[i].empty() || !(all || is_foreign(images[i].file_name))) continue;
    if (const auto file = ends.find(local_name(images[i].file_name))) named[*file].push_back(i);
  }
  for (const auto& [file, who] : named) {
    if (who.size() == 1) places[who[0]] = files[static_cast<size_t>(file)];
  }
}

struct Located {
  fs::path folder;
  ImagePlaces places;
};

// The first folder that holds more than half of the images, else the one that holds the most.
template <typename Search>
Located best_folder(const std::vector<fs::path>& folders, const Search& search) {
  Located best;
  int64_t most = 0;
  for (const fs::path& folder : folders) {
    ImagePlaces places = search(folder);
    const int64_t count = found_in(places);
    if (count > most) {
      most = count;
      best = {folder, std::move(places)};
      if (2 * most > std::ssize(best.places)) break;
    }
  }
  return best;
}

// Of an image that was not found: Error when its name leads to a file that is there, outside.
void refuse_outside(const CocoFiles& files, const CocoImage& image) {
  if (may_be_read(image.file_name)) return;
  const bool there = std::ranges::any_of(files.image_folders, [&](const fs::path& folder) {
    std::error_code error;
    return fs::exists(folder / image.file_name, error);
  });
  const fs::path name = fs::path(image.file_name).lexically_normal();
  if (!there && name.is_absolute()) return;  // of another machine
  require_inside(image.file_name, files.annotations.string() + ": file_name");
}

Located locate(const CocoFiles& files, const std::vector<CocoImage>& images) {
  Located found = best_folder(files.image_folders,
                              [&](const fs::path& folder) { return places_below(folder, images); });
  if (!found.places.empty()) {
    if (found_in(found.places) < std::ssize(images)) {
      find_by_ends(found.folder, images, false, found.places);
    }
    return found;
  }
  found = best_folder(files.image_folders, [&](const fs::path& folder) {
    ImagePlaces places(images.size());
    find_by_ends(folder, images, true, places);
    return places;
  });
  if (found.places.empty()) {
    for (const CocoImage& image : images) refuse_outside(files, image);
  }
  std::vector<std::string> searched;
  for (const fs::path& folder : files.image_folders) searched.push_back(folder.string());
  require(!found.places.empty(), ErrorCode::kNotFound,
          "{}: none of its {} images is there, first '{}'; searched in {}",
          files.annotations.string(), images.size(), images.front().file_name,
          fmt::join(searched, ", "));
  return found;
}

// Height and width of an upright image without what is below its first rows; nothing when it cannot
// be read.
void read_size(const fs::path& path, CocoImage& image) {
  try {
    const DecodeOptions upright{.exif = Exif::kApply};
    const std::string bytes = read_file(path, upright.max_file_bytes, Inputs::kRegular);
    decode_image_window(
        std::as_bytes(std::span(bytes)), path.string(),
        [&](int height, int width) {
          image.height = height;
          image.width = width;
          return Window{0, 0, 1, 1};
        },
        upright);
  } catch (const Error&) {  // who reads the image says why
  }
}

// Per image the number of the class that the fewest images have; of images without objects one
// more.
std::vector<int> rarest_classes(const CocoAnnotations& annotations) {
  const auto classes = static_cast<int>(annotations.categories.size());
  const auto images = static_cast<int>(annotations.images.size());
  std::vector<int64_t> counts(static_cast<size_t>(classes) + 1);
  const auto each_label = [&](int image, const auto& use) {
    for (const int a : annotations.of_image(image)) {
      use(annotations.annotations[static_cast<size_t>(a)].label);
    }
  };
  std::vector<int> last(counts.size(), -1);
  for (int i = 0; i < images; ++i) {
    each_label(i, [&](int label) {
      counts[static_cast<size_t>(label)] += last[static_cast<size_t>(label)] != i;
      last[static_cast<size_t>(label)] = i;
    });
  }
  std::vector<int> rarest(static_cast<size_t>(images), classes);
  for (int i = 0; i < images; ++i) {
    int& best = rarest[static_cast<size_t>(i)];
    each_label(i, [&](int label) {
      const auto rank = [&](int c) { return std::pair(counts[static_cast<size_t>(c)], c); };
      if (best == classes || rank(label) < rank(best)) best = label;
    });
  }
  return rarest;
}

}  // namespace

std::vector<std::string> CocoSet::notes() const {
  std::vector<std::string> notes;
  if (const std::string report = annotations.skips.report(); !report.empty()) {
    notes.push_back(fmt::format("{}:\n{}", file.string(), report));
  }
  if (!missing.empty()) {
    constexpr size_t kShown = 5;
    const auto shown = std::span(missing).first(std::min(kShown, missing.size()));
    notes.push_back(fmt::format("{}: {} of {} images are not in {}, or cannot be read: {}{}",
                                file.string(), missing.size(), annotations.images.size(),
                                images.string(), fmt::join(shown, ", "),
                                missing.size() > kShown ? ", ..." : ""));
  }
  return notes;
}

CocoSet open_coco(const CocoFiles& files) {
  CocoSet set;
  set.file = files.annotations;
  set.annotations = read_coco(files.annotations);
  std::vector<CocoImage>& images = set.annotations.images;
  Located located = locate(files, images);
  set.images = located.folder.lexically_normal();
  for (size_t i = 0; i < images.size(); ++i) {
    CocoImage& image = images[i];
    const fs::path& place = located.places[i];
    if (place.empty()) {
      refuse_outside(files, image);
      set.missing.push_back(image.file_name);
      continue;
    }
    const fs::path inside = place.lexically_normal().lexically_relative(set.images);
    const bool outside = inside.empty() || *inside.begin() == "..";
    image.file_name = outside ? fs::absolute(place).string() : inside.string();
    if (image.height > 0) continue;
    read_size(place, image);
    if (image.height == 0) set.missing.push_back(image.file_name);
    for (const int a : set.annotations.of_image(static_cast<int>(i))) {
      check_mask_size(set.annotations.annotations[static_cast<size_t>(a)], image,
                      set.annotations.skips);
    }
  }
  return set;
}

std::pair<CocoSet, CocoSet> hold_out_images(const CocoSet& set, double fraction, uint64_t seed) {
  const std::vector<int> strata = rarest_classes(set.annotations);
  std::vector<HoldOutSample> samples;
  for (size_t i = 0; i < strata.size(); ++i) {
    samples.push_back({set.annotations.images[i].file_name, strata[i]});
  }
  std::vector<bool> held = hold_out(samples, fraction, seed, set.file.string());
  const auto part = [&] {
    CocoSet result{subset(set.annotations, held), set.images, set.file, {}};
    for (const std::string& name : set.missing) {
      const bool here = std::ranges::find(result.annotations.images, name, &CocoImage::file_name) !=
                        result.annotations.images.end();
      if (here) result.missing.push_back(name);
    }
    return result;
  };
  CocoSet held_out = part();
  held.flip();
  CocoSet rest = part();
  rest.annotations.skips = set.annotations.skips;
  return {std::move(rest), std::move(held_out)};
}

}  // namespace asmlp
