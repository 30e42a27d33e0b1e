// Several processes of one run on this machine: `asmlp train --nproc N`. What torchrun does,
// without Python.
#pragma once

#include <span>
#include <string>

namespace asmlp::cli {

inline constexpr int kMaxWorkers = 256;

// The threads of arithmetic of each of several processes on this machine.
struct WorkerThreads {
  int threads = 1;
  std::string note;  // which number it is and why; where it is too many, what to do
};

// `wanted`: of --threads, 0 when it does not say; `environment`: OMP_NUM_THREADS, or null. Without
// either, the cores are divided among the processes, each of which has one at least.
WorkerThreads divide_threads(int nproc, int wanted, const char* environment, int cores);

// Starts this program `nproc` times (1..kMaxWorkers) with `arguments` (the whole command line) and,
// in the environment, what dist::rendezvous_from_environment reads and, as OMP_NUM_THREADS, the
// threads that divide_threads gives each, which is said. `threads` is that of --threads, or 0.
//
// Rank 0 keeps the standard streams; what the others write comes out on standard error, each line
// with
// "[rank 1] " before it. SIGINT, SIGTERM and SIGHUP are passed on, as often as they come: the
// workers finish their step and save, or end at once. SIGTSTP stops the workers with this process.
// When a worker dies or fails, a message names it and the others are ended; when this process dies,
// the workers get SIGTERM.
//
// Returns the exit code of the first process that failed (128 + signal for one that was killed), or
// of one that a signal passed on has stopped, or 0. Error(kIo) when the processes cannot be
// started.
int launch_workers(int nproc, int threads, std::span<const char* const> arguments);

// Whether this process is such a worker.
bool is_launched_worker();

}  // namespace asmlp::cli
