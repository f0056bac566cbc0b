// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

// Room is made in steps of this many zero octets: a flush within the file's size and its written
// blocks changes no metadata, so it neither waits for the file system's own journal nor for others
// who do (measured: 75 us instead of 120 to 1900).
constexpr uint64_t kRoomStep = 256 * 1024;

class PosixJournalFile : public JournalFile {
 public:
  PosixJournalFile(UniqueFd fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), room_(size) {}

  absl::StatusOr<uint64_t> Size() const override { return SizeOfFd(fd_.get(), path_); }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    return ReadFdAt(fd_.get(), path_, offset, out);
  }

  absl::Status WriteAt(uint64_t offset, std::string_view octets) override {
    const uint64_t end = offset + octets.size();
    // What is written whole from the start is a file of its own kind: a header, a checkpoint.
    if (end > room_ && offset > 0) {
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

  void BeginWriteback(uint64_t offset, uint64_t octets) override {
    (void)::sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(octets),
                            SYNC_FILE_RANGE_WRITE);
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
  uint64_t room_;  // the file's size; zero octets from the last frame on
};

class PosixJournalFolder : public JournalFolder {
 public:
  PosixJournalFolder(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  std::string path() const override { return path_; }

  absl::StatusOr<std::vector<std::string>> List() const override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path_.c_str()), ::closedir);
    if (!dir) return ErrnoStatus(errno, "open folder", path_);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    if (errno != 0) return ErrnoStatus(errno, "read folder", path_);
    return names;
  }

  absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& name) const override {
    return OpenWith(name, O_RDWR);
  }

  absl::StatusOr<std::unique_ptr<JournalFile>> Create(const std::string& name) override {
    return OpenWith(name, O_RDWR | O_CREAT | O_TRUNC);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0) {
      return ErrnoStatus(errno, "rename", PathOf(from));
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& name) override {
    if (::unlinkat(fd_.get(), name.c_str(), 0) != 0) {
      return ErrnoStatus(errno, "unlink", PathOf(name));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (::fsync(fd_.get()) != 0) return ErrnoStatus(errno, "fsync folder", path_);
    return absl::OkStatus();
  }

 private:
  std::string PathOf(const std::string& name) const { return Cat(path_, "/", name); }

  absl::StatusOr<std::unique_ptr<JournalFile>> OpenWith(const std::string& name, int flags) const {
    UniqueFd fd(
        ::openat(fd_.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd.valid()) return ErrnoStatus(errno, "open", PathOf(name));
    ASSIGN_OR_RETURN(const uint64_t size, SizeOfFd(fd.get(), PathOf(name)));
    return std::make_unique<PosixJournalFile>(std::move(fd), PathOf(name), size);
  }

  const UniqueFd fd_;
  const std::string path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<JournalFolder>> OpenJournalFolder(const std::string& path) {
  RETURN_IF_ERROR(MakePrivateDirectory(path));
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus(errno, "open folder", path);
  return std::make_unique<PosixJournalFolder>(std::move(fd), path);
}

absl::Status PutWhole(JournalFolder& folder, const std::string& name, std::string_view content) {
  const std::string unfinished = Cat(name, kUnfinishedSuffix);
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<JournalFile> file, folder.Create(unfinished));
    RETURN_IF_ERROR(file->WriteAt(0, content));
    RETURN_IF_ERROR(file->Sync());
  }
  RETURN_IF_ERROR(folder.Rename(unfinished, name));
  return folder.Sync();
}

absl::StatusOr<std::optional<std::string>> ReadWhole(const JournalFolder& folder,
                                                     const std::string& name, size_t max_octets) {
  absl::StatusOr<std::unique_ptr<JournalFile>> file = folder.Open(name);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  RETURN_IF_ERROR(file.status());
  std::string content(max_octets + 1, '\0');
  ASSIGN_OR_RETURN(const size_t got, (*file)->ReadAt(0, std::span(content)));
  if (got > max_octets) {
    return absl::DataLossError(
        Cat(folder.path(), "/", name, ": has more than ", max_octets, " octets"));
  }
  content.resize(got);
  return content;
}

}  // namespace auspex::keyd
