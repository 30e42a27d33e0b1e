#include "asmlp/cli/options/class_names.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/utf8.h"
#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/dataset/ade20k/class_list.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/model/imagenet_classes.h"
#include "asmlp/model/palette_color.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> usual_classes(Task task) {
  std::vector<std::string> names;
  if (task == Task::kDetect) {
    for (const CocoCategory& category : coco_categories()) names.push_back(category.name);
  } else if (task == Task::kSegment) {
    for (const SegmentationClass& known : ade20k_classes()) names.push_back(known.name);
  } else {
    names = imagenet_names();
  }
  return names;
}

// Takes the colors off the lines "NAME R G B" of a segmentor's list, if all of them have one.
void take_colors(std::vector<std::string>& lines, std::vector<std::string>& palette) {
  std::vector<std::string> names, colors;
  for (const std::string& line : lines) {
    const ClassLine parts = name_and_color(line);
    if (!parts.color) return;
    names.push_back(parts.name);
    colors.push_back(palette_text({parts.color->r, parts.color->g, parts.color->b}));
  }
  lines = std::move(names);
  palette = std::move(colors);
}

std::vector<std::string>& names_of_model(Description& model) {
  return visit_spec(model, [](auto& spec) -> std::vector<std::string>& { return spec.classes; });
}

}  // namespace

std::vector<std::string> read_class_map(const fs::path& path) {
  std::string content = read_file(path, size_t{64} << 20);
  // Windows' editors begin with a byte order mark and end lines with CR LF.
  if (content.starts_with("\xef\xbb\xbf")) content.erase(0, 3);
  require(!content.starts_with("\xff\xfe") && !content.starts_with("\xfe\xff"),
          ErrorCode::kBadFormat, "{}: text in UTF-16; save it as UTF-8", path.string());
  std::istringstream text(content);
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) {
    const size_t last = line.find_last_not_of(" \t\r");
    line.resize(last == std::string::npos ? 0 : last + 1);
    require(is_utf8(line), ErrorCode::kBadFormat,
            "{}: line {} ('{}') is not UTF-8 text; save the file as UTF-8", path.string(),
            names.size() + 1, printable(line, LineBreaks::kEscape));
    names.push_back(line);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

ClassMatch match_names(const ClassSide& data, const ClassSide& model) {
  ClassMatch match = match_classes(data, model, imagenet_aliases());
  for (const std::string& note : match.notes) print_note(note);
  return match;
}

std::vector<int> read_class_subset(const fs::path& path, const ClassSide& model) {
  const std::vector<std::string> lines = read_class_map(path);
  require(!lines.empty(), ErrorCode::kBadFormat, "{}: lists no classes", path.string());
  std::vector<int> classes;
  for (const std::string& line : lines) {
    int value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) break;
    require(value >= 0 && value < model.count, ErrorCode::kBadFormat,
            "{}: class {}: {} has the classes 0..{}", path.string(), value, model.who,
            model.count - 1);
    classes.push_back(value);
  }
  if (classes.size() < lines.size()) {
    // Names; how many of the model's classes they are is the point, not news.
    const ClassMatch match = match_classes({path.string(), lines, static_cast<int>(lines.size())},
                                           model, imagenet_aliases());
    classes = match.places;
  }
  std::ranges::sort(classes);
  const auto twice = std::ranges::adjacent_find(classes);
  require(twice == classes.end(), ErrorCode::kBadFormat, "{}: lists class {} twice", path.string(),
          twice == classes.end() ? 0 : *twice);
  return classes;
}

void name_classes(Description& model, const std::string& class_map,
                  const std::filesystem::path& file, std::vector<std::string>* notes) {
  std::vector<std::string>& names = names_of_model(model);
  const auto count = static_cast<size_t>(model.num_classes());
  if (!class_map.empty()) {
    names = read_class_map(class_map);
    if (auto* segmentor = std::get_if<SegmentorSpec>(&model.model)) {
      take_colors(names, segmentor->palette);
    }
    require(names.size() == count, ErrorCode::kMismatch, "{} names {} classes, the model {} has {}",
            class_map, names.size(), file.string(), count);
  } else if (names.empty()) {
    std::vector<std::string> usual = usual_classes(model.task());
    if (usual.size() != count) return;
    names = std::move(usual);
    if (notes != nullptr) {
      notes->push_back(fmt::format("class names are {}: the model has {} classes without names.",
                                   model.task() == Task::kDetect    ? "COCO's"
                                   : model.task() == Task::kSegment ? "ADE20K's"
                                                                    : "ImageNet's",
                                   count));
    }
  }
}

}  // namespace asmlp::cli
