// Who else is in the run, and where to meet: what the starter of the processes says in the
// environment.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace asmlp::dist {

// One process among those of a run. Rank 0 listens at `address`:`port`, the others connect to it.
struct Rendezvous {
  int rank = 0;        // 0 <= rank < size
  int size = 1;        // processes of the run
  int local_rank = 0;  // among the processes of this machine
  std::string address;
  int port = 0;
  std::string source;  // who started the process: "torchrun", "Open MPI", "PMI" or "Slurm"
  int local_size = 0;  // processes on this machine; 0 when the starter does not say
  std::string token;   // ASMLP_TOKEN: what the processes know one another by (token.h)
};

// Whether all processes are on this machine, for certain: the starter says so, or they meet at a
// loopback address.
bool on_one_machine(const Rendezvous& rendezvous);

// Returns the value of an environment variable, null when it is not set.
using Environment = std::function<const char*(const char* name)>;

// PyTorch's port, when nothing says another one.
inline constexpr int kDefaultPort = 29500;

// What the environment says, innermost starter first (torchrun may run inside of a Slurm job):
//   torchrun, `asmlp train --nproc`   RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
//   mpirun of Open MPI                OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE
//   mpirun of MPICH, Intel MPI        PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS
//   srun of Slurm                     SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID
// The meeting point is MASTER_ADDR and MASTER_PORT where set. Otherwise the address is the first
// machine of SLURM_STEP_NODELIST or SLURM_JOB_NODELIST, or SLURM_LAUNCH_NODE_IPADDR, or this
// machine when MPI says that all processes are on it; the port comes from SLURM_JOB_ID, or is
// kDefaultPort. Where torchrun's agent listens at MASTER_PORT itself
// (TORCHELASTIC_USE_AGENT_STORE), the next port is used.
//
// Nothing (nullopt): no such variables, or one process. A Slurm job's shell without srun counts as
// one process. Error(kInvalidArgument), naming the variables, when some are missing or do not fit
// together.
std::optional<Rendezvous> rendezvous_from_environment();
std::optional<Rendezvous> rendezvous_from(const Environment& environment);

// The first machine of a list in Slurm's notation: "node[03-07,9],gpu1" -> "node03".
// Error(kInvalidArgument) when the notation is broken.
std::string first_node(const std::string& list);

// A port that nobody listens at on this machine now. Error(kIo) when the system gives none.
int free_port();

}  // namespace asmlp::dist
