// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/capabilities.h"

#include <sys/utsname.h>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"

namespace auspex::stated {
namespace {

JsonLimits ReportLimits() {
  JsonLimits limits;
  limits.max_octets = 64 * 1024;
  limits.max_depth = 8;
  limits.max_values = 8192;
  limits.max_integer_digits = 20;
  limits.allow_non_finite = false;
  limits.allow_duplicate_names = false;
  return limits;
}

}  // namespace

CapabilityReport::CapabilityReport() {
  // Until runnerd has reported.
  utsname system{};
  report_["os"] = "linux";
  report_["arch"] = ::uname(&system) == 0 ? std::string(system.machine) : std::string("unknown");
}

absl::Status CapabilityReport::Set(std::string_view untrusted_canonical_json) {
  const JsonLimits limits = ReportLimits();
  if (absl::Status checked = CheckCanonicalObject(untrusted_canonical_json, limits);
      !checked.ok()) {
    return absl::InvalidArgumentError(Cat("capabilities: ", std::string(checked.message())));
  }
  ASSIGN_OR_RETURN(JsonValue value, ReadJson(untrusted_canonical_json, limits));
  JsonObject* object = value.as_object();
  if (object == nullptr) return absl::InvalidArgumentError("capabilities: not an object");
  object->erase("self_paused");
  const std::lock_guard lock(mutex_);
  report_ = std::move(*object);
  told_ = true;
  return absl::OkStatus();
}

bool CapabilityReport::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

std::string CapabilityReport::ForHeartbeat(bool self_paused) const {
  JsonObject object;
  {
    const std::lock_guard lock(mutex_);
    object = report_;
  }
  if (self_paused) object["self_paused"] = true;
  return WriteCanonical(JsonValue(std::move(object)));
}

CapabilityReport::Thermal CapabilityReport::thermal() const {
  const std::lock_guard lock(mutex_);
  const auto found = report_.find("thermal");
  if (found == report_.end()) return {};
  Thermal thermal;
  if (const JsonValue* temp = found->second.Find("current_temp_c")) {
    thermal.temp_c = temp->AsNumber().value_or(0);
  }
  const std::string* state = found->second.FindString("state");
  if (state != nullptr && (*state == "ok" || *state == "warm" || *state == "critical")) {
    thermal.state = *state;
  }
  return thermal;
}

}  // namespace auspex::stated
