// Truncated and damaged files: every one must load or be an asmlp::Error, in bounded memory.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "asmlp/weights/pytorch/pth_reader.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

void* counted(std::size_t size) {
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  const int64_t now = live_bytes += static_cast<int64_t>(malloc_usable_size(block));
  int64_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
  return block;
}

void uncounted(void* block) {
  if (block != nullptr) live_bytes -= static_cast<int64_t>(malloc_usable_size(block));
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
// std::stable_sort takes its buffer this way.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return counted(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* block) noexcept { uncounted(block); }
void operator delete[](void* block) noexcept { uncounted(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t) noexcept { uncounted(block); }
void operator delete[](void* block, std::size_t) noexcept { uncounted(block); }

namespace asmlp::mutation_test {
namespace {

enum class Format { kSafetensors, kPth, kPthUnchecked };

// True when the bytes load. Anything but an Error leaves and fails the test.
bool loads(Format format, const std::string& bytes) {
  // A copy of the exact size: a sanitizer then sees the first byte read beyond it.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto view = std::as_bytes(std::span(exact));
  const int64_t before = live_bytes;
  peak_bytes = before;
  bool loaded = true;
  try {
    if (format == Format::kSafetensors) {
      parse_safetensors(view, nullptr, "mutated");
    } else {
      parse_pth(view, "mutated", format == Format::kPth ? Checksums::kVerify : Checksums::kIgnore);
    }
  } catch (const Error&) {
    loaded = false;
  }
  EXPECT_LE(peak_bytes - before, 4 * static_cast<int64_t>(bytes.size()) + (48 << 20));
  return loaded;
}

struct Case {
  const char* file;
  Format format;
};

class Mutations : public testing::TestWithParam<Case> {};

TEST_P(Mutations, TruncatedFilesAreErrors) {
  const std::string bytes = test::golden_bytes(GetParam().file);
  ASSERT_TRUE(loads(GetParam().format, bytes));
  for (size_t part = 0; part < 200; ++part) {
    EXPECT_FALSE(loads(GetParam().format, bytes.substr(0, bytes.size() * part / 200))) << part;
  }
  for (size_t cut = 1; cut <= 64; ++cut) {
    EXPECT_FALSE(loads(GetParam().format, bytes.substr(0, bytes.size() - cut))) << cut;
    loads(GetParam().format, bytes.substr(cut));
  }
}

TEST_P(Mutations, DamagedBytesAreErrorsOrHarmless) {
  const std::string good = test::golden_bytes(GetParam().file);
  const unsigned seed = 20240711;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  const int rounds = good.size() < 10'000 ? 20'000 : 2'000;
  int survived = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = good;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      // Half of the changes hit the ends, where the structure is.
      const size_t edge = std::min<size_t>(bytes.size(), 45'000);
      size_t at = random() % bytes.size();
      if (round % 4 == 1) at = random() % edge;
      if (round % 4 == 3) at = bytes.size() - 1 - random() % edge;
      static constexpr char kNasty[] = {'\0', '\xff', '\x7f', '\x80', '(', 't', 'R', 'Q', '{', '['};
      bytes[at] = random() % 2 == 0 ? static_cast<char>(bytes[at] ^ (1 << random() % 8))
                                    : kNasty[random() % sizeof kNasty];
    }
    survived += loads(GetParam().format, bytes);
    if (HasFatalFailure()) return;
  }
  RecordProperty("survived", survived);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, Mutations,
    testing::Values(Case{"checkpoints/tensor_zoo_expected.safetensors", Format::kSafetensors},
                    Case{"full_size_logits.safetensors", Format::kSafetensors},
                    Case{"checkpoints/tensor_zoo.pth", Format::kPth},
                    Case{"checkpoints/tensor_zoo.pth", Format::kPthUnchecked},
                    Case{"checkpoints/bare_state_dict_half.pth", Format::kPthUnchecked},
                    Case{"checkpoints/official_zip.pth", Format::kPth},
                    Case{"checkpoints/official_legacy.pth", Format::kPth},
                    Case{"../checkpoints/legacy_protocol4.pth", Format::kPth},
                    Case{"../checkpoints/inert_objects.pth", Format::kPthUnchecked}));

// Checksums make every change inside a member visible.
TEST(Damage, InTensorsOfAZipIsFound) {
  const std::string good = test::golden_bytes("checkpoints/bare_state_dict_half.pth");
  const size_t at = good.find("patch_embed.proj.weight");
  ASSERT_NE(at, std::string::npos);
  std::string bytes = good;
  bytes[at] ^= 1;
  EXPECT_FALSE(loads(Format::kPth, bytes));
  EXPECT_TRUE(loads(Format::kPthUnchecked, bytes));
}

}  // namespace
}  // namespace asmlp::mutation_test
