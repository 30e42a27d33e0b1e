#include "asmlp/dataset/synthetic/scenes_coco.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "asmlp/core/atomic_file.h"

namespace asmlp {
namespace {

using Json = nlohmann::ordered_json;

void append(std::string& list, const Json& entry) {
  if (!list.empty()) list += ",\n";
  list += entry.dump();
}

}  // namespace

std::vector<int64_t> run_lengths(const Image& map, uint8_t value) {
  std::vector<int64_t> counts{0};
  bool in_mask = false;
  for (int x = 0; x < map.width; ++x) {
    for (int y = 0; y < map.height; ++y) {
      if ((map.row(y)[x] == value) != in_mask) {
        in_mask = !in_mask;
        counts.push_back(0);
      }
      ++counts.back();
    }
  }
  return counts;
}

void SceneAnnotations::add(const Scene& scene, const std::string& file_name) {
  ++image_count_;
  const int height = scene.image.height, width = scene.image.width;
  append(images_,
         {{"id", image_count_}, {"file_name", file_name}, {"height", height}, {"width", width}});
  for (size_t k = 0; k < scene.objects.size(); ++k) {
    const SceneObject& object = scene.objects[k];
    const Window& box = object.box;
    const auto counts = run_lengths(scene.owners, static_cast<uint8_t>(k + 1));
    append(annotations_, {{"id", ++object_count_},
                          {"image_id", image_count_},
                          {"category_id", object.target + 1},
                          {"bbox", {box.left, box.top, box.width, box.height}},
                          {"area", object.area},
                          {"iscrowd", 0},
                          {"segmentation", {{"size", {height, width}}, {"counts", counts}}},
                          {"item", object.item}});
  }
}

void SceneAnnotations::write(const std::filesystem::path& path,
                             const std::vector<std::string>& classes) const {
  std::string categories;
  for (size_t k = 0; k < classes.size(); ++k) {
    append(categories, {{"id", k + 1}, {"name", classes[k]}, {"supercategory", "item"}});
  }
  const Json info{{"description", "Scenes made by `asmlp dataset scenes`"}};
  write_file_atomically(path, [&](std::ostream& out) {
    out << "{\"info\":" << info.dump() << ",\n\"licenses\":[],\n\"images\":[\n"
        << images_ << "],\n\"annotations\":[\n"
        << annotations_ << "],\n\"categories\":[\n"
        << categories << "]}\n";
  });
}

}  // namespace asmlp
