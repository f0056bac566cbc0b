// SPDX-License-Identifier: AGPL-3.0-only
// Contact: what heartbeats and polls brought from the coordinator: tier, holds, errors, release
// news. Safe from any thread; methods block on the database.
#ifndef AUSPEX_STATED_CONTACT_H_
#define AUSPEX_STATED_CONTACT_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/context.h"

namespace auspex::stated {

// The one row of contact.
struct ContactRow {
  bool self_paused = false;
  std::optional<int64_t> last_heartbeat_at;
  std::string last_heartbeat_error, last_poll_error, idle_code;
  std::string hold_kind, hold_reason;  // kind: "", "pause", "quarantine"
  std::optional<int64_t> hold_at;
  std::string release_version, release_headline, release_url;
};
absl::StatusOr<ContactRow> ReadContact(Connection& db);
// Clears a cached hold and what the last poll left, as a 200 of 5.3 does (inside a transaction).
absl::Status ClearPollState(Connection& db);

struct UntrustedRelease {
  std::string_view version, headline, release_url;
};

class Contact {
 public:
  explicit Contact(Context& context);

  // A heartbeat that was answered: its time, the tier, and news of a release if there were any.
  // INVALID_ARGUMENT for a tier above 3; malformed news are left out (wire protocol 5.2).
  absl::Status HeartbeatOk(uint32_t trust_tier,
                           const std::optional<UntrustedRelease>& untrusted_release);
  absl::Status HeartbeatFailed(std::string_view untrusted_error);
  absl::Status PollWithoutWork(std::string_view untrusted_idle_code);
  // INVALID_ARGUMENT for a kind other than "pause" and "quarantine".
  absl::Status PollHeld(std::string_view kind, std::string_view untrusted_reason,
                        std::string_view untrusted_at);
  absl::Status PollFailed(std::string_view untrusted_error);

  // True when no heartbeat has been answered for 3 minutes (of a clock that never jumps).
  bool Offline() const;
  // Takes over what an earlier process stored; also after a Forget.
  void Load();

 private:
  Context& context_;
  // Monotonic microseconds of the last answered heartbeat; INT64_MIN: none.
  std::atomic<int64_t> last_ok_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CONTACT_H_
