// Times the configurations of a study and trains them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/study/folder.h"
#include "asmlp/study/plan.h"
#include "asmlp/study/pool.h"

namespace asmlp::cli {

using study::PoolEnd, study::StudyChild, study::StudyClock, study::StudyConfig, study::StudyFolder,
    study::StudyJob, study::StudyPlan, study::StudyRun, study::StudyVariant;

struct StudyOptions {
  std::filesystem::path program;         // asmlp-torch
  std::filesystem::path output;          // folder of the study
  int jobs = 0;                          // processes at a time; 0: as memory and cores allow
  std::optional<double> budget_minutes;  // wall time from now on, timings included
};

// What a few training steps of a configuration showed.
struct StudyTiming {
  double seconds_per_step = 0;
  int64_t steps = 0;        // of a whole run
  int64_t peak_memory = 0;  // bytes
  Json parameters, multiply_adds;
  double images_per_second = 0;
  // Of one run. Validation, start-up and saving are taken as a tenth.
  double seconds() const { return 1.1 * seconds_per_step * static_cast<double>(steps); }
};

class StudyRunner {
 public:
  StudyRunner(StudyPlan plan, StudyOptions options);

  // Lets every configuration train for some seconds (or takes what an earlier call noted), which
  // also shows whether its options are accepted and, without --jobs, how many fit in memory.
  // Error(kInvalidArgument) listing the configurations that did not start. What ended it.
  PoolEnd time();

  // The table of the timings and the estimate of the whole.
  std::string estimate_text() const;
  Json estimate_json() const;

  // Trains what is not finished. After every run that ends, the results are written anew.
  PoolEnd run();

  // Measures, one after the other, the speed of a finished run's model of every configuration that
  // the native engine runs and that was not measured before, by `asmlp bench` with one thread;
  // writes the results anew. A model that cannot be measured is a note. What ended it.
  PoolEnd measure_speed();

  // study_document of what is on disk now.
  Json document() const;
  // results.md, results.csv, results.json, top1.png, cost.svg.
  void write_results() const;

 private:
  // A run of this call: where it stands.
  struct Active {
    StudyRun run;
    double seconds = 0;  // estimate of the whole run
    double first = 0;    // share that earlier calls had done
    double share = 0;    // done now
    bool running = false;
    bool over = false;
  };

  StudyJob timing_job(size_t config);
  StudyJob training_job(Active& active);
  void note_end(Active& active, const StudyChild& child);
  StudyJob speed_job(size_t config, const std::filesystem::path& weights);
  void show_progress();
  std::string progress_text() const;
  void say(const std::string& line);
  double seconds_to_do() const;  // of one process; what is finished left out
  int largest_job_count() const;
  int threads() const;

  StudyPlan plan_;
  StudyOptions options_;
  StudyFolder folder_;
  std::optional<StudyClock::time_point> deadline_;
  int jobs_ = 1;
  std::vector<std::optional<StudyTiming>> timings_;  // by configuration
  std::vector<std::string> refused_;                 // configurations that did not start, and why
  std::vector<Active> active_;
  StudyClock::time_point started_;
  StudyClock::time_point looked_;
  ProgressStyle style_ = ProgressStyle::detect();
  bool line_visible_ = false;
};

}  // namespace asmlp::cli
