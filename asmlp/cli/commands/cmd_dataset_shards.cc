// asmlp dataset shards: an ImageFolder as tar shards. asmlp dataset index: their index anew.
#include <memory>
#include <vector>

#include "asmlp/cli/commands/dataset_commands.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/dataset/shards/shard_writer.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct DatasetShardsOptions {
  std::string folder;
  std::string output;
  std::string split;
  double shard_size = 256;  // MB
  bool no_check = false;
  int resize = 0;
  std::optional<int64_t> max_pixels;
  ShardWriterOptions writer;
  OutputOptions output_options;
};

// The folders to write from, with what they are.
std::vector<std::pair<Split, fs::path>> splits_of(const DatasetShardsOptions& options) {
  std::vector<std::pair<Split, fs::path>> splits;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    if (!options.split.empty() && options.split != shard_split_name(split)) continue;
    const fs::path folder = find_split_folder(options.folder, split);
    if (!folder.empty()) splits.emplace_back(split, folder);
  }
  if (!splits.empty()) return splits;
  require(!options.split.empty(), ErrorCode::kInvalidArgument,
          "{}: has neither train/ nor val/ with class folders in it; say with --split which split "
          "its own class folders are",
          options.folder);
  return {{options.split == "train" ? Split::kTrain : Split::kValidation, options.folder}};
}

Json write_split(const DatasetShardsOptions& options, Split split, const ImageFiles& list,
                 std::vector<Unreadable>& unreadable) {
  Progress progress(shard_split_name(split), std::ssize(list.files), "images");
  size_t told = 0;
  const ShardWriterReport report =
      write_shards(list, split, options.output, options.writer,
                   [&](int64_t done, const std::vector<Unreadable>& bad) {
                     for (; told < bad.size(); ++told)
                       progress.print(error_line(bad[told].message));
                     progress.update(done);
                   });
  progress.finish();
  unreadable.insert(unreadable.end(), report.unreadable.begin(), report.unreadable.end());
  return {{"split", shard_split_name(split)},
          {"shards", report.shards},
          {"samples", report.samples},
          {"bytes", report.bytes},
          {"unreadable", std::ssize(report.unreadable)},
          {"images_per_second", progress.rate()}};
}

std::string describe(const Json& splits, const std::string& folder) {
  std::string text;
  for (const Json& split : splits) {
    text += fmt::format("{}: {} samples in {} shards, {}", split["split"].get<std::string>(),
                        group_digits(split["samples"].get<int64_t>()),
                        split["shards"].get<int64_t>(), format_bytes(split["bytes"].get<double>()));
    if (const auto bad = split.value("unreadable", int64_t{0}); bad > 0) {
      text += fmt::format("; {} unreadable files left out", bad);
    }
    text += '\n';
  }
  return text + printable(folder) + "/" + kShardIndexName + " lists them\n";
}

int run_shards(DatasetShardsOptions& options) {
  options.writer.shard_bytes = static_cast<int64_t>(options.shard_size * (1 << 20));
  options.writer.check = !options.no_check;
  if (options.resize > 0) options.writer.resize = options.resize;
  if (options.max_pixels) {
    options.writer.decoding = with_max_pixels(options.writer.decoding, *options.max_pixels);
  }
  const auto splits = splits_of(options);
  std::vector<ImageFiles> lists;
  for (const auto& [split, folder] : splits) {
    lists.push_back(list_image_folder(folder));
    if (const std::string note = lists.back().left_out.note(folder); !note.empty()) {
      print_note(note);
    }
    require(lists.back().classes == lists.front().classes, ErrorCode::kMismatch,
            "{} and {} have different classes", splits.front().second.string(), folder.string());
  }
  std::vector<Unreadable> unreadable;
  Json json{{"output", options.output}, {"classes", std::ssize(lists.front().classes)}};
  json["splits"] = Json::array();
  for (size_t i = 0; i < splits.size(); ++i) {
    json["splits"].push_back(write_split(options, splits[i].first, lists[i], unreadable));
  }
  json["unreadable"] = Json::array();
  for (const Unreadable& bad : unreadable) json["unreadable"].push_back(bad.message);
  if (options.output_options.json) {
    print_json(json);
  } else {
    print_out(describe(json["splits"], options.output));
  }
  return unreadable.empty() ? kExitOk : kExitFailed;
}

