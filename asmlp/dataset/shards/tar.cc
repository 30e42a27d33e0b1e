#include "asmlp/dataset/shards/tar.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <new>
#include <ostream>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// Large reads: a shard comes from a disk or a network from beginning to end.
constexpr size_t kBlock = 1u << 20;

archive* new_reader() {
  archive* reader = archive_read_new();
  if (reader == nullptr) throw std::bad_alloc();
  archive_read_support_format_tar(reader);
  // Names are bytes to us; libarchive would translate them to the locale's characters.
  archive_read_set_options(reader, "hdrcharset=BINARY");
  return reader;
}

std::string why(archive* handle) {
  const char* text = archive_error_string(handle);
  return text ? text : "unknown error";
}

}  // namespace

void TarReader::Close::operator()(archive* handle) const { archive_read_free(handle); }

TarReader::TarReader(const std::filesystem::path& path)
    : what_(path.string()),
      file_(std::make_unique<InputFile>(path, Inputs::kRegular)),
      bytes_(static_cast<int64_t>(file_->size())),
      archive_(new_reader()) {
  open_with(archive_read_open_fd(archive_.get(), file_->descriptor(), kBlock));
}

TarReader::TarReader(std::span<const std::byte> bytes, std::string what)
    : what_(std::move(what)), bytes_(std::ssize(bytes)), archive_(new_reader()) {
  open_with(archive_read_open_memory(archive_.get(), bytes.data(), bytes.size()));
}

TarReader::~TarReader() = default;

void TarReader::open_with(int status) {
  if (status == ARCHIVE_OK) return;
  fail(ErrorCode::kIo, "{}: cannot open: {}", what_, why(archive_.get()));
}

void TarReader::fail_damaged() const {
  fail(ErrorCode::kBadFormat, "{}: damaged tar archive after byte {}: {}", what_,
       std::min<int64_t>(bytes_, archive_filter_bytes(archive_.get(), -1)), why(archive_.get()));
}

std::optional<std::string> TarReader::next() {
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(archive_.get(), &entry);
    if (status == ARCHIVE_EOF) {
      // A member that is passed over is passed over by seeking, beyond the end of a cut file too.
      require(archive_filter_bytes(archive_.get(), -1) <= bytes_, ErrorCode::kBadFormat,
              "{}: is truncated: its last member goes beyond the end of the file", what_);
      return std::nullopt;
    }
    if (status < ARCHIVE_WARN) fail_damaged();
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
    if (archive_entry_sparse_count(entry) > 0) continue;  // its holes could be of any size
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) continue;
    size_ = static_cast<size_t>(std::max<int64_t>(archive_entry_size(entry), 0));
    return name;
  }
}

std::string TarReader::read(size_t max_bytes) {
  require(size_ <= max_bytes, ErrorCode::kTooLarge, "{}: a member of {} bytes; {} are the most",
          what_, size_, max_bytes);
  std::string content;
  while (content.size() < size_) {
    // The header may lie: memory grows with what the archive really holds.
    const size_t old = content.size();
    content.resize(old + std::min<size_t>(size_ - old, size_t{16} << 20));
    const la_ssize_t got =
        archive_read_data(archive_.get(), content.data() + old, content.size() - old);
    if (got <= 0) fail_damaged();
    content.resize(old + static_cast<size_t>(got));
  }
  return content;
}

void TarWriter::Free::operator()(archive* handle) const {
  archive_write_fail(handle);  // after finish() without effect; before, nothing more is written
  archive_write_free(handle);
}

TarWriter::TarWriter(std::ostream& out) : archive_(archive_write_new()) {
  if (!archive_) throw std::bad_alloc();
  archive_write_set_format_ustar(archive_.get());
  const auto write = [](archive*, void* stream, const void* data, size_t size) -> la_ssize_t {
    auto& to = *static_cast<std::ostream*>(stream);
    to.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    return to ? static_cast<la_ssize_t>(size) : -1;
  };
  const int status = archive_write_open(archive_.get(), &out, nullptr, write, nullptr);
  require(status == ARCHIVE_OK, ErrorCode::kIo, "cannot start a tar archive: {}",
          why(archive_.get()));
}

TarWriter::~TarWriter() = default;

void TarWriter::add(const std::string& name, std::string_view content) {
  require(!name.empty() && name.size() <= 100 &&
              std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; }),
          ErrorCode::kInvalidArgument, "{}: is no portable name of a tar member", name);
  archive_entry* entry = archive_entry_new();
  if (entry == nullptr) throw std::bad_alloc();
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> owner(entry,
                                                                            archive_entry_free);
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_mtime(entry, 0, 0);
  const bool ok = archive_write_header(archive_.get(), entry) == ARCHIVE_OK &&
                  archive_write_data(archive_.get(), content.data(), content.size()) ==
                      static_cast<la_ssize_t>(content.size());
  require(ok, ErrorCode::kIo, "{}: cannot write the tar member: {}", name, why(archive_.get()));
}

void TarWriter::finish() {
  require(archive_write_close(archive_.get()) == ARCHIVE_OK, ErrorCode::kIo,
          "cannot finish the tar archive: {}", why(archive_.get()));
}

}  // namespace asmlp
