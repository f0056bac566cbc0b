// SPDX-License-Identifier: AGPL-3.0-only
// Grants: the owner's one-use permissions for retire, upgrade and unbind (promise P6). In memory
// only, so that a restart closes them all; lifetimes run on a clock that nobody sets. Safe from any
// thread; `clock` outlives the object.
#ifndef AUSPEX_KEYD_GRANTS_H_
#define AUSPEX_KEYD_GRANTS_H_

#include <array>
#include <cstdint>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/journal/intent.h"

namespace auspex::keyd {

class Grants {
 public:
  static constexpr uint32_t kDefaultSeconds = 60;
  static constexpr uint32_t kMaxSeconds = 900;

  explicit Grants(const Clock& clock) : clock_(clock) {}

  // Opens a grant, in place of an open one for the same act, and returns when it ends (Unix
  // seconds, for people). `lifetime_seconds`: 0 means kDefaultSeconds; INVALID_ARGUMENT above
  // kMaxSeconds.
  absl::StatusOr<int64_t> Open(OwnerAct act, uint32_t lifetime_seconds);
  // Uses the open grant up. PERMISSION_DENIED when there is none, or it has ended.
  absl::Status Take(OwnerAct act);
  // Closes every grant.
  void Clear();

 private:
  const Clock& clock_;
  std::mutex mutex_;
  // Monotonic end of the grant of each act; 0: not open.
  std::array<int64_t, 4> ends_micros_{};
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_GRANTS_H_
