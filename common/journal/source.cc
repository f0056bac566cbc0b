// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/journal/segment.h"

namespace auspex {
namespace {

class FileSource : public JournalSource {
 public:
  FileSource(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  absl::StatusOr<uint64_t> Size() const override { return SizeOfFd(fd_.get(), path_); }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    return ReadFdAt(fd_.get(), path_, offset, out);
  }

 private:
  const UniqueFd fd_;
  const std::string path_;
};

}  // namespace

absl::StatusOr<uint64_t> SizeOfFd(int fd, const std::string& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "fstat", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(Cat(path, ": is not a regular file"));
  }
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<size_t> ReadFdAt(int fd, const std::string& path, uint64_t offset,
                                std::span<char> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read", path);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

absl::StatusOr<std::unique_ptr<JournalSource>> OpenJournalSource(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  RETURN_IF_ERROR(SizeOfFd(fd.get(), path).status());
  return std::make_unique<FileSource>(std::move(fd), path);
}

absl::StatusOr<size_t> MemoryJournalSource::ReadAt(uint64_t offset, std::span<char> out) const {
  if (offset >= content_.size()) return 0;
  const size_t n = std::min(out.size(), content_.size() - static_cast<size_t>(offset));
  std::memcpy(out.data(), content_.data() + offset, n);
  return n;
}

absl::StatusOr<std::vector<std::string>> ListSegments(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return ErrnoStatus(errno, "open folder", folder);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (FirstSequenceOf(entry->d_name)) names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) return ErrnoStatus(errno, "read folder", folder);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace auspex
