// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/keystore_setup.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "keyd/existing_keystore.h"
#include "keyd/secret_file.h"

namespace auspex::keyd {
namespace {

constexpr char kSecretService[] = "secret_service", kEncryptedFile[] = "encrypted_file";

// The address of the session bus: said, or where systemd's user bus listens. Empty: there is none.
std::string BusAddress(const Environment& env) {
  const std::string said = env("DBUS_SESSION_BUS_ADDRESS").value_or("");
  if (!said.empty()) return said;
  const std::string runtime = env("XDG_RUNTIME_DIR").value_or("");
  if (runtime.empty() || runtime[0] != '/') return "";
  const std::string socket = runtime + "/bus";
  return ::access(socket.c_str(), F_OK) == 0 ? "unix:path=" + socket : "";
}

// All that the helper is told of the world.
std::vector<std::string> HelperEnvironment(const Environment& env, const std::string& bus) {
  std::vector<std::string> variables{"DBUS_SESSION_BUS_ADDRESS=" + bus, "GIO_USE_VFS=local",
                                     "GSETTINGS_BACKEND=memory", "PATH=/usr/bin:/bin"};
  for (const char* name :
       {"XDG_RUNTIME_DIR", "HOME", "LANG", "LC_ALL", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"}) {
    const std::string value = env(name).value_or("");
    if (!value.empty()) variables.push_back(Cat(name, "=", value));
  }
  return variables;
}

// Why the Secret Service is not used; empty when it may be.
std::string WhyNot(const Layout& layout, const Config& config, const std::string& bus) {
  if (layout.mode() == Layout::Mode::kSystem) return "a system service has no desktop session";
  if (config.keystore_backend == kEncryptedFile) {
    return "identity.keystore_backend = \"encrypted_file\" rules it out";
  }
  if (layout.mode() == Layout::Mode::kHome && config.keystore_backend != kSecretService) {
    return "with --home it is used only when identity.keystore_backend = \"secret_service\"";
  }
  if (bus.empty()) {
    return "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set)";
  }
  return "";
}

}  // namespace

std::string ImportPath(const std::string& state_dir) { return state_dir + "/import.key"; }

void WipeLeftImport(const std::string& state_dir) {
  const std::string path = ImportPath(state_dir);
  if (!SomethingAt(path)) return;
  const absl::Status wiped = OverwriteAndRemove(path);
  LogWarning("left_import_wiped",
             {{"path", path}, {"cause", wiped.ok() ? "" : std::string(wiped.message())}});
}

std::string ExistingKeystorePath(const Layout& layout, const Environment& env) {
  if (layout.mode() == Layout::Mode::kSystem) return "";
  // The variable means the same folder to both workers.
  if (!env("AUSPEXAI_WORKER_DATA_DIR").value_or("").empty())
    return layout.data_dir() + "/keystore.enc";
  if (layout.mode() == Layout::Mode::kHome) return "";
  std::string data = env("XDG_DATA_HOME").value_or("");
  if (data.empty() || data[0] != '/') {
    const std::string home = env("HOME").value_or("");
    if (home.empty()) return "";
    data = home + "/.local/share";
  }
  return data + "/auspexai-worker/keystore.enc";
}

absl::StatusOr<KeystoreSetup> SetUpKeystores(const Layout& layout, const Config& config,
                                             const std::string& state_dir, const Environment& env) {
  KeystoreSetup setup;
  VaultOptions& options = setup.options;
  options.backend = config.keystore_backend;
  const std::string bus = BusAddress(env);
  options.why_no_service = WhyNot(layout, config, bus);
  if (options.why_no_service.empty()) {
    const absl::StatusOr<std::string> helper = FindSecretsHelper();
    if (helper.ok()) {
      ASSIGN_OR_RETURN(setup.gate, HelperGate::Start(*helper, HelperEnvironment(env, bus)));
      setup.secret_service = std::make_unique<GatedSecretService>(*setup.gate);
      options.secret_service = setup.secret_service.get();
    } else {
      options.why_no_service = std::string(helper.status().message());
    }
  }
  options.sources = SealSources::FromEnvironment(state_dir);
  options.sources.machine_identity = MachineIdentity();
  options.sources.allow_machine = config.allow_machine_bound_key;
  const std::string existing = ExistingKeystorePath(layout, env);
  if (!existing.empty() && ::access(existing.c_str(), F_OK) == 0) {
    options.existing_keystore = existing;
  }
  WipeLeftImport(state_dir);
  return setup;
}

}  // namespace auspex::keyd
