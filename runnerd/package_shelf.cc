// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_shelf.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "runnerd/package_tree.h"

namespace auspex::runnerd {
namespace {

constexpr std::string_view kScratchPrefix = ".scratch-";
constexpr uint64_t kMaxSignature = 64 * 1024;

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  if (list == nullptr) return ErrnoStatus(errno, "list", folder);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

absl::Status SetTime(const std::string& path, int64_t micros) {
  const timespec time{micros / 1'000'000, micros % 1'000'000 * 1000};
  const timespec times[2] = {time, time};
  if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return ErrnoStatus(errno, "set the time of", path);
  return absl::OkStatus();
}

int64_t ChangedAt(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackageShelf>> PackageShelf::Open(const std::string& state_dir) {
  std::unique_ptr<PackageShelf> shelf(
      new PackageShelf(Cat(state_dir, "/packages"), Cat(state_dir, "/package-marks")));
  RETURN_IF_ERROR(MakePrivateDirectory(shelf->folder_));
  RETURN_IF_ERROR(MakePrivateDirectory(shelf->marks_));
  RETURN_IF_ERROR(shelf->Load());
  return shelf;
}

absl::Status PackageShelf::Load() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder_));
  for (const std::string& name : names) {
    const std::string path = Cat(folder_, "/", name);
    if (name.starts_with(kScratchPrefix)) {
      RETURN_IF_ERROR(RemoveTree(path));
      continue;
    }
    const absl::StatusOr<Sha256Hex> sha = Sha256Hex::Parse(name);
    if (!sha.ok() || sha->str() != name) continue;  // not of our making: let it lie
    struct stat info;
    const absl::StatusOr<UniqueFd> folder = OpenPackage(path);
    const absl::StatusOr<PackageTree> tree =
        folder.ok() ? ListPackage(folder->get()) : folder.status();
    if (!tree.ok()) {
      // It would be fetched anew before its next use; until then nobody could say what it takes.
      LogWarning("package_damaged",
                 {{"manifest", name}, {"why", std::string(tree.status().message())}});
      RETURN_IF_ERROR(RemoveTree(path));
      continue;
    }
    Entry entry{name, tree->disk_octets, 0, false};
    if (stat(MarkOf(name).c_str(), &info) == 0 || stat(path.c_str(), &info) == 0)
      entry.used_at_micros = ChangedAt(info);
    total_ += entry.octets;
    entries_.emplace(name, std::move(entry));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> marks, NamesIn(marks_));
  for (const std::string& mark : marks) {
    if (!entries_.contains(mark)) RETURN_IF_ERROR(RemoveTree(MarkOf(mark)));
  }
  return absl::OkStatus();
}

std::string PackageShelf::PathOf(const Sha256Hex& sha) const {
  return Cat(folder_, "/", sha.str());
}

std::string PackageShelf::MarkOf(const std::string& sha) const { return Cat(marks_, "/", sha); }

std::string PackageShelf::NewScratch() {
  std::lock_guard lock(mutex_);
  return NewScratchLocked();
}

std::string PackageShelf::NewScratchLocked() {
  return Cat(folder_, "/", kScratchPrefix, next_scratch_++);
}

absl::StatusOr<UniqueFd> PackageShelf::Take(const Sha256Hex& sha) {
  std::lock_guard lock(mutex_);
  const auto entry = entries_.find(sha.str());
  if (entry == entries_.end()) return absl::NotFoundError(Cat("no package ", sha.str()));
  ASSIGN_OR_RETURN(UniqueFd folder, OpenPackage(PathOf(sha)));
  // Nobody but us takes the other kind of lock, and only under mutex_.
  if (flock(folder.get(), LOCK_SH | LOCK_NB) != 0) return ErrnoStatus(errno, "lock", PathOf(sha));
  entry->second.used_at_micros = Clock::System().NowMicros();
  if (absl::Status noted = SetTime(MarkOf(sha.str()), entry->second.used_at_micros);
      absl::IsNotFound(noted)) {
    (void)WriteFileAtomically(MarkOf(sha.str()), "", 0600);
  }
  return folder;
}

