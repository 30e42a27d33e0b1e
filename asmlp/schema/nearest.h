// What a user may have meant by a word that is not known.
#pragma once

#include <string>
#include <vector>

namespace asmlp {

// The candidate nearest to `word`: one that it abbreviates, else the one with the fewest edits
// (insertions, deletions, substitutions, swaps of neighbors), at most a third of the word's
// letters. "" when none is that near: a far-fetched proposal misleads more than none.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

// "; did you mean 'X'?", or "" where nearest() finds nothing. For the ends of messages.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace asmlp
