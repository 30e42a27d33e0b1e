#include "asmlp/study/pool.h"

#include <list>
#include <memory>
#include <thread>

#include "asmlp/core/stop_signals.h"

namespace asmlp::study {
namespace {

constexpr std::chrono::milliseconds kLook{40};
}  // namespace

PoolEnd run_pool(const std::filesystem::path& program, const std::vector<StudyJob>& jobs,
                 int at_once, std::optional<StudyClock::time_point> deadline,
                 const std::function<void()>& tick) {
  struct Running {
    const StudyJob* job;
    std::unique_ptr<StudyChild> child;
  };
  std::list<Running> running;
  size_t next = 0;
  PoolEnd end = PoolEnd::kDone;
  while (!running.empty() || (end == PoolEnd::kDone && next < jobs.size())) {
    if (end == PoolEnd::kDone) {
      if (StopSignals::received() > 0) end = PoolEnd::kInterrupted;
      if (deadline && StudyClock::now() >= *deadline) end = PoolEnd::kOutOfTime;
    }
    while (end == PoolEnd::kDone && next < jobs.size() && std::ssize(running) < at_once) {
      const StudyJob& job = jobs[next++];
      running.push_back(
          {&job, std::make_unique<StudyChild>(program, job.arguments, job.out, job.log)});
    }
    // Killed by the destructor of StudyChild.
    if (StopSignals::received() > 1) return PoolEnd::kInterrupted;
    for (auto it = running.begin(); it != running.end();) {
      StudyChild& child = *it->child;
      if (child.ended()) {
        if (it->job->finished) it->job->finished(child);
        it = running.erase(it);
        continue;
      }
      if (end != PoolEnd::kDone || (it->job->enough && it->job->enough())) child.stop();
      ++it;
    }
    if (tick) tick();
    std::this_thread::sleep_for(kLook);
  }
  return end;
}

}  // namespace asmlp::study
