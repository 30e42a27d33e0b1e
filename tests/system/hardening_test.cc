// What cmake/AsmlpHardening.cmake promises, read off the programs and the library as they were
// linked.
#include <elf.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "tests/support/support.h"

namespace asmlp::hardening_test {
namespace {

// A 64-bit ELF file of this machine's byte order.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) : bytes_(read_file(path)) {
    header_ = at<Elf64_Ehdr>(0);
    EXPECT_EQ(std::memcmp(header_.e_ident, ELFMAG, SELFMAG), 0) << path;
    EXPECT_EQ(header_.e_ident[EI_CLASS], ELFCLASS64) << path;
    for (int i = 0; i < header_.e_phnum; ++i) {
      segments_.push_back(at<Elf64_Phdr>(header_.e_phoff + size_t{header_.e_phentsize} * i));
    }
    for (int i = 0; i < header_.e_shnum; ++i) {
      sections_.push_back(at<Elf64_Shdr>(header_.e_shoff + size_t{header_.e_shentsize} * i));
    }
  }

  int type() const { return header_.e_type; }

  const Elf64_Phdr* segment(uint32_t type) const {
    const auto found = std::ranges::find(segments_, type, &Elf64_Phdr::p_type);
    return found == segments_.end() ? nullptr : &*found;
  }

  // The value of an entry of the dynamic section, 0 without one.
  uint64_t dynamic(int64_t tag) const {
    const Elf64_Phdr* segment = this->segment(PT_DYNAMIC);
    for (size_t i = 0; segment && i + sizeof(Elf64_Dyn) <= segment->p_filesz;
         i += sizeof(Elf64_Dyn)) {
      const auto entry = at<Elf64_Dyn>(segment->p_offset + i);
      if (entry.d_tag == tag) return entry.d_un.d_val;
    }
    return 0;
  }

  // The names that it takes from other libraries.
  std::set<std::string> imports() const {
    std::set<std::string> names;
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_DYNSYM) continue;
      const Elf64_Shdr& strings = sections_.at(section.sh_link);
      for (size_t i = 0; i < section.sh_size; i += sizeof(Elf64_Sym)) {
        const auto symbol = at<Elf64_Sym>(section.sh_offset + i);
        if (symbol.st_shndx == SHN_UNDEF) {
          names.insert(bytes_.c_str() + strings.sh_offset + symbol.st_name);
        }
      }
    }
    return names;
  }

  // The bits of a property of the note .note.gnu.property.
  uint32_t property(uint32_t wanted) const {
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_NOTE) continue;
      const auto note = at<Elf64_Nhdr>(section.sh_offset);
      if (note.n_type != NT_GNU_PROPERTY_TYPE_0) continue;
      // Name ("GNU"), then type, size and content, each padded to 8 bytes.
      for (size_t i = 16; i + 12 <= 16 + note.n_descsz;) {
        const auto type = at<uint32_t>(section.sh_offset + i);
        const auto size = at<uint32_t>(section.sh_offset + i + 4);
        if (type == wanted) return at<uint32_t>(section.sh_offset + i + 8);
        i += 8 + (size_t{size} + 7) / 8 * 8;
      }
    }
    return 0;
  }

 private:
  template <typename T>
  T at(size_t offset) const {
    T value{};
    EXPECT_LE(offset + sizeof value, bytes_.size());
    if (offset + sizeof value <= bytes_.size()) {
      std::memcpy(&value, bytes_.data() + offset, sizeof value);
    }
    return value;
  }

  const std::string bytes_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Shdr> sections_;
};

class Hardening : public testing::TestWithParam<const char*> {};

TEST_P(Hardening, IsInTheFile) {
  const ElfFile file(GetParam());
  EXPECT_EQ(file.type(), ET_DYN) << "is loaded at a fixed address";

  // Full RELRO: what the loader fills in is read-only once the program runs.
  EXPECT_NE(file.segment(PT_GNU_RELRO), nullptr);
  EXPECT_TRUE((file.dynamic(DT_FLAGS) & DF_BIND_NOW) != 0 || (file.dynamic(DT_FLAGS_1) & DF_1_NOW));
  const Elf64_Phdr* stack = file.segment(PT_GNU_STACK);
  ASSERT_NE(stack, nullptr);
  EXPECT_EQ(stack->p_flags & PF_X, 0u) << "the stack is executable";
  EXPECT_EQ(file.dynamic(DT_RPATH), 0u);

  std::set<std::string> imports = file.imports();
  EXPECT_THAT(imports, testing::Contains("__stack_chk_fail"));
  imports.erase("__stack_chk_fail");
  // The Python module calls nothing that could be checked.
  if (std::string(GetParam()).find("/_native.") == std::string::npos) {
    EXPECT_THAT(imports, testing::Contains(testing::EndsWith("_chk"))) << "no FORTIFY";
  }

#if defined(__x86_64__)
  EXPECT_EQ(file.property(GNU_PROPERTY_X86_FEATURE_1_AND),
            uint32_t{GNU_PROPERTY_X86_FEATURE_1_IBT | GNU_PROPERTY_X86_FEATURE_1_SHSTK});
#endif
}

INSTANTIATE_TEST_SUITE_P(Files, Hardening, testing::Values(ASMLP_ELF_FILES));

}  // namespace
}  // namespace asmlp::hardening_test
