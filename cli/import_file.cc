// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/import_file.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"

namespace auspex::cli {
namespace {

constexpr off_t kMaxOctets = 4096;

// File systems that cannot copy between each other are copied by sendfile, in the kernel as well.
absl::Status CopyInKernel(int from, int to, size_t octets, const std::string& source) {
  while (octets > 0) {
    ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, octets, 0);
    if (copied < 0 && errno != EINTR) copied = ::sendfile(to, from, nullptr, octets);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) return ErrnoStatus(errno, "copy", source);
    if (copied == 0) return absl::DataLossError(Cat(source, ": became shorter meanwhile"));
    octets -= static_cast<size_t>(copied);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportFile> ImportFile::Place(const std::string& source,
                                             const std::string& state_dir) {
  const UniqueFd from(::open(source.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!from) return ErrnoStatus(errno, "open", source);
  struct stat info {};
  if (::fstat(from.get(), &info) != 0) return ErrnoStatus(errno, "look at", source);
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(Cat(source, ": is no regular file"));
  if (info.st_size == 0 || info.st_size > kMaxOctets) {
    return absl::InvalidArgumentError(
        Cat(source, ": has ", info.st_size, " octets; a key file has between 32 and ", kMaxOctets));
  }
  const std::string path = state_dir + "/import.key";
  const UniqueFd to(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to) {
    if (errno != EEXIST) return ErrnoStatus(errno, "create", path);
    return absl::AlreadyExistsError(
        Cat(path, ": another import is under way, or one was interrupted; then remove that file"));
  }
  ImportFile placed(path);
  struct stat folder {};
  if (::stat(state_dir.c_str(), &folder) != 0) return ErrnoStatus(errno, "look at", state_dir);
  // In system mode root places it for keyd's own user.
  if (folder.st_uid != ::geteuid() && ::fchown(to.get(), folder.st_uid, folder.st_gid) != 0) {
    return ErrnoStatus(errno, "give to keyd's user", path);
  }
  RETURN_IF_ERROR(CopyInKernel(from.get(), to.get(), static_cast<size_t>(info.st_size), source));
  return placed;
}

// keyd has wiped and removed it in every case that it heard of; what is left was never looked at.
ImportFile::~ImportFile() {
  if (path_.empty()) return;
  const UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return;
  const char zeros[kMaxOctets] = {};
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= kMaxOctets) {
    [[maybe_unused]] const ssize_t written =
        ::pwrite(fd.get(), zeros, static_cast<size_t>(info.st_size), 0);
    ::fsync(fd.get());
  }
  ::unlink(path_.c_str());
}

}  // namespace auspex::cli
