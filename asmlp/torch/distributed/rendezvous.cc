#include "asmlp/torch/distributed/rendezvous.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/torch/distributed/token.h"

namespace asmlp::dist {
namespace {

// The variables of one kind of starter; null where it has none.
struct Names {
  const char* source;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

constexpr Names kTorchrun{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kOpenMpi{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                         "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Names kPmi{"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};
constexpr Names kSlurm{"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr};

constexpr int kMaxPort = 65535;

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  // Empty counts as not set.
  const char* text(const char* name) const {
    const char* value = name ? environment_(name) : nullptr;
    return value && *value ? value : nullptr;
  }

  std::optional<int64_t> number(const char* name, int64_t first, int64_t last) const {
    const char* value = text(name);
    if (!value) return std::nullopt;
    int64_t number = 0;
    const char* end = value + std::strlen(value);
    const auto result = std::from_chars(value, end, number);
    require(result.ec == std::errc() && result.ptr == end && number >= first && number <= last,
            ErrorCode::kInvalidArgument,
            "the environment variable {} is '{}', must be a number between {} and {}", name, value,
            first, last);
    return number;
  }

 private:
  const Environment& environment_;
};

constexpr int kMaxProcesses = 1 << 20;

// Rank, size and place on the machine, or nothing when this starter was not at work.
std::optional<Rendezvous> read(const Reader& read, const Names& names) {
  const auto rank = read.number(names.rank, 0, kMaxProcesses - 1);
  const auto size = read.number(names.size, 1, kMaxProcesses);
  if (!rank && !size) return std::nullopt;
  require(
      rank && size, ErrorCode::kInvalidArgument,
      "the environment variable {} is set, but not {}: set both (the process's number from 0, and "
      "the number of processes), or unset both to run one process",
      rank ? names.rank : names.size, rank ? names.size : names.rank);
  require(*rank < *size, ErrorCode::kInvalidArgument,
          "the environment says {}={} and {}={}: ranks count from 0 to {} - 1", names.rank, *rank,
          names.size, *size, names.size);
  Rendezvous r;
  r.rank = static_cast<int>(*rank);
  r.size = static_cast<int>(*size);
  r.source = names.source;
  const auto local_size = read.number(names.local_size, 1, kMaxProcesses);
  const auto local_rank = read.number(names.local_rank, 0, kMaxProcesses - 1);
  require(
      !local_size || *local_size <= *size, ErrorCode::kInvalidArgument,
      "the environment says {}={}, but {}={}: a machine cannot hold more processes than the run",
      names.local_size, local_size.value_or(0), names.size, *size);
  const int64_t most = local_size ? *local_size : *size;
  require(local_rank.value_or(0) < most, ErrorCode::kInvalidArgument,
          "the environment says {}={}, but this machine has {} of the {}={} processes",
          names.local_rank, local_rank.value_or(0), most, names.size, *size);
  r.local_rank = static_cast<int>(local_rank.value_or(0));
  r.local_size = static_cast<int>(local_size.value_or(0));
  const bool slurm = names.source == kSlurm.source;
  if (slurm && read.number("SLURM_STEP_NUM_NODES", 1, kMaxProcesses) == 1) r.local_size = r.size;
  if (r.local_size == r.size) r.address = "127.0.0.1";  // unless MASTER_ADDR says another
  return r;
}

void find_address(const Reader& read, Rendezvous& r) {
  if (const char* address = read.text("MASTER_ADDR")) {
    r.address = address;
    return;
  }
  for (const char* list : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"}) {
    if (!r.address.empty()) return;
    if (const char* nodes = read.text(list)) r.address = first_node(nodes);
  }
  const char* launcher = read.text("SLURM_LAUNCH_NODE_IPADDR");
  if (r.address.empty() && launcher) r.address = launcher;
  require(!r.address.empty(), ErrorCode::kInvalidArgument,
          "started by {} as rank {} of {}, but where rank 0 is reached is not known: set the "
          "environment "
          "variable MASTER_ADDR to its machine's name or address in every process (mpirun -x "
          "MASTER_ADDR=... of Open MPI, -env MASTER_ADDR ... of MPICH)",
          r.source, r.rank, r.size);
}

void find_port(const Reader& read, Rendezvous& r) {
  if (const auto port = read.number("MASTER_PORT", 1, kMaxPort)) {
    r.port = static_cast<int>(*port);
  } else if (const auto job = read.number("SLURM_JOB_ID", 0, INT64_MAX / 2)) {
    // Two jobs, or two steps of one, that share a machine should not meet; below the ports that the
    // system gives to outgoing connections (from 32768).
    const auto step = read.number("SLURM_STEP_ID", 0, UINT32_MAX);
    r.port = 10000 + static_cast<int>((*job + step.value_or(0)) % 20000);
  } else {
    r.port = kDefaultPort;
  }
  const char* agent = read.text("TORCHELASTIC_USE_AGENT_STORE");
  if (r.source == kTorchrun.source && agent && std::strcmp(agent, "True") == 0) {
    r.port += r.port < kMaxPort ? 1 : -1;
  }
}

}  // namespace

std::string first_node(const std::string& list) {
  std::string name;
  size_t i = 0;
  for (; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      require(list[i] != ']', ErrorCode::kInvalidArgument, "the node list '{}' has a ']' too many",
              list);
      name += list[i];
      continue;
    }
    // Of "[03-07,9]" the first number as it is written.
    const size_t end = list.find(']', i);
    const size_t stop = list.find_first_of("-,]", i);
    require(end != std::string::npos && stop > i + 1, ErrorCode::kInvalidArgument,
            "the node list '{}' has a '[' without numbers and ']' after it", list);
    name += list.substr(i + 1, stop - i - 1);
    i = end;
  }
  require(!name.empty(), ErrorCode::kInvalidArgument, "the node list '{}' names no node", list);
  return name;
}

std::optional<Rendezvous> rendezvous_from(const Environment& environment) {
  const Reader reader(environment);
  std::optional<Rendezvous> found = read(reader, kTorchrun);
  if (!found) found = read(reader, kOpenMpi);
  if (!found) found = read(reader, kPmi);
  // Slurm sets most of its variables in the job's own script too; srun alone makes a step.
  if (!found && reader.text("SLURM_STEP_ID")) {
    Names names = kSlurm;
    if (!reader.text(names.size)) names.size = "SLURM_NTASKS";
    found = read(reader, names);
  }
  if (!found || found->size == 1) return std::nullopt;
  const bool torchrun = found->source == kTorchrun.source;
  if (torchrun) {
    for (const char* name : {"MASTER_ADDR", "MASTER_PORT"}) {
      require(
          reader.text(name), ErrorCode::kInvalidArgument,
          "the environment says RANK={} and WORLD_SIZE={}, but {} is not set: set MASTER_ADDR and "
          "MASTER_PORT to where rank 0 is reached, or start with torchrun or --nproc",
          found->rank, found->size, name);
    }
  }
  find_address(reader, *found);
  find_port(reader, *found);
  found->token = checked_token(reader.text(kTokenVariable));
  return found;
}

bool on_one_machine(const Rendezvous& r) {
  // By the text alone: a name may mean the loopback on its own machine only (Debian's /etc/hosts).
  const bool loopback =
      r.address == "localhost" || r.address == "::1" || r.address.starts_with("127.");
  return r.local_size == r.size || loopback;
}

std::optional<Rendezvous> rendezvous_from_environment() {
  return rendezvous_from([](const char* name) -> const char* { return std::getenv(name); });
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t length = sizeof own;
  auto* address = reinterpret_cast<sockaddr*>(&own);
  const bool found =
      fd >= 0 && ::bind(fd, address, length) == 0 && ::getsockname(fd, address, &length) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  require(found, ErrorCode::kIo, "cannot find a free TCP port: {}", std::strerror(error));
  return ntohs(own.sin_port);
}

}  // namespace asmlp::dist
