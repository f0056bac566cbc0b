// SPDX-License-Identifier: AGPL-3.0-only
// What more than one service translates. Pure functions.
#ifndef AUSPEX_STATED_SERVICE_CONVERT_H_
#define AUSPEX_STATED_SERVICE_CONVERT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "auspex/stated/v1/stated.pb.h"
#include "common/base/clock.h"
#include "stated/identity.h"

namespace auspex::stated {

// A stream looks this often whether its caller is still there; everything else wakes it at once.
inline constexpr std::chrono::milliseconds kStreamBeat{250};

inline std::string TimeText(const std::optional<int64_t>& micros) {
  return micros.has_value() ? FormatWireTime(*micros) : std::string();
}

inline void ToProto(const std::optional<Identity>& identity, v1::Identity& out) {
  if (!identity.has_value()) return;
  out.set_enrolled(true);
  out.set_worker_id(identity->worker_id);
  out.set_public_key_hex(identity->public_key_hex);
  out.set_trust_tier(static_cast<uint32_t>(identity->trust_tier));
  out.set_enrolled_at(FormatWireTime(identity->enrolled_at));
  out.set_base_url(identity->base_url);
  out.set_account_id(identity->account_id);
}

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SERVICE_CONVERT_H_
