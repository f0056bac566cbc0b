// SPDX-License-Identifier: AGPL-3.0-only
// Grants: the owner's one-use permissions for retire, upgrade and unbind (promise P6). Each is for
// one act of one subject: the worker that the key is enrolled as, under that key. In memory only, so
// that a restart closes them all; lifetimes run on a clock that nobody sets. Safe from any thread;
// `clock` outlives the object.
#ifndef AUSPEX_KEYD_GRANTS_H_
#define AUSPEX_KEYD_GRANTS_H_

#include <array>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/journal/intent.h"

namespace auspex::keyd {

class Grants {
 public:
  static constexpr uint32_t kDefaultSeconds = 60;
  static constexpr uint32_t kMaxSeconds = 900;

  // Whom a grant is about.
  struct Subject {
    std::string worker_id;
    std::string public_key_hex;
    friend bool operator==(const Subject&, const Subject&) = default;
  };

  explicit Grants(const Clock& clock) : clock_(clock) {}

  // INVALID_ARGUMENT "lifetime_seconds: ..." above kMaxSeconds.
  static absl::Status CheckLifetime(uint32_t lifetime_seconds);
  // Opens a grant, in place of an open one for the same act, and returns when it ends (Unix
  // seconds, for people). `lifetime_seconds`: 0 means kDefaultSeconds; as CheckLifetime.
  absl::StatusOr<int64_t> Open(OwnerAct act, const Subject& subject, uint32_t lifetime_seconds);
  // Uses the open grant up. PERMISSION_DENIED when there is none, it has ended, or it is about
  // another subject; in each case it is closed afterwards.
  absl::Status Take(OwnerAct act, const Subject& subject);
  // Closes every grant.
  void Clear();

 private:
  struct Grant {
    int64_t end_micros = 0;  // monotonic; 0: not open
    Subject subject;
  };

  const Clock& clock_;
  std::mutex mutex_;
  std::array<Grant, 4> open_;  // by the act's number
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_GRANTS_H_
