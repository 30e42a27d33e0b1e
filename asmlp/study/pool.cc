#include "asmlp/study/pool.h"

#include <atomic>
#include <csignal>
#include <list>
#include <memory>
#include <thread>

namespace asmlp::study {
namespace {

constexpr std::chrono::milliseconds kLook{40};
constexpr int kSignals[3] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> signals_received{0};
std::atomic<int> latest_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);  // a handler sets them

extern "C" void note_study_signal(int signal) {
  latest_signal = signal;
  ++signals_received;
}

}  // namespace

StudySignals::StudySignals() {
  signals_received = 0;
  latest_signal = 0;
  for (int k = 0; k < 3; ++k) {
    old_[k] = std::signal(kSignals[k], note_study_signal);
    if (kSignals[k] == SIGHUP && old_[k] == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
  }
}

StudySignals::~StudySignals() {
  for (int k = 0; k < 3; ++k) std::signal(kSignals[k], old_[k]);
}

int StudySignals::received() { return signals_received; }
int StudySignals::last_signal() { return latest_signal; }

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
      if (StudySignals::received() > 0) end = PoolEnd::kInterrupted;
      if (deadline && StudyClock::now() >= *deadline) end = PoolEnd::kOutOfTime;
    }
    while (end == PoolEnd::kDone && next < jobs.size() && std::ssize(running) < at_once) {
      const StudyJob& job = jobs[next++];
      running.push_back(
          {&job, std::make_unique<StudyChild>(program, job.arguments, job.out, job.log)});
    }
    // Killed by the destructor of StudyChild.
    if (StudySignals::received() > 1) return PoolEnd::kInterrupted;
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
