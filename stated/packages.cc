// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/packages.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "stated/outbox_rows.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

constexpr std::chrono::milliseconds kLookAgain{250};
constexpr size_t kMaxManifests = 64;

// An invalid descriptor when there is no such file.
UniqueFd OpenIfThere(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

// A disk that fails is no stated that is gone, which is what netd takes UNAVAILABLE for.
absl::Status OfTheDisk(const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::ResourceExhaustedError(status.message());
}

}  // namespace

absl::Status PackageSpool::Clean() {
  RETURN_IF_ERROR(RemoveTree(folder_));
  RETURN_IF_ERROR(MakePrivateDirectory(folder_));
  return context_.db.Write(
      [](Connection& db) { return Statement(db, "DELETE FROM outbox WHERE kind = 4").Run(); });
}

absl::StatusOr<std::unique_ptr<PackageSpool::Incoming>> PackageSpool::Begin(int64_t item) {
  ASSIGN_OR_RETURN(const std::string manifest, outbox_.PackageOf(item));
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (incoming_ >= kMaxIncoming) {
      return absl::ResourceExhaustedError(
          Cat("package ", manifest, ": ", incoming_, " packages are on their way in already"));
    }
    ++incoming_;
    number = ++next_partial_;
  }
  std::string partial = Cat(PathOf(manifest), ".", number, ".partial");
  UniqueFd fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  const int error = errno;
  const bool created = static_cast<bool>(fd);
  // From here on its destructor counts it out.
  std::unique_ptr<Incoming> incoming(
      new Incoming(*this, item, partial, PathOf(manifest), std::move(fd)));
  if (!created) return OfTheDisk(ErrnoStatus(error, "create", partial));
  return incoming;
}

PackageSpool::Incoming::~Incoming() {
  if (!finished_) ::unlink(partial_.c_str());
  const std::lock_guard lock(spool_.mutex_);
  --spool_.incoming_;
}

absl::Status PackageSpool::Incoming::Append(std::string_view octets) {
  octets_ += octets.size();
  if (octets_ > kMaxPackageOctets) {
    return absl::ResourceExhaustedError(Cat("package: larger than ", kMaxPackageOctets, " octets"));
  }
  return OfTheDisk(WriteAll(fd_.get(), octets, partial_));
}

absl::Status PackageSpool::Incoming::Finish() {
  if (::rename(partial_.c_str(), final_.c_str()) != 0)
    return OfTheDisk(ErrnoStatus(errno, "rename", partial_));
  finished_ = true;
  const absl::Status arrived = spool_.outbox_.PackageArrived(item_);
  if (!arrived.ok()) {
    // Nobody would ever take it away.
    ::unlink(final_.c_str());
    return arrived;
  }
  LogInfo("package_spooled", {{"item", item_}, {"octets", octets_}});
  return absl::OkStatus();
}

absl::Status PackageSpool::Ask(const Sha256Hex& manifest) {
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    Statement unit(db, "SELECT 1 FROM units WHERE manifest_sha256 = ? AND state IN (1, 2)",
                   manifest.str());
    ASSIGN_OR_RETURN(const bool in_hand, unit.Step());
    if (!in_hand)
      return absl::NotFoundError(
          Cat("package ", manifest.str(), ": no unit in hand has this manifest"));
    return EnqueuePackage(db, manifest.str(), context_.clock.NowMicros()).status();
  }));
  context_.changes.Notify({Topic::kOutbox, Topic::kDemand});
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> PackageSpool::Get(std::string_view untrusted_manifest,
                                           std::chrono::seconds patience,
                                           const std::function<bool()>& gone) {
  ASSIGN_OR_RETURN(const Sha256Hex manifest, Sha256Hex::Parse(untrusted_manifest));
  if (UniqueFd there = OpenIfThere(PathOf(manifest.str()))) return there;
  uint64_t failures_before = 0;
  {
    const std::lock_guard lock(mutex_);
    if (waits_.size() >= kMaxManifests && !waits_.contains(manifest.str())) {
      return absl::ResourceExhaustedError("too many packages are waited for");
    }
    Wait& wait = waits_[manifest.str()];
    ++wait.waiters;
    failures_before = wait.failures;
  }
  absl::StatusOr<UniqueFd> file = WaitFor(manifest, patience, gone, failures_before);
  Forget(manifest);
  return file;
}

absl::StatusOr<UniqueFd> PackageSpool::WaitFor(const Sha256Hex& manifest,
                                               std::chrono::seconds patience,
                                               const std::function<bool()>& gone,
                                               uint64_t failures_before) {
  RETURN_IF_ERROR(Ask(manifest));
  const int64_t deadline = context_.clock.MonotonicMicros() + patience.count() * 1'000'000;
  while (true) {
    const uint64_t seen = context_.changes.Version(Topic::kPackages);
    if (UniqueFd there = OpenIfThere(PathOf(manifest.str()))) return there;
    {
      const std::lock_guard lock(mutex_);
      const Wait& wait = waits_[manifest.str()];
      if (wait.failures != failures_before) {
        return absl::NotFoundError(Cat("package ", manifest.str(), ": ", wait.why));
      }
    }
    if (context_.changes.stopped()) return absl::UnavailableError("stated is stopping");
    if (gone()) return absl::CancelledError("the caller went away");
    if (context_.clock.MonotonicMicros() >= deadline) {
      return absl::DeadlineExceededError(Cat("package ", manifest.str(), ": not brought in time"));
    }
    context_.changes.Wait(Topic::kPackages, seen, kLookAgain);
  }
}

void PackageSpool::Forget(const Sha256Hex& manifest) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = waits_.find(manifest.str());
    if (found == waits_.end() || --found->second.waiters > 0) return;
    waits_.erase(found);
  }
  // Nobody waits any more: what netd has not begun it need not fetch.
  const absl::Status status = context_.db.Write([&](Connection& db) {
    return Statement(db, "DELETE FROM outbox WHERE kind = 4 AND subject = ?", manifest.str()).Run();
  });
  if (!status.ok()) LogWarning("package_item_left", {{"reason", std::string(status.message())}});
  context_.changes.Notify({Topic::kDemand});
}

absl::Status PackageSpool::Drop(std::string_view untrusted_manifest) {
  ASSIGN_OR_RETURN(const Sha256Hex manifest, Sha256Hex::Parse(untrusted_manifest));
  const std::string path = PathOf(manifest.str());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "unlink", path);
  return absl::OkStatus();
}

void PackageSpool::Fail(const std::string& manifest, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, wait] : waits_) {
      if (!manifest.empty() && name != manifest) continue;
      ++wait.failures;
      wait.why = why;
    }
  }
  LogWarning("package_failed", {{"manifest", manifest}, {"reason", why}});
  context_.changes.Notify({Topic::kPackages});
}

}  // namespace auspex::stated
