// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/refusal.h"

#include <array>
#include <cstdint>
#include <utility>

#include "common/json/utf8.h"

namespace auspex {
namespace {

constexpr std::array<std::pair<RefusalKind, std::string_view>, 8> kWords{{
    {RefusalKind::kManifestSwap, "refused_manifest_swap"},
    {RefusalKind::kTenantDeny, "refused_tenant_deny"},
    {RefusalKind::kTenantAllowMiss, "refused_tenant_allow_list_miss"},
    {RefusalKind::kSensitive, "refused_sensitive"},
    {RefusalKind::kRunnerFailed, "runner_failed"},
    {RefusalKind::kSandboxUnavailable, "sandbox_unavailable"},
    {RefusalKind::kThermalCritical, "thermal_critical"},
    {RefusalKind::kExecutorRefused, "executor_refused"},
}};

// Controls, and the invisible marks that make a terminal show a line in another order than it was
// written, or end it.
bool IsControl(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || (c >= 0x200e && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::string_view RefusalWord(RefusalKind kind) {
  for (const auto& [known, word] : kWords) {
    if (known == kind) return word;
  }
  // A value outside the enum cannot come from ParseRefusalKind; the mildest word is the safe one.
  return "runner_failed";
}

std::optional<RefusalKind> ParseRefusalKind(std::string_view untrusted_text) {
  for (const auto& [kind, word] : kWords) {
    if (word == untrusted_text) return kind;
  }
  return std::nullopt;
}

std::string CleanReason(std::string_view untrusted_reason) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
  std::string out;
  while (!untrusted_reason.empty()) {
    const Utf8Character next = DecodeUtf8(untrusted_reason);
    std::string_view piece = untrusted_reason.substr(0, next.length);
    if (next.length == 0) {
      piece = kReplacement;
    } else if (IsControl(next.code_point)) {
      piece = " ";
    }
    if (out.size() + piece.size() > kMaxReasonOctets) break;
    out.append(piece);
    untrusted_reason.remove_prefix(next.length == 0 ? 1 : next.length);
  }
  return out;
}

}  // namespace auspex