struct IndexOptions {
  std::string folder;
  std::string class_map;
  OutputOptions output;
};

int run_index(const IndexOptions& options) {
  std::vector<std::string> classes;
  if (!options.class_map.empty()) classes = read_class_map(options.class_map);
  const ShardIndex index = index_shards(options.folder, std::move(classes));
  Json json{{"output", options.folder}, {"classes", std::ssize(index.classes)}};
  json["splits"] = Json::array();
  for (const auto& [name, entries] : index.splits) {
    Json split{{"split", name}, {"shards", std::ssize(entries)}, {"samples", 0}, {"bytes", 0}};
    for (const ShardIndex::Entry& entry : entries) {
      split["samples"] = split["samples"].get<int64_t>() + entry.samples;
      split["bytes"] = split["bytes"].get<int64_t>() + entry.bytes;
    }
    json["splits"].push_back(std::move(split));
  }
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(describe(json["splits"], options.folder));
  }
  return kExitOk;
}

}  // namespace

Command add_dataset_shards(CLI::App& dataset) {
  auto options = std::make_shared<DatasetShardsOptions>();
  CLI::App* app = add_subcommand(
      dataset, "shards", "Write an image folder as tar shards for `asmlp train`",
      "FOLDER holds train/ and val/ with one folder of images per class each (all that are there\n"
      "are written), or, with --split, the class folders themselves. The files' bytes are copied;\n"
      "the order is shuffled. A file that is no image is named and left out; the exit code is then "
      "1.\n"
      "Examples:\n"
      "  asmlp dataset shards imagenet/ --output shards/\n"
      "  asmlp dataset shards imagenet/ --output small/ --resize 256 --quality 90");
  app->add_option("folder", options->folder, "the images")->type_name("FOLDER")->required();
  app->add_option("-o,--output", options->output, "folder for the shards and their index")
      ->type_name("DIR")
      ->required();
  app->add_option("--split", options->split, "only this part: train or val")
      ->check(CLI::IsMember({"train", "val"}))
      ->type_name("NAME");
  app->add_option("--shard-size", options->shard_size, "largest shard in MB (default 256)")
      ->check(CLI::Range(0.001, 1e6))
      ->type_name("MB");
  app->add_option("--samples-per-shard", options->writer.samples_per_shard,
                  "most samples in a shard (default: as many as fit)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->type_name("N");
  app->add_option("--seed", options->writer.seed, "of the order (default 0)")->type_name("N");
  app->add_option(
         "--resize", options->resize,
         "shrink images whose short side is longer to N pixels and write them as JPEG, with "
         "their EXIF orientation")
      ->check(CLI::Range(1, 16384))
      ->type_name("N");
  app->add_option("--quality", options->writer.quality, "JPEG quality for --resize (default 90)")
      ->check(CLI::Range(1, 100))
      ->type_name("Q");
  app->add_flag("--no-check", options->no_check,
                "do not decode the images (a damaged one is then found in training)");
  app->add_option("--max-pixels", options->max_pixels, "refuse larger pictures (default 89478485)")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000'000}))
      ->type_name("N");
  app->add_option("-j,--threads", options->writer.threads, "threads (default: all cores)")
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  add_output_options(*app, options->output_options);
  return {app, [options] { return run_shards(*options); }};
}

Command add_dataset_index(CLI::App& dataset) {
  auto options = std::make_shared<IndexOptions>();
  CLI::App* app = add_subcommand(
      dataset, "index", "Write the index of a folder of tar shards (WebDataset's convention)",
      "Reads every train-*.tar, val-*.tar (validation-, test-) once and writes shards.json: how "
      "many\n"
      "samples each holds, and the names of the classes.\n"
      "Example:\n"
      "  asmlp dataset index shards/ --class-map wnids.txt");
  app->add_option("folder", options->folder, "the shards")->type_name("DIR")->required();
  app->add_option("--class-map", options->class_map,
                  "text file with one class name per line (default: those of the index that is "
                  "there, else the numbers)")
      ->type_name("FILE");
  add_output_options(*app, options->output);
  return {app, [options] { return run_index(*options); }};
}

}  // namespace asmlp::cli