absl::StatusOr<std::string> PackageShelf::Signature(const Sha256Hex& sha) const {
  absl::StatusOr<std::string> text = ReadFile(MarkOf(sha.str()), kMaxSignature);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

absl::StatusOr<UniqueFd> PackageShelf::Put(const Sha256Hex& sha, const std::string& scratch,
                                           uint64_t octets, uint64_t cap_octets,
                                           std::string_view signature) {
  constexpr uint64_t kMiB = 1 << 20;
  if (octets > cap_octets) {
    return absl::InvalidArgumentError(Cat("the package takes ", (octets + kMiB - 1) / kMiB,
                                          " MiB, more than provisioning.packages_max_mb=",
                                          cap_octets / kMiB, " allows for all together"));
  }
  ASSIGN_OR_RETURN(UniqueFd folder, OpenPackage(scratch));
  if (flock(folder.get(), LOCK_SH | LOCK_NB) != 0) return ErrnoStatus(errno, "lock", scratch);
  std::lock_guard lock(mutex_);
  CollectLocked(cap_octets - octets);
  if (total_ + octets > cap_octets) {
    return absl::ResourceExhaustedError(
        Cat("packages in use leave no room for it under provisioning.packages_max_mb=",
            cap_octets / kMiB));
  }
  // First the mark: a mark without a package is cleared away, a package without one is unsigned.
  RETURN_IF_ERROR(WriteFileAtomically(MarkOf(sha.str()), signature, 0600));
  const std::string path = PathOf(sha);
  if (entries_.contains(sha.str())) {
    RETURN_IF_ERROR(RemoveLocked(sha.str(), "replaced"));  // a hand took it away while we ran
    RETURN_IF_ERROR(WriteFileAtomically(MarkOf(sha.str()), signature, 0600));
  }
  if (rename(scratch.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "install", path);
  RETURN_IF_ERROR(SyncDirectory(folder_));
  entries_.insert_or_assign(sha.str(),
                            Entry{sha.str(), octets, Clock::System().NowMicros(), false});
  total_ += octets;
  return folder;
}

std::vector<PackageShelf::Entry> PackageShelf::Collect(uint64_t cap_octets) {
  std::lock_guard lock(mutex_);
  return CollectLocked(cap_octets);
}

std::vector<PackageShelf::Entry> PackageShelf::CollectLocked(uint64_t cap_octets) {
  std::vector<Entry> gone;
  if (total_ <= cap_octets) return gone;
  for (Entry& entry : OldestFirstLocked()) {
    if (total_ <= cap_octets) break;
    if (InUseLocked(entry.manifest_sha256)) continue;
    if (absl::Status removed = RemoveLocked(entry.manifest_sha256, "cap"); removed.ok()) {
      gone.push_back(std::move(entry));
    } else {
      LogWarning("package_not_removed",
                 {{"manifest", entry.manifest_sha256}, {"why", std::string(removed.message())}});
    }
  }
  return gone;
}

absl::StatusOr<PackageShelf::Entry> PackageShelf::Remove(const Sha256Hex& sha,
                                                         std::string_view why) {
  std::lock_guard lock(mutex_);
  const auto entry = entries_.find(sha.str());
  if (entry == entries_.end())
    return absl::NotFoundError(Cat("no package ", sha.str(), " is installed"));
  if (InUseLocked(sha.str()))
    return absl::FailedPreconditionError(Cat("package ", sha.str(), " is in use by a unit"));
  Entry gone = entry->second;
  RETURN_IF_ERROR(RemoveLocked(sha.str(), why));
  return gone;
}

std::vector<PackageShelf::Entry> PackageShelf::List() const {
  std::lock_guard lock(mutex_);
  std::vector<Entry> entries = OldestFirstLocked();
  for (Entry& entry : entries) entry.in_use = InUseLocked(entry.manifest_sha256);
  return entries;
}

std::vector<PackageShelf::Entry> PackageShelf::OldestFirstLocked() const {
  std::vector<Entry> entries;
  for (const auto& [sha, entry] : entries_) entries.push_back(entry);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.used_at_micros < b.used_at_micros;
  });
  return entries;
}

bool PackageShelf::InUseLocked(const std::string& sha) const {
  const absl::StatusOr<UniqueFd> folder = OpenPackage(Cat(folder_, "/", sha));
  return folder.ok() && flock(folder->get(), LOCK_EX | LOCK_NB) != 0;
}

absl::Status PackageShelf::RemoveLocked(const std::string& sha, std::string_view why) {
  const std::string path = Cat(folder_, "/", sha), scratch = NewScratchLocked();
  if (rename(path.c_str(), scratch.c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, "remove", path);
  const auto entry = entries_.find(sha);
  LogInfo("package_removed",
          {{"manifest", sha},
           {"octets", entry->second.octets},
           {"why", why},
           {"unused_seconds",
            (Clock::System().NowMicros() - entry->second.used_at_micros) / 1'000'000}});
  total_ -= entry->second.octets;
  entries_.erase(entry);
  (void)unlink(MarkOf(sha).c_str());
  return RemoveTree(scratch);
}

}  // namespace auspex::runnerd
