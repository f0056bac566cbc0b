// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/condition.h"

#include <array>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/wire/refusal.h"

namespace auspex::stated {
namespace {

constexpr std::array<std::string_view, 5> kStrains{"", "hot", "load", "memory", "disk"};
constexpr size_t kMaxDevices = 64, kMaxTenants = 1024, kMaxPath = 255;

}  // namespace

absl::Status CheckDevices(const std::vector<std::string>& untrusted) {
  if (untrusted.size() > kMaxDevices)
    return absl::InvalidArgumentError(Cat("devices: more than ", kMaxDevices));
  for (const std::string& path : untrusted) {
    const bool plain = path.size() <= kMaxPath && path.starts_with("/dev/") && path.size() > 5 &&
                       path.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                           "/._:-") == std::string::npos &&
                       Cat(path, "/").find("/../") == std::string::npos;
    if (!plain)
      return absl::InvalidArgumentError(Cat("devices: '", Printable(path), "' is no node of /dev"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ConditionReport::Set(const UntrustedCondition& untrusted) {
  Condition condition;
  bool known = false;
  for (const std::string_view word : kStrains) {
    if (word != untrusted.strain) continue;
    condition.strain = word;
    known = true;
  }
  if (!known) {
    return absl::InvalidArgumentError(
        Cat("strain: '", Printable(untrusted.strain), "' is none of hot, load, memory, disk"));
  }
  RETURN_IF_ERROR(CheckDevices(untrusted.gpu_devices));
  if (untrusted.gpu_tenants.size() > kMaxTenants)
    return absl::InvalidArgumentError(Cat("gpu_tenants: more than ", kMaxTenants));
  for (const std::string& tenant : untrusted.gpu_tenants)
    RETURN_IF_ERROR(TenantId::Parse(tenant).status());
  condition.reason = CleanReason(untrusted.reason);
  condition.frozen = untrusted.frozen;
  condition.gpu_devices = untrusted.gpu_devices;
  condition.gpu_tenants = untrusted.gpu_tenants;
  const std::lock_guard lock(mutex_);
  const bool changed = condition != condition_;
  condition_ = std::move(condition);
  return changed;
}

Condition ConditionReport::Get() const {
  const std::lock_guard lock(mutex_);
  return condition_;
}

}  // namespace auspex::stated
