#include "asmlp/dataset/ade20k/class_list.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <span>
#include <string_view>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/utf8.h"
#include "asmlp/dataset/folder.h"
#include "asmlp/image/labels/class_color.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr int kMostClasses = 254;
constexpr size_t kMaxListBytes = size_t{1} << 20;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  size_t end = text.find_first_of(separators);
  for (; end != std::string_view::npos; end = text.find_first_of(separators)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  std::vector<std::string_view> lines = split_at(text, "\n");
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  while (!lines.empty() && trimmed(lines.back()).empty()) lines.pop_back();
  return lines;
}

// Three words 0..255.
std::optional<Color> color_of(std::span<const std::string_view> words) {
  uint8_t rgb[3];
  for (size_t i = 0; i < 3; ++i) {
    const auto value = number(trimmed(words[i]));
    if (!value || *value < 0 || *value > 255) return std::nullopt;
    rgb[i] = static_cast<uint8_t>(*value);
  }
  return Color{rgb[0], rgb[1], rgb[2]};
}

bool names_no_class(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (const char* none : {"background", "void", "unlabeled", "unlabelled", "ignore", "other"}) {
    if (plain == none) return true;
  }
  return false;
}

}  // namespace

ClassLine name_and_color(std::string_view text) {
  std::vector<std::pair<size_t, std::string_view>> words;  // with their places
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find_first_not_of(" \t,", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(text.find_first_of(" \t,", begin), text.size());
    words.emplace_back(begin, text.substr(begin, end - begin));
    at = end;
  }
  if (words.size() >= 4) {
    const std::string_view last[]{words[words.size() - 3].second, words[words.size() - 2].second,
                                  words[words.size() - 1].second};
    if (const auto color = color_of(last)) {
      std::string_view name = trimmed(text.substr(0, words[words.size() - 3].first));
      while (name.ends_with(',')) name = trimmed(name.substr(0, name.size() - 1));
      return {std::string(name), color};
    }
  }
  return {std::string(trimmed(text)), std::nullopt};
}

namespace {

// The classes of the lines behind what stands for label 0.
SegmentationClasses finish(const fs::path& file, std::vector<ClassLine> lines) {
  if (!lines.empty() && names_no_class(lines.front().name)) lines.erase(lines.begin());
  require(!lines.empty() && lines.size() <= size_t{kMostClasses}, ErrorCode::kBadFormat,
          "{}: lists {} classes; 1 to {} are possible", file.string(), lines.size(), kMostClasses);
  SegmentationClasses list{{}, true, file};
  std::set<std::string> names;
  for (ClassLine& line : lines) {
    require(is_utf8(line.name), ErrorCode::kBadFormat,
            "{}: the class name '{}' is not UTF-8 text; save the list as UTF-8", file.string(),
            printable(line.name, LineBreaks::kEscape));
    require(names.insert(line.name).second, ErrorCode::kBadFormat,
            "{}: names the class '{}' twice; every class needs a name of its own", file.string(),
            line.name);
    list.colored = list.colored && line.color.has_value();
    const Color color = line.color.value_or(class_color(static_cast<int>(list.classes.size())));
    list.classes.push_back({std::move(line.name), color});
  }
  return list;
}

SegmentationClasses read_names(const fs::path& file) {
  const std::string text = read_file(file, kMaxListBytes);
  std::vector<ClassLine> lines;
  int at = 0;
  for (const std::string_view line : lines_of(text)) {
    ++at;
    if (trimmed(line).starts_with('#')) continue;
    require(!trimmed(line).empty(), ErrorCode::kBadFormat,
            "{}: line {} is empty; expected the name of a class", file.string(), at);
    lines.push_back(name_and_color(line));
  }
  return finish(file, std::move(lines));
}

SegmentationClasses read_label_map(const fs::path& file) {
  const std::string text = read_file(file, kMaxListBytes);
  std::vector<ClassLine> lines;
  int at = 0;
  for (const std::string_view line : lines_of(text)) {
    ++at;
    if (trimmed(line).empty() || line.starts_with('#')) continue;
    const auto cells = split_at(line, ":");
    const std::string_view name = trimmed(cells.front());
    std::optional<Color> color;
    if (cells.size() > 1 && !trimmed(cells[1]).empty()) {
      const auto rgb = split_at(cells[1], ",");
      if (rgb.size() == 3) color = color_of(rgb);
      require(color.has_value(), ErrorCode::kBadFormat,
              "{}: line {}: '{}' is no color; expected NAME:R,G,B:parts:actions", file.string(), at,
              cells[1]);
    }
    require(!name.empty() && cells.size() > 1, ErrorCode::kBadFormat,
            "{}: line {}: expected NAME:R,G,B:parts:actions, as CVAT writes it", file.string(), at);
    lines.push_back({std::string(name), color});
  }
  return finish(file, std::move(lines));
}

// The N of objectInfo<N>.txt; nothing for another name.
std::optional<int> classes_of_table(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::string_view kBegin = "objectInfo", kEnd = ".txt";
  if (name.size() <= kBegin.size() + kEnd.size() || !name.starts_with(kBegin) ||
      !name.ends_with(kEnd)) {
    return std::nullopt;
  }
  return number(
      std::string_view(name).substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size()));
}

