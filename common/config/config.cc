// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/config.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/config/parse.h"
#include "common/config/setters.h"
#include "common/files/files.h"
#include "common/ids/ids.h"

namespace auspex {
namespace {

using namespace config_internal;  // NOLINT(google-build-using-namespace): the setters

absl::Status Bad(std::string_view where, std::string_view key, std::string_view why) {
  return absl::InvalidArgumentError(Cat(where, ": ", key, ": ", why));
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
      {"resources.cpu_weight", Whole(&C::cpu_weight, 1, 10000)},
      {"resources.io_weight", Whole(&C::io_weight, 1, 10000)},
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
      {"sandbox.cpu_cores", Number(&C::cpu_cores, 0.01, 4096)},
      {"sandbox.swap_max_mb", Whole(&C::swap_max_mb, 0, int64_t{1} << 30)},
      {"sandbox.scratch_mb", Whole(&C::scratch_mb, 1, 1 << 20)},
      {"sandbox.scratch_files", Whole(&C::scratch_files, 16, 1 << 22)},
      {"sandbox.output_max_kb", Whole(&C::output_max_kb, 1, 1536)},
      {"sandbox.require_cgroup", Switch(&C::require_cgroup)},
      {"executor.execute_tenant_code", Policy()},
      {"executor.mode", Policy()},
      {"executor.tenants", TenantPolicies()},
      {"executor.provisioning_dir", Text(&C::provisioning_dir)},
      {"executor.auto_acquire", Switch(&C::auto_acquire)},
      {"provisioning.auto_fetch", Switch(&C::auto_fetch)},
      {"provisioning.packages_max_mb", Whole(&C::packages_max_mb, 1, int64_t{1} << 30)},
      {"provisioning.tenant_keys", TenantKeys()},
      {"models.store_dir", Text(&C::models_store_dir)},
      {"health.warn_c", Number(&C::warn_c, -50, 200)},
      {"health.crit_c", Number(&C::crit_c, -50, 200)},
      {"health.resume_c", Number(&C::resume_c, -50, 200)},
      {"governor.max_load", Number(&C::max_load, 0.1, 10000)},
      {"governor.max_memory_pressure", Number(&C::max_memory_pressure, 0.1, 100)},
      {"governor.min_free_disk_mb", Whole(&C::min_free_disk_mb, 0, int64_t{1} << 30)},
      {"governor.freeze", Switch(&C::freeze)},
      {"governor.max_frozen_seconds", Number(&C::max_frozen_seconds, 1, 86400)},
      {"gpu.devices", DeviceNodes()},
      {"gpu.tenants", Tenants(&C::gpu_tenants)},
      {"gpu.hsa_override_gfx_version", Text(&C::gpu_hsa_override, CheckGfxVersion)},
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

std::vector<absl::StatusOr<std::string>> ReadTexts(const Layout& layout) {
  std::vector<absl::StatusOr<std::string>> texts;
  // The owner's own file may well be a link into a collection of dotfiles.
  for (const std::string& file : layout.config_files())
    texts.push_back(ReadFile(file, kMaxConfigOctets, Links::kFollow));
  return texts;
}

absl::StatusOr<Config> ParseTexts(const Layout& layout, const Environment& env,
                                  const std::vector<absl::StatusOr<std::string>>& texts) {
  Config config;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (absl::IsNotFound(texts[i].status()) && !layout.config_is_explicit()) continue;
    if (!texts[i].ok()) return texts[i].status();
    RETURN_IF_ERROR(ApplyToml(*texts[i], layout.config_files()[i], config));
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

}  // namespace config_internal

absl::StatusOr<Config> LoadConfig(const Layout& layout, const Environment& env) {
  return config_internal::ParseTexts(layout, env, config_internal::ReadTexts(layout));
}

}  // namespace auspex
