// A small data set in COCO's format (tests/data/coco_base) as other tools would arrange it.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/support.h"

namespace asmlp::test {

// An arrangement of one split, the validation's, in a folder.
struct CocoLayout {
  const char* name;
  const char* images;       // folder of the images
  const char* annotations;  // file
  // What file_name is for an image called so; null: just that.
  std::string (*file_name)(const std::string& name) = nullptr;
  // What else the tool does to the annotations; null: nothing.
  void (*edit)(nlohmann::json& coco) = nullptr;
};

// Category ids in another order, one parent, and everything as text.
inline void permute_ids(nlohmann::json& coco) {
  const auto other = [](int id) { return (id * 7) % 11 + 20; };
  for (auto& category : coco["categories"]) category["id"] = other(category["id"]);
  for (auto& annotation : coco["annotations"]) {
    annotation["category_id"] = other(annotation["category_id"]);
  }
}

inline void add_parent(nlohmann::json& coco) {
  const nlohmann::json parent{{"id", 0}, {"name", "item"}, {"supercategory", "none"}};
  coco["categories"].insert(coco["categories"].begin(), parent);
}

inline void write_as_text(nlohmann::json& coco) {
  const auto as_text = [](nlohmann::json& record, const char* key) {
    record[key] = record[key].dump();
  };
  for (auto& category : coco["categories"]) as_text(category, "id");
  for (auto& image : coco["images"]) {
    for (const char* key : {"id", "width", "height"}) as_text(image, key);
  }
  for (auto& annotation : coco["annotations"]) {
    for (const char* key : {"id", "image_id", "category_id", "area", "iscrowd", "bbox"}) {
      as_text(annotation, key);
    }
  }
}

inline const std::vector<CocoLayout>& coco_layouts() {
  using Json = nlohmann::json;
  using Text = std::string;
  static const std::vector<CocoLayout> kLayouts{
      {"COCO", "val2017", "annotations/instances_val2017.json"},
      {"COCO without a year", "val", "annotations/instances_val.json"},
      {"COCO below images", "images/val", "annotations/instances_val.json"},
      {"file beside", "valid", "annotations/valid.json"},
      {"annotations of a split", "images", "val_annotations.json"},
      {"Roboflow", "valid", "valid/_annotations.coco.json", nullptr, add_parent},
      {"CVAT", "images", "annotations/instances_default.json"},
      {"CVAT below default", "images/default", "annotations/instances_default.json"},
      {"CVAT of a split", "val/images", "val/annotations/instances_default.json"},
      {"labelme2coco", "JPEGImages", "annotations.json",
       [](const Text& name) { return "JPEGImages/" + name; }},
      {"any folder beside", "photos", "annotations.json"},
      {"Label Studio", "images", "result.json",
       [](const Text& name) { return "/data/upload/7/" + name; }},
      {"Label Studio's newer form", "images", "result.json",
       [](const Text& name) { return "images/" + name; }},
      {"FiftyOne", "data", "labels.json"},
      {"relative to the file", "val2017", "annotations/instances_val2017.json",
       [](const Text& name) { return "../val2017/" + name; }},
      {"relative to the root", "val2017", "annotations/instances_val2017.json",
       [](const Text& name) { return "val2017/" + name; }},
      {"Windows", "val", "annotations/instances_val.json",
       [](const Text& name) { return "C:\\photos\\val\\" + name; }},
      {"folders of Windows", "val/day", "annotations/instances_val.json",
       [](const Text& name) { return "day\\" + name; }},
      {"addresses", "val", "annotations/instances_val.json",
       [](const Text& name) { return "https://host/some/" + name + "?size=1"; }},
      {"other ids", "val2017", "annotations/instances_val2017.json", nullptr, permute_ids},
      {"ids as text", "val2017", "annotations/instances_val2017.json", nullptr, write_as_text},
      {"without sizes", "val2017", "annotations/instances_val2017.json", nullptr,
       [](Json& coco) {
         for (auto& image : coco["images"]) {
           image.erase("width");
           image["height"] = nullptr;
         }
       }},
  };
  return kLayouts;
}

// Writes tests/data/coco_base into `root`, which must not exist, as the layout has it.
inline void write_coco_layout(const CocoLayout& layout, const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  const fs::path base = data("coco_base");
  nlohmann::json coco =
      nlohmann::json::parse(std::ifstream(base / "annotations/instances_val2017.json"));
  fs::create_directories(root / layout.images);
  fs::create_directories((root / layout.annotations).parent_path());
  for (auto& image : coco["images"]) {
    const std::string name = image["file_name"];
    fs::copy_file(base / "val2017" / name, root / layout.images / name);
    if (layout.file_name != nullptr) image["file_name"] = layout.file_name(name);
  }
  if (layout.edit != nullptr) layout.edit(coco);
  std::ofstream(root / layout.annotations) << coco.dump();
}

}  // namespace asmlp::test
