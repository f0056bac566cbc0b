// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal_file.h"

#include <fcntl.h>
#include <sodium/randombytes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/journal/record.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kMagic = "auspex journal\r\n";  // a transfer in text mode breaks it
static_assert(kMagic.size() == 16);
constexpr uint32_t kVersion = 1;

// Room is made in steps of this many zero octets: a flush within the file's size and its written
// blocks changes no metadata, so it neither waits for the file system's own journal nor for others
// who do (measured: 75 us instead of 120 to 1900).
constexpr uint64_t kRoomStep = 256 * 1024;

class PosixJournalFile : public JournalFile {
 public:
  PosixJournalFile(UniqueFd fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), room_(size) {}

  absl::StatusOr<uint64_t> Size() const override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return ErrnoStatus(errno, "fstat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "read", path_);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view octets) override {
    const uint64_t end = offset + octets.size();
    if (end > room_) {
      // Without room (a full disk) the octets themselves may still fit.
      const uint64_t wanted = (end / kRoomStep + 1) * kRoomStep;
      (void)Write(room_, std::string(wanted - room_, '\0'));
    }
    RETURN_IF_ERROR(Write(offset, octets));
    if (end > room_) {
      ASSIGN_OR_RETURN(room_, Size());
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return ErrnoStatus(errno, "fdatasync", path_);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return ErrnoStatus(errno, "ftruncate", path_);
    }
    room_ = size;
    return absl::OkStatus();
  }

 private:
  absl::Status Write(uint64_t offset, std::string_view octets) const {
    while (!octets.empty()) {
      const ssize_t n =
          ::pwrite(fd_.get(), octets.data(), octets.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "write", path_);
      offset += static_cast<uint64_t>(n);
      octets.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }

  UniqueFd fd_;
  std::string path_;
  uint64_t room_;  // the file's size; zero octets from the last record on
};

int OpenExisting(const std::string& path) {
  return ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

}  // namespace

std::string MakeJournalHeader(int64_t time_micros) {
  std::string header(kMagic);
  AppendLe(header, kVersion, 4);
  AppendLe(header, kJournalHeaderOctets, 4);
  char id[16];
  randombytes_buf(id, sizeof id);
  header.append(id, sizeof id);
  AppendLe(header, static_cast<uint64_t>(time_micros), 8);
  return header;
}

absl::Status CheckJournalHeader(std::string_view header) {
  if (header.size() < kJournalHeaderOctets) {
    return absl::DataLossError(Cat("journal: the header is cut short at octet ", header.size(),
                                   " of ", kJournalHeaderOctets));
  }
  if (header.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("journal: offset 0: this is no journal of auspex-keyd");
  }
  const uint64_t version = ReadLe(header.substr(16, 4));
  if (version != kVersion) {
    return absl::FailedPreconditionError(Cat("journal: offset 16: version ", version,
                                             " is not known to this release, which writes ",
                                             kVersion));
  }
  if (ReadLe(header.substr(20, 4)) != kJournalHeaderOctets) {
    return absl::DataLossError("journal: offset 20: wrong header length");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<JournalFile>> OpenJournalFile(const std::string& path,
                                                             int64_t time_micros) {
  UniqueFd fd(OpenExisting(path));
  if (!fd.valid() && errno == ENOENT) {
    // Made whole under another name first, so that a header is never half there.
    RETURN_IF_ERROR(WriteFileAtomically(path, MakeJournalHeader(time_micros), 0600));
    fd.Reset(OpenExisting(path));
  }
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "fstat", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(Cat(path, ": is not a regular file"));
  }
  return std::make_unique<PosixJournalFile>(std::move(fd), path,
                                            static_cast<uint64_t>(info.st_size));
}

absl::StatusOr<uint64_t> MemoryJournalFile::Size() const {
  std::lock_guard lock(mutex_);
  return content_.size();
}

absl::StatusOr<size_t> MemoryJournalFile::ReadAt(uint64_t offset, std::span<char> out) const {
  std::lock_guard lock(mutex_);
  if (offset >= content_.size()) return 0;
  const size_t n = std::min(out.size(), content_.size() - static_cast<size_t>(offset));
  std::memcpy(out.data(), content_.data() + offset, n);
  return n;
}

absl::Status MemoryJournalFile::WriteAt(uint64_t offset, std::string_view octets) {
  std::lock_guard lock(mutex_);
  if (content_.size() < offset + octets.size()) content_.resize(offset + octets.size());
  std::copy(octets.begin(), octets.end(), content_.begin() + static_cast<ptrdiff_t>(offset));
  return absl::OkStatus();
}

absl::Status MemoryJournalFile::Truncate(uint64_t size) {
  std::lock_guard lock(mutex_);
  content_.resize(size);
  return absl::OkStatus();
}

std::string MemoryJournalFile::content() const {
  std::lock_guard lock(mutex_);
  return content_;
}

}  // namespace auspex::keyd
