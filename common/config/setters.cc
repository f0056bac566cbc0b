// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/setters.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "common/ids/ids.h"

namespace auspex::config_internal {
namespace {

constexpr size_t kMaxTenants = 1024;
constexpr size_t kMaxDevices = 64;

// A table with one line a tenant; `read` takes the value.
template <typename Value, typename Member, typename Read>
Setter PerTenant(Member member, Read read) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const toml::table* table = node.as_table();
    if (table == nullptr) return absl::InvalidArgumentError("is not a table");
    if (table->size() > kMaxTenants)
      return absl::InvalidArgumentError(Cat("has more than ", kMaxTenants, " tenants"));
    std::map<std::string, Value, std::less<>> values;
    for (const auto& [key, entry] : *table) {
      const std::string tenant(key.str());
      if (!IsTenant(tenant))
        return absl::InvalidArgumentError(Cat("'", Printable(tenant), "' is no tenant id"));
      const auto* text = entry.as_string();
      if (text == nullptr)
        return absl::InvalidArgumentError(Cat(Printable(tenant), ": is not a string"));
      absl::StatusOr<Value> value = read(text->get());
      if (!value.ok()) {
        return absl::InvalidArgumentError(
            Cat(Printable(tenant), ": ", std::string(value.status().message())));
      }
      values.insert_or_assign(tenant, *std::move(value));
    }
    config.*member = std::move(values);
    return absl::OkStatus();
  };
}

// Below /dev, by a plain path.
bool IsDeviceNode(std::string_view path) {
  constexpr std::string_view kDev = "/dev/";
  if (!path.starts_with(kDev) || path.size() == kDev.size() || path.size() > 128) return false;
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '-' || c == '_';
  });
  return plain && path.find("//") == std::string_view::npos && path.back() != '/';
}

}  // namespace

absl::StatusOr<ExecutionPolicy> ParsePolicy(std::string_view word) {
  if (word == "synthetic") return ExecutionPolicy::kSynthetic;
  if (word == "provisioned") return ExecutionPolicy::kProvisioned;
  if (word == "off") return ExecutionPolicy::kOff;
  return absl::InvalidArgumentError(
      Cat("'", Printable(word), "' is none of synthetic, provisioned, off"));
}

absl::Status CheckFlavor(std::string_view text) {
  const bool good =
      !text.empty() && text.size() <= 32 && text[0] >= 'a' && text[0] <= 'z' &&
      std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Cat("'", Printable(text), "' is not a lower-case word of at most 32 characters"));
}

absl::Status CheckGfxVersion(std::string_view text) {
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&](unsigned most) {
    unsigned value = 0;
    const auto [after, error] = std::from_chars(at, end, value);
    at = after;
    return error == std::errc() && value <= most;
  };
  const auto dot = [&] { return at != end && *at++ == '.'; };
  if (number(63) && dot() && number(255) && dot() && number(255) && at == end)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      Cat("'", Printable(text), "' is no version of an accelerator, such as 10.3.0"));
}

bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool IsTenant(std::string_view text) {
  const absl::StatusOr<TenantId> tenant = TenantId::Parse(text);
  return tenant.ok() && tenant->str() == text;
}

absl::Status CheckKeyOrEmpty(std::string_view text) {
  return text.empty() ? absl::OkStatus() : PublicKeyHex::Parse(text).status();
}

TextCheck OneOf(std::vector<std::string> words) {
  return [words = std::move(words)](std::string_view text) -> absl::Status {
    std::string all;
    for (const std::string& word : words) {
      if (word == text) return absl::OkStatus();
      all += all.empty() ? "" : ", ";
      all += word.empty() ? "(empty)" : word;
    }
    return absl::InvalidArgumentError(Cat("'", Printable(text), "' is none of ", all));
  };
}

Setter Policy() {
  return [](const toml::node& node, Config& config) -> absl::Status {
    const auto* value = node.as_string();
    if (value == nullptr) return absl::InvalidArgumentError("is not a string");
    ASSIGN_OR_RETURN(config.execution_policy, ParsePolicy(value->get()));
    return absl::OkStatus();
  };
}

Setter TenantPolicies() {
  return PerTenant<ExecutionPolicy>(&Config::tenant_policies, ParsePolicy);
}

Setter TenantKeys() {
  return PerTenant<std::string>(
      &Config::tenant_keys, [](std::string_view text) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(text));
        return key.str();
      });
}

Setter DeviceNodes() {
  return List(&Config::gpu_devices, kMaxDevices, IsDeviceNode, "nodes below /dev");
}

Setter Rates() {
  return [](const toml::node& node, Config& config) -> absl::Status {
    const toml::table* table = node.as_table();
    if (table == nullptr) return absl::InvalidArgumentError("is not a table");
    std::map<std::string, SigningRate, std::less<>> rates;
    for (const auto& [intent, value] : *table) {
      const std::string name(intent.str());
      const toml::table* pair = value.as_table();
      const auto bad = [&](std::string_view why) {
        return absl::InvalidArgumentError(Cat(Printable(name), ": ", why));
      };
      if (!IsWord(name)) return bad("is not an intent");
      if (pair == nullptr || pair->size() != 2)
        return bad("is not { per_second = .., burst = .. }");
      const auto per_second = (*pair)["per_second"].value<double>();
      const auto burst = (*pair)["burst"].value_exact<int64_t>();
      if (!per_second || !(*per_second >= 0.001 && *per_second <= 1e6)) {
        return bad("per_second is not a number in 0.001..1000000");
      }
      if (!burst || *burst < 1 || *burst > 1'000'000) {
        return bad("burst is not a whole number in 1..1000000");
      }
      rates[name] = {*per_second, *burst};
    }
    config.signing_rates = std::move(rates);
    return absl::OkStatus();
  };
}

Setter Ignored() {
  return [](const toml::node&, Config&) { return absl::OkStatus(); };
}

}  // namespace auspex::config_internal
