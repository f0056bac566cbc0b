// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/key_store.h"

#include <fcntl.h>
#include <sodium/randombytes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// Puts `content` at `path` only if nothing is there: a whole temporary first, then a rename that
// replaces nothing.
absl::Status CreateExclusively(const std::string& folder, const std::string& path,
                               std::string_view content) {
  const std::string temporary = path + ".new";
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "unlink", temporary);
  }
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, "create", temporary);
  RETURN_IF_ERROR(WriteAll(fd.get(), content, temporary));
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "fsync", temporary);
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return absl::AlreadyExistsError(Cat(path, ": there is a key already"));
    return ErrnoStatus(errno, "rename to", path);
  }
  return SyncDirectory(folder);
}

// Best effort on file systems that write in place, and harmless elsewhere; the removal is what
// counts.
absl::Status OverwriteAndRemove(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (fd.valid() && ::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode) &&
      info.st_size <= 64 * 1024) {
    RETURN_IF_ERROR(WriteAll(fd.get(), std::string(static_cast<size_t>(info.st_size), '\0'), path));
    if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "fsync", path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "unlink", path);
  return absl::OkStatus();
}

}  // namespace

KeyStore::KeyStore(std::string state_dir, SealSources sources)
    : state_dir_(std::move(state_dir)), sources_(std::move(sources)), seal_(sources_.Best()) {}

absl::StatusOr<std::optional<SecretKey>> KeyStore::Load() {
  if (!Exists(path())) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string sealed, ReadFile(path(), 4096));
  absl::StatusOr<SecretKey> key = UnsealKey(sealed, sources_);
  if (!key.ok()) {
    return absl::Status(key.status().code(),
                        Cat(path(), ": ", std::string(key.status().message()),
                            ". Give keyd what the key was sealed with, or restore both files from "
                            "a backup; if neither exists, move the file away "
                            "and run `auspex bootstrap`, which makes a new identity"));
  }
  seal_ = *SealKindOf(sealed);
  return std::optional<SecretKey>(*std::move(key));
}

absl::Status KeyStore::Save(const SecretKey& key) {
  if (Exists(path())) return absl::AlreadyExistsError(Cat(path(), ": there is a key already"));
  const SealKind kind = sources_.Best();
  if (kind == SealKind::kLocalSecret) {
    // A secret that is left over seals nothing: there is no key file.
    std::string secret(32, '\0');
    randombytes_buf(secret.data(), secret.size());
    const absl::Status written = WriteFileAtomically(sources_.local_secret_path, secret, 0600);
    Wipe(secret);
    RETURN_IF_ERROR(written);
  }
  ASSIGN_OR_RETURN(const std::string sealed, SealKey(key, kind, sources_));
  RETURN_IF_ERROR(CreateExclusively(state_dir_, path(), sealed));
  seal_ = kind;
  return absl::OkStatus();
}

absl::Status KeyStore::Destroy() {
  RETURN_IF_ERROR(OverwriteAndRemove(path()));
  RETURN_IF_ERROR(OverwriteAndRemove(sources_.local_secret_path));
  seal_ = sources_.Best();
  return SyncDirectory(state_dir_);
}

}  // namespace auspex::keyd
