#include "asmlp/torch/distributed/watch.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

// A process counts beats in "beat/<rank>"; its end adds one of these, larger than any count of
// beats.
constexpr int64_t kDone = int64_t{1} << 40;
constexpr int64_t kFailed = int64_t{1} << 50;

// Rank 0 sets the first when a process is lost ("<rank> <message>"), the second when all are done.
// Any process sets the third when a collective failed in it.
const std::string kLostKey = "lost", kEndKey = "end", kAlarmKey = "alarm";

// For how many beats rank 0 keeps the store after a failure, so that everyone reads the verdict.
constexpr int kLinger = 3;
// Near the end everybody waits for the others: look more often.
constexpr int kLooksPerBeat = 20;

std::string beat_key(int rank) { return "beat/" + std::to_string(rank); }

std::vector<uint8_t> value_bytes(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

struct Watch::Shared {
  enum class Phase { kRunning, kDone, kFailed };

  // The talking thread's own.
  c10::intrusive_ptr<c10d::Store> store;
  int rank = 0;
  std::vector<std::string> names;
  WatchOptions options;
  std::vector<int64_t> seen;  // rank 0: the others' last numbers ...
  std::vector<int> quiet;     // ... and for how many beats they have stood still
  bool marked = false;        // the end of this process is in the store
  bool alarm_sent = false;
  int looks = 0;  // rounds since the end of this process

  std::mutex mutex;
  std::condition_variable changed;
  Phase phase = Phase::kRunning;
  bool alarmed = false;  // a collective failed in this process
  std::optional<PeerLost> lost;
  int64_t rounds = 0;  // of talking
  bool all_ended = false;
  bool talk_over = false;
  bool quit = false;

  PeerLost silent(int peer, int beats) const {
    return PeerLost(
        peer,
        fmt::format("{} has given no sign of life for {:.3g} s: it was killed or stopped, or the "
                    "network to it is cut. The run can be continued from its last state",
                    names.at(static_cast<size_t>(peer)),
                    beats * std::chrono::duration<double>(options.beat).count()));
  }
  int patience(bool alarm) const { return alarm ? options.alarmed_silence : options.silence; }

  // Rank 0 looks at the others. Returns whether all of them have ended.
  bool judge(bool alarm, std::optional<PeerLost>& verdict) {
    const bool beat = looks % kLooksPerBeat == 0;
    bool all = true;
    for (size_t peer = 1; peer < names.size(); ++peer) {
      if (seen[peer] >= kDone) continue;
      const int64_t now = store->add(beat_key(static_cast<int>(peer)), 0);
      quiet[peer] = now != seen[peer] ? 0 : quiet[peer] + (beat ? 1 : 0);
      seen[peer] = now;
      if (now < kDone) all = false;
      if (verdict) continue;
      const int number = static_cast<int>(peer);
      if (now >= kFailed) {
        verdict.emplace(number, names[peer] +
                                    " ended with an error (see its own message). The run can "
                                    "be continued from its last state");
      } else if (now < kDone && quiet[peer] >= patience(alarm)) {
        verdict = silent(number, quiet[peer]);
      }
    }
    return all;
  }

  // One exchange with the store. Returns whether it was the last one.
  bool round() {
    std::optional<PeerLost> verdict;
    Phase now;
    bool alarm;
    {
      const std::lock_guard lock(mutex);
      now = phase;
      alarm = alarmed;
      verdict = lost;
    }
    const bool known = verdict.has_value();
    int64_t step = 1;
    if (now != Phase::kRunning && !std::exchange(marked, true)) {
      step = now == Phase::kDone ? kDone : kFailed;
    }
    store->add(beat_key(rank), step);
    if (alarm && !std::exchange(alarm_sent, true)) store->set(kAlarmKey, value_bytes("1"));

    bool all = false;
    if (rank == 0) {
      all = judge(alarm || store->check({kAlarmKey}), verdict);
      if (now == Phase::kFailed && !verdict) {
        verdict.emplace(0, names[0] +
                               " ended with an error (see its own message). The run can be "
                               "continued from its last state");
      }
      if (verdict && !known) {
        store->set(kLostKey, value_bytes(std::to_string(verdict->rank()) + ' ' + verdict->what()));
      }
      if (now == Phase::kDone && all) store->set(kEndKey, value_bytes("1"));
    } else {
      if (!verdict && store->check({kLostKey})) {
        const std::vector<uint8_t> bytes = store->get(kLostKey);
        const std::string text(bytes.begin(), bytes.end());
        verdict.emplace(std::stoi(text), text.substr(text.find(' ') + 1));
      }
      all = now == Phase::kDone && store->check({kEndKey});
    }

    const std::lock_guard lock(mutex);
    ++rounds;
    if (verdict && !lost) lost = verdict;
    all_ended = all_ended || all;
    changed.notify_all();
    if (!marked) return false;
    ++looks;
    if (rank != 0) return now == Phase::kFailed || all || lost;
    return all || (lost && looks > kLinger * kLooksPerBeat);
  }

  void talk() {
    try {
      while (!round()) {
        std::unique_lock lock(mutex);
        const Phase before = phase;
        const auto pause = before == Phase::kRunning ? options.beat : options.beat / kLooksPerBeat;
        changed.wait_for(lock, pause, [&] { return phase != before || (alarmed && !alarm_sent); });
      }
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex);
      // When this process is done, so is rank 0.
      if (marked && phase == Phase::kDone) {
        all_ended = true;
      } else if (!lost) {
        lost.emplace(0, fmt::format("{} has hung up: it was killed or has failed. The run can be "
                                    "continued from its last state ({})",
                                    names[0], error.what()));
      }
    }
    const std::lock_guard lock(mutex);
    talk_over = true;
    changed.notify_all();
  }

  void tick() {
    int64_t last = -1;
    int stalled = 0, since = 0;
    bool told = false;
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, options.beat, [&] { return quit; })) {
      stalled = rounds == last && !talk_over ? stalled + 1 : 0;
      last = rounds;
      if (!lost && stalled >= patience(alarmed)) {
        lost = silent(0, stalled);
        changed.notify_all();
      }
      if (lost && !told && ++since > options.grace && options.on_lost) {
        told = true;
        const PeerLost verdict = *lost;
        lock.unlock();
        options.on_lost(verdict);
        lock.lock();
      }
    }
  }
};

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<std::string> names,
             WatchOptions options)
    : shared_(std::make_shared<Shared>()) {
  shared_->store = std::move(store);
  shared_->rank = rank;
  shared_->names = std::move(names);
  shared_->options = std::move(options);
  shared_->seen.assign(shared_->names.size(), 0);
  shared_->quiet.assign(shared_->names.size(), 0);
  try {
    tick_ = std::thread([shared = shared_] { shared->tick(); });
    talk_ = std::thread([shared = shared_] { shared->talk(); });
  } catch (const std::system_error& error) {
    if (tick_.joinable()) {
      {
        const std::lock_guard lock(shared_->mutex);
        shared_->quit = true;
      }
      shared_->changed.notify_all();
      tick_.join();
    }
    asmlp::fail(ErrorCode::kIo,
                "rank {}: cannot start the threads that watch the other processes: {}; see "
                "`ulimit -u` and `ulimit -v`",
                rank, error.code().message());
  }
}

