// SPDX-License-Identifier: AGPL-3.0-only
// Config: the owner's settings, parsed and checked once. Sources, low to high: defaults, the layout's files, environment. Keys and
// variables of the existing worker are honoured with their meaning (worker behaviour section 2.2); ours are added under the same tables.
// An unknown table or key, a wrong type or a value out of range is INVALID_ARGUMENT "<file>:<line>: <key>: <why>". Values are
// immutable after loading; safe from any thread.
#ifndef AUSPEX_COMMON_CONFIG_CONFIG_H_
#define AUSPEX_COMMON_CONFIG_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/paths/layout.h"

namespace auspex {

enum class ExecutionPolicy { kSynthetic, kProvisioned, kOff };
// "synthetic", "provisioned", "off".
std::string_view ExecutionPolicyWord(ExecutionPolicy policy);

// A token bucket: `burst` at once, `per_second` for longer.
struct SigningRate {
  double per_second = 0;  // 0.001..1e6
  int64_t burst = 0;      // 1..1e6
};

// Every key with its range, variable and reader is in docs/CONFIGURATION.md; here only what code must know.
struct Config {
  // [coordinator]
  std::string coordinator_url = "https://coord.auspexai.network";  // parsed by BaseUrl where used
  double heartbeat_interval_seconds = 60;
  double assignment_poll_interval_seconds = 30;  // 0: poll again at once
  int long_poll_seconds = 30;                    // 0: never ask the coordinator to wait
  std::string ca_file;                           // trusted beside the system's; empty: none
  // 64 hex digits, or empty: the roster for the public coordinator, first-seen for any other.
  std::string receipt_signer_pubkey;
  // [identity]
  std::string keystore_backend;  // "", "secret_service", "encrypted_file"
  std::string github_client_id = "Ov23lierutLLeF9skyHu";
  std::string github_base_url = "https://github.com";  // http to loopback is for a test provider
  // [keyd]
  // Layers that keyd may start without; any other that is missing refuses the start.
  std::vector<std::string> accept_missing_hardening;
  bool allow_machine_bound_key = false;  // `auspex key seal machine` and new keys under that seal
  int journal_segment_mb = 64;           // a journal file is closed at this size, 1..1024
  // [keyd.rates]: signatures per intent; an intent that is not named has its built-in rate.
  std::map<std::string, SigningRate, std::less<>> signing_rates;
  // [resources]
  std::optional<double> max_ram_gb, max_vram_gb;
  std::optional<int64_t> max_cpu_cores, network_quota_mb_per_hour;
  int slots = 1;  // units at a time, 1..64
  // Shares of all units together against whatever else the machine does, which has 100 each.
  int cpu_weight = 20, io_weight = 20;  // 1..10000
  // [capabilities.gpus]
  std::optional<int64_t> gpus_nvidia;
  std::optional<std::string> gpus_nvidia_model, gpus_amd_model;
  std::optional<double> gpus_vram_total_gb;
  std::optional<bool> gpus_amd;
  // [sandbox]
  bool use_bubblewrap = true;  // false: only the built-in executor runs, signed as permissive
  std::optional<double> runner_timeout_seconds;  // wall clock of a unit; unset: 600
  std::string sandbox_policy = "strict";         // tenant code is strict in either case
  bool resource_limits = true;
  int64_t memory_max_mb = 4096;
  int64_t pids_max = 512;
  std::optional<int64_t> cpu_seconds;
  std::optional<double> cpu_cores;    // processors that one unit may keep busy, 0.01..4096
  int64_t swap_max_mb = 0;            // swap that one unit may take
  std::optional<int64_t> scratch_mb;  // size of a unit's /unit; unset: a quarter of its memory
  int64_t scratch_files = 131072;     // files, folders and links in it
  int64_t output_max_kb = 1024;       // largest output file
  bool require_cgroup = false;        // refuse units where cgroup v2 cannot hold their limits
  // [executor]; `mode` is an alias of execute_tenant_code, and the two must not contradict
  ExecutionPolicy execution_policy = ExecutionPolicy::kSynthetic;
  // [executor.tenants]: what holds for single tenants instead.
  std::map<std::string, ExecutionPolicy, std::less<>> tenant_policies;
  std::string provisioning_dir;  // <data>/tenants unless set
  bool auto_acquire = false;
  // [provisioning]
  bool auto_fetch = true;
  int64_t packages_max_mb = 8192;  // installed packages together; the longest unused go first
  // [provisioning.tenant_keys]: tenant -> 64 hex digits. A tenant with a key here must have signed its
  // manifests with it.
  std::map<std::string, std::string, std::less<>> tenant_keys;
  // [models]
  std::string models_store_dir;  // <data>/models unless set
  // [health]; resume < warn <= crit
  double warn_c = 70, crit_c = 82, resume_c = 68;
  // [governor]: when units wait for the machine. Each is left again at three quarters of its bound.
  std::optional<double> max_load;   // processors that other work keeps busy
  double max_memory_pressure = 10;  // percent of time that all work waits for memory; 100: off
  int64_t min_free_disk_mb = 1024;  // where runnerd keeps its state; 0: off
  bool freeze = true;               // running units are frozen where that can be, not ended
  double max_frozen_seconds = 600;  // ended when they have been frozen for so long, 1..86400
  // [gpu]: nodes below /dev that units of these tenants get; both empty: none gets any.
  std::vector<std::string> gpu_devices, gpu_tenants;
  // What AMD's libraries are to take the accelerator for, "MAJOR.MINOR.STEPPING"; for units that get a node.
  std::optional<std::string> gpu_hsa_override;
  // [worker]
  std::optional<std::string> flavor;
  // Read for compatibility and without effect: [inference], [dashboard], [upgrade_prompt],
  // [tenants], [telemetry].
};

// Loads the files of `layout` and the environment.
absl::StatusOr<Config> LoadConfig(const Layout& layout, const Environment& env);

// Sets one key ("executor.execute_tenant_code") in the owner's file, keeping comments and order; atomic replace; the result is
// parsed again before it is put in place, so a file that loads never becomes one that does not. `toml_value` is TOML source ("\"off\"").
absl::Status SetConfigValue(const Layout& layout, const std::string& dotted_key,
                            const std::string& toml_value);

}  // namespace auspex

#endif  // AUSPEX_COMMON_CONFIG_CONFIG_H_
