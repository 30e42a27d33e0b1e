// asmlp validate: the scores of a model on a data set, whatever its task.
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/validate.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

void add_classifier_options(CLI::App& app, ValidateOptions& options, TaskOptions& own) {
  const auto add = [&](CLI::Option* option) { return own.add(option, Task::kClassify); };
  add(app.add_option("--limit", options.evaluation.limit,
                     "evaluate only N images, spread evenly over the data"))
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->type_name("N");
  add(app.add_option("-b,--batch-size", options.evaluation.batch_size,
                     "images per batch (default 32)"))
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  for (CLI::Option* option : add_preprocessing_options(app, options.preprocessing)) add(option);
  add(app.add_option("--valid-labels", options.valid_labels,
                     "measure only these classes, and let predictions compete among them only: a "
                     "file with one number or name per line"))
      ->type_name("FILE");
  add(app.add_option("--sheet", options.sheet,
                     "write a picture: samples with predictions, mistakes, confusion matrix (PNG)"))
      ->type_name("FILE.png");
  add(app.add_flag("--confusion", options.evaluation.confusion,
                   "print the confusion matrix and the most frequent confusions"));
}

void add_detector_options(CLI::App& app, ValidateOptions& options, TaskOptions& own) {
  const auto add = [&](CLI::Option* option) { return own.add(option, Task::kDetect); };
  add(app.add_option("--annotations", options.annotations,
                     "COCO annotation file, instead of one that is found in DATA"))
      ->type_name("FILE");
  add(app.add_option("--images", options.images, "folder of the images of --annotations"))
      ->type_name("DIR");
  add(app.add_flag("--per-class", options.per_class, "print the AP of every class"));
  add(app.add_option("--coco-results", options.coco_results,
                     "write COCO result files: PREFIX.bbox.json and, of a model that has masks, "
                     "PREFIX.segm.json"))
      ->type_name("PREFIX");
  add_tile_options(app, options.tiles, add);
}

int validate(const ValidateOptions& options, const Validators& validators, const TaskOptions& own) {
  if (options.data.empty() && options.annotations.empty()) throw CLI::RequiredError("DATA");
  TaskOption wanted = options.task;
  if (!options.annotations.empty() && !wanted.wanted) wanted.wanted = Task::kDetect;
  const Task task = decide_task(
      wanted, {.model = options.model.weights.empty() ? options.model.model : options.model.weights,
               .architecture = options.model.config,
               .data = options.data});
  own.check(task);
  switch (task) {
    case Task::kDetect:
      return validators.detect(options);
    case Task::kSegment:
      return validators.segment(options);
    case Task::kClassify:
      break;
  }
  return validators.classify(options);
}

constexpr const char* kValidateFooter =
    "DATA of a classifier: a folder with one folder of images per class, or with train/ and val/\n"
    "(validation/, test/) that hold such folders, or with MNIST-style IDX files (plain or gzip).\n"
    "Of a detector: annotations in COCO's format and their images, as COCO, CVAT, Roboflow, "
    "labelme2coco,\n"
    "Label Studio, and FiftyOne arrange them, or --images and --annotations. Categories are "
    "matched to the\n"
    "model's classes by name. The scores are pycocotools', -1 stands for nothing to find, and what "
    "cannot\n"
    "be used of the annotations is counted. Masks are scored where the model has them, over the "
    "objects\n"
    "that have an outline.\n"
    "Of a segmentor: ADE20K's, images/ and annotations/ with {training,validation} in both; the\n"
    "scores are those of all pixels together, at the images' own resolution.\n"
    "--split NAME reads the folder of that name (of classes: DATA/NAME, of detectors and "
    "segmentors\n"
    "those of their layouts). The classes of data and model are matched by name; other classes "
    "than\n"
    "the model's are an error.\n"
    "An image that cannot be read is named and skipped; the exit code is then 1.\n"
    "Examples:\n"
    "  asmlp validate photos/ --sheet sheet.png  # the bundled model\n"
    "  asmlp validate imagenet/ --model tiny.safetensors --batch-size 16 --json\n"
    "  asmlp validate coco/ --model mask_rcnn.safetensors --per-class\n"
    "  asmlp validate --images photos/ --annotations cvat.json --model detector.safetensors\n"
    "  asmlp validate ADEChallengeData2016/ --model upernet.safetensors --multi-scale --flip";

}  // namespace

Validators native_validators(Arguments arguments) {
  // `run` on this backend, or the other program for the task.
  const auto here = [arguments](Task task, const Validators::Run& run) -> Validators::Run {
    return [=](const ValidateOptions& options) {
      if (options.backend != "native") exec_torch("`--backend torch`", arguments, task);
      return run(options);
    };
  };
  Validators native;
  native.backend = "native";
  native.classify = here(Task::kClassify, [](const ValidateOptions& options) {
    return validate_classifier(options, native_backend());
  });
  native.detect = here(Task::kDetect, [](const ValidateOptions& options) {
    return validate_detector(options, native_dense_backend());
  });
  native.segment = here(Task::kSegment, [](const ValidateOptions& options) {
    return validate_segmentor(options, native_dense_backend());
  });
  return native;
}

Command add_validate(CLI::App& program, const Validators& validators) {
  auto options = std::make_shared<ValidateOptions>();
  auto own = std::make_shared<TaskOptions>();
  CLI::App* app = add_subcommand(program, "validate", "Measure the scores of a model on a data set",
                                 kValidateFooter);
  app->add_option("data", options->data, "the data set")->type_name("DATA");
  app->add_option("--split", options->split,
                  "which part: val (default; also validation), train, test, or the name of another "
                  "split of the data")
      ->type_name("NAME");
  add_task_option(*app, options->task);
  add_model_options(*app, options->model);
  add_class_map_option(*app, options->model);
  add_image_options(*app, options->image, "what the model's file says");
  add_outside_option(*app, "Pictures");
  add_backend_option(*app, validators.backend, options->backend, "Execution");
  add_run_options(*app, options->run);
  app->add_option("--workers", options->workers,
                  "threads that read images ahead, of detectors and segmentors (default 2)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
  add_classifier_options(*app, *options, *own);
  add_detector_options(*app, *options, *own);
  add_tta_options(*app, options->tta,
                  [&](CLI::Option* option) { return own->add(option, Task::kSegment); });
  app->add_option("--predictions", options->predictions,
                  "write a CSV file with a line per image: what was found, and whether it is right")
      ->type_name("FILE.csv")
      ->group("Output");
  add_results_options(*app, options->results);
  add_output_options(*app, options->output);
  return {app, [options, validators, own] { return validate(*options, validators, *own); }};
}

}  // namespace asmlp::cli
