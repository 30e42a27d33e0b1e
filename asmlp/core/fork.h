// Telling the child of a fork from its parent.
#pragma once

namespace asmlp {

// How many forks lie between the first process of this program and the calling one: another number
// in the child than in its parent. A child has none of its parent's threads, and finds locked for
// ever what one of them held; so what rests on threads remembers this number and compares.
unsigned fork_generation() noexcept;

}  // namespace asmlp