Watch::~Watch() {
  fail();
  bool over;
  {
    // A store that does not answer may block for as long as TCP likes: that thread is left behind.
    std::unique_lock lock(shared_->mutex);
    over = shared_->changed.wait_for(lock, (kLinger + 2) * shared_->options.beat,
                                     [&] { return shared_->talk_over; });
    shared_->quit = true;
    shared_->changed.notify_all();
  }
  tick_.join();
  over ? talk_.join() : talk_.detach();
}

std::optional<PeerLost> Watch::lost() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->lost;
}

std::optional<PeerLost> Watch::look_closer() {
  std::unique_lock lock(shared_->mutex);
  shared_->alarmed = true;
  shared_->changed.notify_all();
  const int beats = shared_->options.alarmed_silence + 3;
  shared_->changed.wait_for(lock, beats * shared_->options.beat,
                            [&] { return shared_->lost.has_value(); });
  return shared_->lost;
}

void Watch::end() {
  std::unique_lock lock(shared_->mutex);
  if (shared_->phase == Shared::Phase::kRunning) shared_->phase = Shared::Phase::kDone;
  shared_->changed.notify_all();
  shared_->changed.wait(lock, [&] { return shared_->talk_over || shared_->lost; });
}

void Watch::fail() {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->phase == Shared::Phase::kRunning) shared_->phase = Shared::Phase::kFailed;
  shared_->changed.notify_all();
}

}  // namespace asmlp::dist
