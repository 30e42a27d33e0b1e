// The directory of a zip archive whose members are stored, not compressed: what torch.save writes.
// Inside the weights layer only.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace asmlp {

enum class Checksums { kVerify, kIgnore };  // kIgnore lets the fuzzer past them

class ZipArchive {
 public:
  // Reads the central directory (zip64 too; local headers may lack sizes). `bytes` must outlive the
  // archive. Errors: kBadFormat.
  ZipArchive(std::span<const std::byte> bytes, const std::string& what, Checksums checksums);

  // The member's content, checked against its CRC-32. Errors: kBadFormat when it does not exist or
  // is damaged, or when all content asked for is more than the file (members that overlap, so that
  // a small file would cost long work), kUnsupported when it is compressed or encrypted.
  std::span<const std::byte> content(const std::string& name);

  bool contains(const std::string& name) const { return members_.contains(name); }

  bool has_suffix(std::string_view suffix) const;

  // The one name that ends in `suffix`, "" when there is none, kBadFormat when there are several.
  std::string find_suffix(std::string_view suffix) const;

 private:
  struct Member {
    uint64_t header = 0;  // position of the local header
    uint64_t size = 0;    // as stored
    uint32_t crc = 0;
    bool plain = false;  // neither compressed nor encrypted
  };
  void read_directory(uint64_t begin, uint64_t size, uint64_t entries);
  template <typename T>
  T get(uint64_t position) const;

  std::span<const std::byte> bytes_;
  std::string what_;
  Checksums checksums_;
  uint64_t opened_bytes_ = 0;
  std::map<std::string_view, Member, std::less<>> members_;
};

}  // namespace asmlp
