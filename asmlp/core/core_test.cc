// Files, tensors and the choice of the instruction set.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "tests/support/support.h"

namespace asmlp::core_test {
namespace {

size_t files_in(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

TEST(AtomicFile, ReplacesOrLeavesAlone) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  write_file_atomically(path, [](std::ostream& out) { out << "first"; });
  EXPECT_EQ(read_file(path), "first");
  EXPECT_THROW(write_file_atomically(path,
                                     [](std::ostream& out) {
                                       out << "half";
                                       fail(ErrorCode::kIo, "stop");
                                     }),
               Error);
  EXPECT_EQ(read_file(path), "first");
  EXPECT_EQ(files_in(folder.path()), 1u);
  write_file_atomically(path, [](std::ostream& out) { out << "second"; });
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, NamesWhatItCannotRead) {
  const test::TemporaryFolder folder;
  const auto missing = folder.path() / "missing";
  try {
    map_file(missing);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find(missing.string()), std::string::npos);
  }
  EXPECT_THROW(map_file(folder.path()), Error);
  EXPECT_THROW(write_file_atomically(folder.path() / "no" / "file", [](std::ostream&) {}), Error);
  std::ofstream(missing) << "12345";
  EXPECT_THROW(read_file(missing, 4), Error);
  EXPECT_EQ(map_file(missing).bytes.size(), 5u);
}

TEST(Tensor, HalvesAreExact) {
  // Every finite half value, against the definition.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    if (exponent == 31) continue;
    double value =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (bits & 0x8000) value = -value;
    ASSERT_EQ(f16_to_f32(static_cast<uint16_t>(bits)), value) << bits;
  }
  EXPECT_EQ(f16_to_f32(0x7c00), INFINITY);
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7e01)));
  EXPECT_EQ(bf16_to_f32(0x3f80), 1.0f);
}

TEST(Tensor, ConvertsUnalignedBytesOfEveryType) {
  const double value = -2.0;
  std::vector<std::byte> bytes(1 + sizeof value);
  std::memcpy(bytes.data() + 1, &value, sizeof value);
  Tensor tensor{DType::kF64, {1}, std::span(bytes).subspan(1), nullptr};
  EXPECT_EQ(to_f32(tensor), std::vector<float>{-2.0f});
  tensor.shape = {2};
  EXPECT_THROW(to_f32(tensor), Error);
}

TEST(Tensor, CountsWithoutOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0, 5}), 0);
  EXPECT_THROW(element_count({int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 40, 0, int64_t{1} << 40}), Error);
  EXPECT_THROW(element_count({-1}), Error);
}

TEST(Cpu, TheEnvironmentForcesTheIsa) {
  const char* old = std::getenv("ASMLP_ISA");
  const std::string saved = old ? old : "";
  for (Isa isa : available_isas()) {
    ::setenv("ASMLP_ISA", to_string(isa), 1);
    EXPECT_EQ(default_isa(), isa);
  }
  ::setenv("ASMLP_ISA", "mmx", 1);
  EXPECT_THROW(default_isa(), Error);
  EXPECT_THROW(usable_isa(Isa::kAuto), Error);
  EXPECT_EQ(usable_isa(Isa::kReference), Isa::kReference);
  ::setenv("ASMLP_ISA", "auto", 1);
  EXPECT_EQ(default_isa(), available_isas().back());
  ::unsetenv("ASMLP_ISA");
  EXPECT_EQ(default_isa(), available_isas().back());
  if (old != nullptr) ::setenv("ASMLP_ISA", saved.c_str(), 1);
}

#if defined(__aarch64__)
TEST(Cpu, EveryArmProcessorHasItsVectors) {
  const std::vector<Isa> here = available_isas();
  EXPECT_THAT(here, testing::Contains(Isa::kNeon));
  EXPECT_THAT(here, testing::Each(testing::Le(Isa::kNeonMatrix)));
}
#endif

TEST(Cpu, HasAName) {
  EXPECT_EQ(cpu_name_in("processor\t: 0\nmodel name\t: AMD EPYC 7763 64-Core\nModel: 1\n", ""),
            "AMD EPYC 7763 64-Core");
  const std::string a72 = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n";
  EXPECT_EQ(cpu_name_in(a72 + a72, ""), "Cortex-A72");
  EXPECT_EQ(cpu_name_in(a72 + "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n", "another"),
            "Cortex-A72 (Raspberry Pi 4 Model B Rev 1.4)");
  EXPECT_EQ(cpu_name_in("CPU implementer : 0x41\nCPU part : 0xd05\nCPU part : 0xd0b\n", "a board"),
            "Cortex-A55 + Cortex-A76 (a board)");
  EXPECT_EQ(cpu_name_in("CPU implementer : 0x61\nCPU part : 0x022\n", ""),
            "ARM processor (implementer 0x61, part 0x022)");
  EXPECT_EQ(cpu_name_in("", "a board"), "a board");
  EXPECT_EQ(cpu_name_in("", ""), "unknown processor");
}

