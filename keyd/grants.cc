// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/grants.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {

absl::Status Grants::CheckLifetime(uint32_t lifetime_seconds) {
  if (lifetime_seconds <= kMaxSeconds) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Cat("lifetime_seconds: ", lifetime_seconds, " is more than ", kMaxSeconds));
}

absl::StatusOr<int64_t> Grants::Open(OwnerAct act, const Subject& subject,
                                     uint32_t lifetime_seconds) {
  RETURN_IF_ERROR(CheckLifetime(lifetime_seconds));
  const int64_t seconds = lifetime_seconds == 0 ? kDefaultSeconds : lifetime_seconds;
  std::lock_guard lock(mutex_);
  open_[static_cast<size_t>(act)] = {clock_.MonotonicMicros() + seconds * 1'000'000, subject};
  return clock_.NowSeconds() + seconds;
}

absl::Status Grants::Take(OwnerAct act, const Subject& subject) {
  std::lock_guard lock(mutex_);
  const Grant grant = std::exchange(open_[static_cast<size_t>(act)], {});
  const auto denied = [act](std::string_view why) {
    return absl::PermissionDeniedError(Cat(OwnerActWord(act), ": ", why));
  };
  if (grant.end_micros == 0) return denied("the owner has opened no grant for it");
  if (clock_.MonotonicMicros() >= grant.end_micros) return denied("the owner's grant has ended");
  if (!(grant.subject == subject)) {
    return denied(Cat("the owner's grant is about worker ", grant.subject.worker_id,
                      " and the key ", grant.subject.public_key_hex));
  }
  return absl::OkStatus();
}

void Grants::Clear() {
  std::lock_guard lock(mutex_);
  open_.fill({});
}

}  // namespace auspex::keyd
