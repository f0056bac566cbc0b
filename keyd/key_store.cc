// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/key_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium/randombytes.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "keyd/secret_file.h"

namespace auspex::keyd {
namespace {

constexpr uint64_t kMaxFileOctets = 4096;

// A whole new file at `path`, durable but for its name.
absl::Status WriteNew(const std::string& path, std::string_view content) {
  RETURN_IF_ERROR(OverwriteAndRemove(path));
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return ErrnoStatus(errno, "create", path);
  RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "fsync", path);
  return absl::OkStatus();
}

// Files in `folder` whose names begin so: what an interrupted write may have left.
std::vector<std::string> LeftBeside(const std::string& folder,
                                    std::initializer_list<std::string_view> beginnings) {
  std::vector<std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  while (dir != nullptr) {
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name(entry->d_name);
    const auto begins = [&name](std::string_view b) { return name.starts_with(b); };
    if (std::any_of(beginnings.begin(), beginnings.end(), begins)) {
      found.push_back(Cat(folder, "/", name));
    }
  }
  return found;
}

}  // namespace

KeyStore::KeyStore(std::string state_dir, SealSources sources, BeforeStep before_step)
    : state_dir_(std::move(state_dir)),
      sources_(std::move(sources)),
      before_step_(std::move(before_step)),
      seal_(sources_.Best()) {}

absl::Status KeyStore::Step(std::string_view step) const {
  return before_step_ ? before_step_(step) : absl::OkStatus();
}

bool KeyStore::exists() const { return SomethingAt(path()); }

std::optional<std::string> KeyStore::PublicKeyAtRest() const {
  const absl::StatusOr<std::string> sealed = ReadFile(path(), kMaxFileOctets);
  if (!sealed.ok()) return std::nullopt;
  const absl::StatusOr<std::string> key = PublicKeyIn(*sealed);
  if (!key.ok()) return std::nullopt;
  return HexEncode(*key);
}

absl::StatusOr<std::optional<SecretKey>> KeyStore::Load() {
  if (!exists()) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string sealed, ReadFile(path(), kMaxFileOctets));
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

absl::Status KeyStore::CheckAllowed(SealKind seal) const {
  if (seal == SealKind::kMachine && !sources_.allow_machine) {
    return absl::FailedPreconditionError(
        "seal: a machine-bound key is sealed with the machine's id, which is no secret: it stops a "
        "copy of the file from working elsewhere and nobody on this machine. If that is wanted, "
        "set "
        "keyd.allow_machine_bound_key = true");
  }
  return absl::OkStatus();
}

absl::Status KeyStore::WriteBeside(const SecretKey& key, SealKind seal, bool keep_local_secret) {
  RETURN_IF_ERROR(CheckAllowed(seal));
  if (seal == SealKind::kLocalSecret && !keep_local_secret) {
    // A secret that is left over seals nothing: no key file is under it.
    RETURN_IF_ERROR(Step("write seal.key"));
    std::string secret(32, '\0');
    randombytes_buf(secret.data(), secret.size());
    const absl::Status written = WriteFileAtomically(sources_.local_secret_path, secret, 0600);
    Wipe(secret);
    RETURN_IF_ERROR(written);
  }
  ASSIGN_OR_RETURN(const std::string sealed, SealKey(key, seal, sources_, sources_.cost));
  RETURN_IF_ERROR(Step("write the new file"));
  RETURN_IF_ERROR(WriteNew(beside(), sealed));
  RETURN_IF_ERROR(Step("read it back"));
  ASSIGN_OR_RETURN(const std::string at_rest, ReadFile(beside(), kMaxFileOctets));
  ASSIGN_OR_RETURN(const SecretKey opened, UnsealKey(at_rest, sources_));
  if (opened.public_key() != key.public_key()) {
    return absl::DataLossError(Cat(beside(), ": what was read back is another key"));
  }
  return absl::OkStatus();
}

absl::Status KeyStore::Save(const SecretKey& key, std::optional<SealKind> seal) {
  if (exists()) return absl::AlreadyExistsError(Cat(path(), ": there is a key already"));
  const SealKind kind = seal.value_or(sources_.Best());
  RETURN_IF_ERROR(WriteBeside(key, kind, false));
  RETURN_IF_ERROR(Step("name the new file"));
  if (::renameat2(AT_FDCWD, beside().c_str(), AT_FDCWD, path().c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return absl::AlreadyExistsError(Cat(path(), ": there is a key already"));
    return ErrnoStatus(errno, "rename to", path());
  }
  seal_ = kind;
  return SyncDirectory(state_dir_);
}

absl::Status KeyStore::Reseal(const SecretKey& key, std::optional<SealKind> seal) {
  ASSIGN_OR_RETURN(const std::string before, ReadFile(path(), kMaxFileOctets));
  ASSIGN_OR_RETURN(const SealKind was, SealKindOf(before));
  ASSIGN_OR_RETURN(const std::string public_key, PublicKeyIn(before));
  if (public_key != key.public_key()) {
    return absl::AlreadyExistsError(Cat(path(), ": holds another key"));
  }
  const SealKind kind = seal.value_or(sources_.Best());
  RETURN_IF_ERROR(WriteBeside(key, kind, was == SealKind::kLocalSecret));
  const UniqueFd old(::open(path().c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!old) return ErrnoStatus(errno, "open", path());
  RETURN_IF_ERROR(Step("replace the old file"));
  if (::rename(beside().c_str(), path().c_str()) != 0) {
    return ErrnoStatus(errno, "rename to", path());
  }
  seal_ = kind;
  RETURN_IF_ERROR(SyncDirectory(state_dir_));
  RETURN_IF_ERROR(Step("wipe the old file"));
  RETURN_IF_ERROR(Overwrite(old.get(), path()));
  if (was == SealKind::kLocalSecret && kind != SealKind::kLocalSecret) {
    RETURN_IF_ERROR(Step("wipe seal.key"));
    RETURN_IF_ERROR(OverwriteAndRemove(sources_.local_secret_path));
  }
  return SyncDirectory(state_dir_);
}

absl::StatusOr<std::vector<std::string>> KeyStore::Destroy() {
  std::vector<std::string> paths = LeftBeside(state_dir_, {"key.sealed.", "seal.key."});
  paths.insert(paths.begin(), {path(), sources_.local_secret_path});
  std::vector<std::string> removed;
  absl::Status first;
  for (const std::string& file : paths) {
    if (!SomethingAt(file)) continue;
    const absl::Status status = OverwriteAndRemove(file);
    if (status.ok()) removed.push_back(file);
    // The rest is removed all the same.
    if (!status.ok() && first.ok()) first = status;
  }
  RETURN_IF_ERROR(SyncDirectory(state_dir_));
  RETURN_IF_ERROR(first);
  seal_ = sources_.Best();
  return removed;
}

}  // namespace auspex::keyd
