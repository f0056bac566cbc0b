// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/config.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <type_traits>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/config/parse.h"
#include "common/files/files.h"
#include "common/ids/ids.h"

namespace auspex {
namespace {

absl::Status Bad(std::string_view where, std::string_view key, std::string_view why) {
  return absl::InvalidArgumentError(Cat(where, ": ", key, ": ", why));
}

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

// Sets one member from one TOML node; the status says why not, without place or key.
using Setter = std::function<absl::Status(const toml::node&, Config&)>;

template <typename Member>
Setter Text(Member member, std::function<absl::Status(std::string_view)> check = nullptr) {
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

Setter Policy() {
  return [](const toml::node& node, Config& config) -> absl::Status {
    const auto* value = node.as_string();
    if (value == nullptr) return absl::InvalidArgumentError("is not a string");
    ASSIGN_OR_RETURN(config.execution_policy, ParsePolicy(value->get()));
    return absl::OkStatus();
  };
}

std::function<absl::Status(std::string_view)> OneOf(std::vector<std::string> words) {
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

// A lower-case word, '-' and '_' included, of at most 64 octets.
bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

absl::Status CheckKeyOrEmpty(std::string_view text) {
  return text.empty() ? absl::OkStatus() : PublicKeyHex::Parse(text).status();
}

// A list of lower-case words.
template <typename Member>
Setter Words(Member member, size_t most) {
  return [=](const toml::node& node, Config& config) -> absl::Status {
    const toml::array* list = node.as_array();
    if (list == nullptr) return absl::InvalidArgumentError("is not a list of words");
    if (list->size() > most)
      return absl::InvalidArgumentError(Cat("has more than ", most, " words"));
    std::vector<std::string> words;
    for (const toml::node& item : *list) {
      const auto* word = item.as_string();
      if (word == nullptr || !IsWord(word->get())) {
        return absl::InvalidArgumentError("is not a list of lower-case words");
      }
      words.push_back(word->get());
    }
    config.*member = std::move(words);
    return absl::OkStatus();
  };
}

// heartbeat = { per_second = 2, burst = 30 }, one line an intent. Which intents there are is keyd's
// to say.
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

// Keys of parts that this release does not have are taken as they are, so that an existing file
// still loads.
Setter Ignored() {
  return [](const toml::node&, Config&) { return absl::OkStatus(); };
}

const std::map<std::string, Setter, std::less<>>& Setters() {
  using C = Config;
  static const std::map<std::string, Setter, std::less<>> setters = {
      {"coordinator.url", Text(&C::coordinator_url)},
      {"coordinator.heartbeat_interval_seconds", Number(&C::heartbeat_interval_seconds, 0, 86400)},
      {"coordinator.assignment_poll_interval_seconds",
       Number(&C::assignment_poll_interval_seconds, 0, 86400)},
      {"coordinator.long_poll_seconds", Whole(&C::long_poll_seconds, 0, 300)},
      {"coordinator.ca_file", Text(&C::ca_file)},
      {"coordinator.receipt_signer_pubkey", Text(&C::receipt_signer_pubkey, CheckKeyOrEmpty)},
      {"identity.keystore_backend",
       Text(&C::keystore_backend, OneOf({"", "secret_service", "encrypted_file"}))},
      {"keyd.accept_missing_hardening", Words(&C::accept_missing_hardening, 16)},
      {"keyd.allow_machine_bound_key", Switch(&C::allow_machine_bound_key)},
      {"keyd.journal_segment_mb", Whole(&C::journal_segment_mb, 1, 1024)},
      {"keyd.rates", Rates()},
      {"identity.github_client_id", Text(&C::github_client_id)},
      {"identity.github_base_url", Text(&C::github_base_url)},
      {"resources.max_ram_gb", Number(&C::max_ram_gb, 0, 1e6)},
      {"resources.max_vram_gb", Number(&C::max_vram_gb, 0, 1e6)},
      {"resources.max_cpu_cores", Whole(&C::max_cpu_cores, 1, 4096)},
      {"resources.network_quota_mb_per_hour",
       Whole(&C::network_quota_mb_per_hour, 0, int64_t{1} << 40)},
      {"resources.slots", Whole(&C::slots, 1, 64)},
      {"capabilities.gpus.nvidia", Whole(&C::gpus_nvidia, 0, 64)},
      {"capabilities.gpus.nvidia_model", Text(&C::gpus_nvidia_model)},
      {"capabilities.gpus.amd_model", Text(&C::gpus_amd_model)},
      {"capabilities.gpus.vram_total_gb", Number(&C::gpus_vram_total_gb, 0, 1e6)},
      {"capabilities.gpus.amd", Switch(&C::gpus_amd)},
      {"sandbox.use_bubblewrap", Switch(&C::use_bubblewrap)},
      {"sandbox.runner_timeout_seconds", Number(&C::runner_timeout_seconds, 0.1, 30 * 86400)},
      {"sandbox.policy", Text(&C::sandbox_policy, OneOf({"permissive", "strict"}))},
      {"sandbox.resource_limits", Switch(&C::resource_limits)},
      {"sandbox.memory_max_mb", Whole(&C::memory_max_mb, 16, int64_t{1} << 30)},
      {"sandbox.pids_max", Whole(&C::pids_max, 1, 1 << 22)},
      {"sandbox.cpu_seconds", Whole(&C::cpu_seconds, 1, 365 * 86400)},
      {"sandbox.output_max_kb", Whole(&C::output_max_kb, 1, 1536)},
      {"executor.execute_tenant_code", Policy()},
      {"executor.mode", Policy()},
      {"executor.provisioning_dir", Text(&C::provisioning_dir)},
      {"executor.auto_acquire", Switch(&C::auto_acquire)},
      {"provisioning.auto_fetch", Switch(&C::auto_fetch)},
      {"models.store_dir", Text(&C::models_store_dir)},
      {"health.warn_c", Number(&C::warn_c, -50, 200)},
      {"health.crit_c", Number(&C::crit_c, -50, 200)},
      {"health.resume_c", Number(&C::resume_c, -50, 200)},
      {"worker.flavor", Text(&C::flavor, CheckFlavor)},
      {"inference.backend", Ignored()},
      {"inference.ollama_url", Ignored()},
      {"inference.keep_alive", Ignored()},
      {"inference.ollama_bin", Ignored()},
      {"dashboard.enabled", Ignored()},
      {"dashboard.host", Ignored()},
      {"dashboard.port", Ignored()},
      {"upgrade_prompt.enabled", Ignored()},
      {"upgrade_prompt.threshold", Ignored()},
  };
  return setters;
}

bool IsKnownTable(std::string_view dotted) {
  const std::string prefix = Cat(dotted, ".");
  return std::any_of(Setters().begin(), Setters().end(),
                     [&](const auto& entry) { return entry.first.rfind(prefix, 0) == 0; });
}

absl::Status ApplyTable(const toml::table& table, const std::string& prefix,
                        const std::string& file, Config& config) {
  for (const auto& [name, node] : table) {
    const std::string key =
        prefix.empty() ? std::string(name.str()) : Cat(prefix, ".", std::string(name.str()));
    const std::string where = Cat(file, ":", node.source().begin.line);
    // Reserved by the existing worker, unread there and here.
    if (key == "tenants" || key == "telemetry") continue;
    if (const toml::table* inner = node.as_table();
        inner != nullptr && IsKnownTable(key) && Setters().find(key) == Setters().end()) {
      RETURN_IF_ERROR(ApplyTable(*inner, key, file, config));
      continue;
    }
    const auto setter = Setters().find(key);
    if (setter == Setters().end()) {
      return Bad(where, Printable(key),
                 node.is_table() ? "is not a known table" : "is not a known key");
    }
    if (const absl::Status status = setter->second(node, config); !status.ok()) {
      return Bad(where, key, std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ParseSwitch(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off" || text.empty()) return false;
  return absl::InvalidArgumentError(Cat("'", Printable(text), "' is neither true nor false"));
}

absl::Status ApplyEnvironment(const Environment& env, Config& config) {
  const auto text = [&](std::string_view name, std::string& member) {
    if (auto value = env(name); value && !value->empty()) member = *value;
  };
  const auto toggle = [&](std::string_view name, bool& member) -> absl::Status {
    if (const auto value = env(name)) {
      const absl::StatusOr<bool> parsed = ParseSwitch(*value);
      if (!parsed.ok()) return Bad("environment", name, std::string(parsed.status().message()));
      member = *parsed;
    }
    return absl::OkStatus();
  };
  text("AUSPEXAI_COORDINATOR_URL", config.coordinator_url);
  text("AUSPEXAI_WORKER_PROVISIONING_DIR", config.provisioning_dir);
  RETURN_IF_ERROR(toggle("AUSPEXAI_WORKER_AUTO_ACQUIRE", config.auto_acquire));
  RETURN_IF_ERROR(toggle("AUSPEXAI_WORKER_AUTO_FETCH", config.auto_fetch));
  if (const auto value = env("AUSPEXAI_WORKER_KEYSTORE_BACKEND"); value && !value->empty()) {
    if (*value != "secret_service" && *value != "encrypted_file") {
      return Bad("environment", "AUSPEXAI_WORKER_KEYSTORE_BACKEND",
                 Cat("'", Printable(*value), "' is none of secret_service, encrypted_file"));
    }
    config.keystore_backend = *value;
  }
  if (const auto value = env("AUSPEXAI_WORKER_EXECUTE_TENANT_CODE"); value && !value->empty()) {
    const auto policy = ParsePolicy(*value);
    if (!policy.ok()) {
      return Bad("environment", "AUSPEXAI_WORKER_EXECUTE_TENANT_CODE",
                 std::string(policy.status().message()));
    }
    config.execution_policy = *policy;
  }
  if (const auto value = env("AUSPEXAI_WORKER_FLAVOR"); value && !value->empty()) {
    if (const absl::Status status = CheckFlavor(*value); !status.ok()) {
      return Bad("environment", "AUSPEXAI_WORKER_FLAVOR", std::string(status.message()));
    }
    config.flavor = *value;
  }
  if (const auto value = env("AUSPEX_SLOTS"); value && !value->empty()) {
    int slots = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), slots);
    if (error != std::errc() || end != value->data() + value->size() || slots < 1 || slots > 64) {
      return Bad("environment", "AUSPEX_SLOTS", Cat("'", Printable(*value), "' is not in 1..64"));
    }
    config.slots = slots;
  }
  return absl::OkStatus();
}

std::string ExpandHome(std::string path, const Environment& env) {
  if (path.rfind("~/", 0) == 0) {
    if (const auto home = env("HOME")) return Cat(*home, path.substr(1));
  }
  return path;
}

}  // namespace

std::string_view ExecutionPolicyWord(ExecutionPolicy policy) {
  switch (policy) {
    case ExecutionPolicy::kSynthetic:
      return "synthetic";
    case ExecutionPolicy::kProvisioned:
      return "provisioned";
    case ExecutionPolicy::kOff:
      return "off";
  }
  return "off";
}

namespace config_internal {

absl::Status ApplyToml(std::string_view text, const std::string& file, Config& config) {
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    return absl::InvalidArgumentError(Cat(file, ":", parsed.error().source().begin.line, ": ",
                                          std::string(parsed.error().description())));
  }
  const toml::table& table = parsed.table();
  // In the existing worker the alias silently wins over the key that its own setter writes (W-58).
  if (const toml::table* executor = table["executor"].as_table(); executor != nullptr) {
    const auto a = (*executor)["execute_tenant_code"].value<std::string>();
    const auto b = (*executor)["mode"].value<std::string>();
    if (a && b && *a != *b) {
      return Bad(file, "executor.mode",
                 "contradicts executor.execute_tenant_code; keep one of them");
    }
  }
  RETURN_IF_ERROR(ApplyTable(table, "", file, config));
  if (!(config.resume_c < config.warn_c && config.warn_c <= config.crit_c)) {
    return Bad(file, "health", "resume_c < warn_c <= crit_c must hold");
  }
  return absl::OkStatus();
}

}  // namespace config_internal

absl::StatusOr<Config> LoadConfig(const Layout& layout, const Environment& env) {
  Config config;
  for (const std::string& file : layout.config_files()) {
    // The owner's own file may well be a link into a collection of dotfiles.
    const absl::StatusOr<std::string> text =
        ReadFile(file, config_internal::kMaxConfigOctets, Links::kFollow);
    if (absl::IsNotFound(text.status()) && !layout.config_is_explicit()) continue;
    if (!text.ok()) return text.status();
    RETURN_IF_ERROR(config_internal::ApplyToml(*text, file, config));
  }
  RETURN_IF_ERROR(ApplyEnvironment(env, config));
  while (config.coordinator_url.size() > 1 && config.coordinator_url.back() == '/') {
    config.coordinator_url.pop_back();
  }
  if (config.provisioning_dir.empty()) config.provisioning_dir = layout.data_dir() + "/tenants";
  if (config.models_store_dir.empty()) config.models_store_dir = layout.data_dir() + "/models";
  config.provisioning_dir = ExpandHome(config.provisioning_dir, env);
  config.models_store_dir = ExpandHome(config.models_store_dir, env);
  return config;
}

}  // namespace auspex
