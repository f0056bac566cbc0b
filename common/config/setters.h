// SPDX-License-Identifier: AGPL-3.0-only
// Internal to common/config: what reads one key of a configuration file. A setter checks one TOML
// node and puts it into one member of a Config; its status says why not, without place or key.
// Constant values, any thread.
#ifndef AUSPEX_COMMON_CONFIG_SETTERS_H_
#define AUSPEX_COMMON_CONFIG_SETTERS_H_

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"

namespace auspex::config_internal {

absl::StatusOr<ExecutionPolicy> ParsePolicy(std::string_view word);

using TextCheck = std::function<absl::Status(std::string_view)>;
absl::Status CheckFlavor(std::string_view text);
// Three whole numbers of at most 63, 255 and 255, as ROCm reads HSA_OVERRIDE_GFX_VERSION.
absl::Status CheckGfxVersion(std::string_view text);
absl::Status CheckKeyOrEmpty(std::string_view text);
TextCheck OneOf(std::vector<std::string> words);
// A lower-case word, '-' and '_' included, of at most 64 octets.
bool IsWord(std::string_view text);
bool IsTenant(std::string_view text);

using Setter = std::function<absl::Status(const toml::node&, Config&)>;

template <typename Member>
Setter Text(Member member, TextCheck check = nullptr) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const auto* value = node.as_string();
    if (value == nullptr) return absl::InvalidArgumentError("is not a string");
    if (value->get().size() > 4096) return absl::InvalidArgumentError("is longer than 4096 octets");
    if (check) RETURN_IF_ERROR(check(value->get()));
    config.*member = value->get();
    return absl::OkStatus();
  };
}

template <typename Member>
Setter Switch(Member member) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const auto* value = node.as_boolean();
    if (value == nullptr) return absl::InvalidArgumentError("is not true or false");
    config.*member = value->get();
    return absl::OkStatus();
  };
}

template <typename Member>
Setter Whole(Member member, int64_t least, int64_t most) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const auto* value = node.as_integer();
    if (value == nullptr) return absl::InvalidArgumentError("is not a whole number");
    if (value->get() < least || value->get() > most) {
      return absl::InvalidArgumentError(Cat(value->get(), " is not in ", least, "..", most));
    }
    if constexpr (std::is_same_v<std::decay_t<decltype(config.*member)>, int>) {
      config.*member = static_cast<int>(value->get());
    } else {
      config.*member = value->get();
    }
    return absl::OkStatus();
  };
}

template <typename Member>
Setter Number(Member member, double least, double most) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    double number = 0;
    if (const auto* whole = node.as_integer()) {
      number = static_cast<double>(whole->get());
    } else if (const auto* value = node.as_floating_point()) {
      number = value->get();
    } else {
      return absl::InvalidArgumentError("is not a number");
    }
    if (!std::isfinite(number) || number < least || number > most) {
      return absl::InvalidArgumentError(
          Cat("is not in ", static_cast<int64_t>(least), "..", static_cast<int64_t>(most)));
    }
    config.*member = number;
    return absl::OkStatus();
  };
}

using ItemCheck = bool (*)(std::string_view item);

// A list of texts that `good` takes; `what` names them in errors.
template <typename Member>
Setter List(Member member, size_t most, ItemCheck good, std::string_view what) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const toml::array* list = node.as_array();
    if (list == nullptr) return absl::InvalidArgumentError(Cat("is not a list of ", what));
    if (list->size() > most)
      return absl::InvalidArgumentError(Cat("has more than ", most, " ", what));
    std::vector<std::string> items;
    for (const toml::node& entry : *list) {
      const auto* item = entry.as_string();
      if (item == nullptr || !good(item->get()))
        return absl::InvalidArgumentError(Cat("is not a list of ", what));
      items.push_back(item->get());
    }
    config.*member = std::move(items);
    return absl::OkStatus();
  };
}

template <typename Member>
Setter Words(Member member, size_t most) {
  return List(member, most, IsWord, "lower-case words");
}

template <typename Member>
Setter Tenants(Member member) {
  return List(member, 1024, IsTenant, "tenant ids");
}

Setter Policy();
// acme = "off", one line a tenant.
Setter TenantPolicies();
// acme = "64 hex digits", one line a tenant.
Setter TenantKeys();
// "/dev/nvidia0", "/dev/dri/renderD128"; no other folder, no "..".
Setter DeviceNodes();
// heartbeat = { per_second = 2, burst = 30 }, one line an intent. Which intents there are is keyd's
// to say.
Setter Rates();
// Keys of parts that this release does not have are taken as they are, so that an existing file
// still loads.
Setter Ignored();

}  // namespace auspex::config_internal

#endif  // AUSPEX_COMMON_CONFIG_SETTERS_H_
