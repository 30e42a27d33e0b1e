// What the exchange between processes needs of the system. c10d and gloo end the process when they
// miss it half-way, so it is asked for before.
#pragma once

namespace asmlp::dist {

// Files and sockets that this process may still open (`ulimit -n`), at most 65536.
int free_descriptors();

// Those that one process of a run of `size` takes for the exchange, with a reserve for its data.
int descriptors_needed(int size);

// Error(kIo), which says what to raise, when the system does not give this process, `rank` of
// `size`, the descriptors or the threads of the exchange.
void require_system_limits(int rank, int size);

}  // namespace asmlp::dist