TEST(Cpu, ASharedCacheIsDivided) {
  const test::TemporaryFolder folder;
  const auto cache = [&](int index, const char* level, const char* type, const char* size,
                         const char* cores) {
    const auto path = folder.path() / ("index" + std::to_string(index));
    std::filesystem::create_directory(path);
    std::ofstream(path / "level") << level << "\n";
    std::ofstream(path / "type") << type << "\n";
    std::ofstream(path / "size") << size << "\n";
    std::ofstream(path / "shared_cpu_list") << cores << "\n";
  };
  EXPECT_EQ(l2_cache_bytes_in(folder.path()), 0);
  cache(0, "1", "Data", "32K", "0");
  cache(1, "1", "Instruction", "48K", "0");
  EXPECT_EQ(l2_cache_bytes_in(folder.path()), 0);
  cache(2, "2", "Unified", "1024K", "0-3");
  EXPECT_EQ(l2_cache_bytes_in(folder.path()), 256 * 1024);
  cache(2, "2", "Unified", "2M", "0,2-4");
  EXPECT_EQ(l2_cache_bytes_in(folder.path()), 512 * 1024);
  cache(2, "2", "Unified", "512K", "0");
  EXPECT_EQ(l2_cache_bytes_in(folder.path()), 512 * 1024);
  EXPECT_GE(l2_cache_bytes(), 0);
}

TEST(Cpu, AnIsaIsFoundByItsName) {
  const auto refused = [](const auto& call, ErrorCode code, const std::string& said) {
    try {
      call();
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(said),
                                               testing::HasSubstr("available here: reference")));
    }
  };
  for (const char* name : {"", "auto"}) EXPECT_EQ(parse_isa(name, "--isa"), default_isa());
  for (const char* name : {"mmx", "AVX2"}) {
    refused([&] { parse_isa(name, "--isa"); }, ErrorCode::kInvalidArgument,
            std::string("--isa ") + name + ": unknown");
  }
  const std::vector<Isa> here = available_isas();
  for (Isa isa = Isa::kReference; isa <= Isa::kAvx512Amx; isa = Isa{static_cast<int>(isa) + 1}) {
    const std::string name = to_string(isa);
    if (std::find(here.begin(), here.end(), isa) != here.end()) {
      EXPECT_EQ(parse_isa(name, "--isa"), isa);
      EXPECT_EQ(usable_isa(isa), isa);
    } else {
      refused([&] { parse_isa(name, "--isa"); }, ErrorCode::kUnsupported, "--isa " + name + ":");
      refused([&] { usable_isa(isa); }, ErrorCode::kUnsupported, name);
    }
  }
}

TEST(Cpu, EveryPrecisionIsInTheListAndFoundByItsName) {
  const std::vector<std::string> names = precision_names();
  ASSERT_EQ(names.size(), all_precisions().size());
  for (size_t k = 0; k < names.size(); ++k) {
    EXPECT_EQ(static_cast<size_t>(all_precisions()[k]), k);
    EXPECT_EQ(parse_precision(names[k]), all_precisions()[k]);
  }
  EXPECT_STREQ(to_string(static_cast<Precision>(names.size())), "unknown");  // none is missing
  try {
    parse_precision("fp8");
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    for (const std::string& name : names) EXPECT_THAT(error.what(), testing::HasSubstr(name));
  }
}

// The features that an ISA needs are listed where it runs.
TEST(Cpu, FeaturesNameWhatTheIsasNeed) {
  const std::vector<std::string> features = cpu_features();
  const std::vector<Isa> isas = available_isas();
  const auto runs = [&](Isa isa) { return std::ranges::count(isas, isa) > 0; };
#if defined(__x86_64__)  // an emulated processor's /proc/cpuinfo is the host's
  EXPECT_EQ(std::ranges::count(features, "avx2") > 0 && std::ranges::count(features, "fma") > 0,
            runs(Isa::kAvx2));
#endif
  if (runs(Isa::kAvx512)) {
    EXPECT_THAT(features, testing::Contains("avx512bw"));
  }
  if (runs(Isa::kAvx512Amx)) {
    EXPECT_THAT(features, testing::Contains("amx_tile"));
  }
  for (const std::string& feature : features) EXPECT_NE(feature, "sse2");
}

}  // namespace
}  // namespace asmlp::core_test