SegmentationClasses read_table(const fs::path& path, int classes) {
  const std::string text = read_file(path, kMaxListBytes);
  const std::vector<std::string_view> lines = lines_of(text);
  const auto header =
      lines.empty() ? std::vector<std::string_view>() : split_at(lines.front(), "\t");
  const auto column = [&](std::string_view name) {
    const auto found = std::ranges::find(header, name);
    require(found != header.end(), ErrorCode::kBadFormat,
            "{}: its first line must name tab-separated columns, among them {}", path.string(),
            name);
    return static_cast<size_t>(found - header.begin());
  };
  const size_t index_column = column("Idx"), name_column = column("Name");
  require(classes >= 1 && classes <= kMostClasses && std::ssize(lines) == classes + 1,
          ErrorCode::kBadFormat,
          "{}: lists {} classes; expected the number in its name, which must be 1..{}",
          path.string(), std::ssize(lines) - 1, kMostClasses);
  SegmentationClasses list{{}, false, path};
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto cells = split_at(lines[i], "\t");
    require(cells.size() == header.size() && number(cells[index_column]) == static_cast<int>(i),
            ErrorCode::kBadFormat, "{}: line {}: expected {} columns and the number {} as Idx",
            path.string(), i + 1, header.size(), i);
    const std::string_view cell = cells[name_column];
    const std::string_view name = trimmed(cell.substr(0, cell.find(',')));
    require(!name.empty(), ErrorCode::kBadFormat, "{}: line {}: the name is empty", path.string(),
            i + 1);
    list.classes.push_back({std::string(name), class_color(static_cast<int>(i) - 1)});
  }
  return list;
}

SegmentationClasses own_classes(const fs::path& file) { return {ade20k_classes(), true, file}; }

// objectInfo150.txt is ADE20K's, unless most of its names are others.
SegmentationClasses read_own_table(const fs::path& path) {
  SegmentationClasses list;
  try {
    list = read_table(path, static_cast<int>(ade20k_classes().size()));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadFormat) throw;
    return own_classes(path);
  }
  size_t same = 0;
  for (size_t k = 0; k < list.classes.size(); ++k) {
    same += list.classes[k].name == ade20k_classes()[k].name;
  }
  return 2 * same > list.classes.size() ? own_classes(path) : list;
}

bool same_names(const SegmentationClasses& a, const SegmentationClasses& b) {
  return std::ranges::equal(a.classes, b.classes, {}, &SegmentationClass::name,
                            &SegmentationClass::name);
}

}  // namespace

std::optional<SegmentationClasses> find_class_list(const fs::path& root) {
  std::error_code ignored;
  std::vector<fs::path> tables = visible_entries(root, ignored);
  std::erase_if(tables, [](const fs::path& path) {
    return !classes_of_table(path).has_value() || !is_file(path);
  });
  std::vector<SegmentationClasses> lists;
  if (is_file(root / "classes.txt")) lists.push_back(read_names(root / "classes.txt"));
  if (is_file(root / "labelmap.txt")) lists.push_back(read_label_map(root / "labelmap.txt"));
  std::optional<SegmentationClasses> own;
  std::optional<fs::path> other;  // the table of another data set than ADE20K
  for (const fs::path& table : tables) {
    const int classes = classes_of_table(table).value_or(0);
    require(classes == std::ssize(ade20k_classes()) || !other.has_value(), ErrorCode::kBadFormat,
            "{} and {}: two lists of classes; remove the one that is not this data set's",
            other.value_or("").string(), table.string());
    if (classes != std::ssize(ade20k_classes())) other = table;
  }
  for (const fs::path& table : tables) {
    const int classes = classes_of_table(table).value_or(0);
    if (classes == std::ssize(ade20k_classes())) {
      own = read_own_table(table);
    } else {
      lists.push_back(read_table(table, classes));
    }
  }
  // ADE20K's table beside a list is a remainder of the folder that the data was made from.
  if (lists.empty() && own) return own;
  if (lists.empty()) {
    const fs::path name = fs::weakly_canonical(root, ignored).filename();
    if (name == "ADEChallengeData2016") return own_classes(root);
    return std::nullopt;
  }
  for (size_t i = 1; i < lists.size(); ++i) {
    require(same_names(lists[0], lists[i]), ErrorCode::kBadFormat,
            "{} and {}: two lists of classes; remove the one that is not this data set's",
            lists[0].file.string(), lists[i].file.string());
    if (lists[i].colored && !lists[0].colored) std::swap(lists[0], lists[i]);
  }
  return std::move(lists.front());
}

}  // namespace asmlp
