// SPDX-License-Identifier: AGPL-3.0-only
// RefusalKind: the complete list of wire protocol 6.3, as a type. Pure functions, any thread.
#ifndef AUSPEX_COMMON_WIRE_REFUSAL_H_
#define AUSPEX_COMMON_WIRE_REFUSAL_H_

#include <optional>
#include <string>
#include <string_view>

namespace auspex {

enum class RefusalKind {
  kManifestSwap,        // refused_manifest_swap
  kTenantDeny,          // refused_tenant_deny
  kTenantAllowMiss,     // refused_tenant_allow_list_miss
  kSensitive,           // refused_sensitive
  kRunnerFailed,        // runner_failed
  kSandboxUnavailable,  // sandbox_unavailable
  kThermalCritical,     // thermal_critical
  kExecutorRefused,     // executor_refused; also what the wire says when the owner refused by hand
};

// The word on the wire; static storage.
std::string_view RefusalWord(RefusalKind kind);
std::optional<RefusalKind> ParseRefusalKind(std::string_view untrusted_text);

// A reason is at most this many octets of UTF-8 on the wire (5.4); above it 422.
inline constexpr size_t kMaxReasonOctets = 2048;
// `untrusted_reason` made valid UTF-8 without control characters and cut to kMaxReasonOctets at a
// character border.
std::string CleanReason(std::string_view untrusted_reason);

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_REFUSAL_H_
