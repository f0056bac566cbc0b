// SPDX-License-Identifier: AGPL-3.0-only
// What keyd must find out and start about keystores while it still may: before it confines itself,
// and before there is a key or a second thread. Everything here outlives the KeyRing that uses it.
#ifndef AUSPEX_KEYD_KEYSTORE_SETUP_H_
#define AUSPEX_KEYD_KEYSTORE_SETUP_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/paths/layout.h"
#include "keyd/gate/gate.h"
#include "keyd/key_vault.h"

namespace auspex::keyd {

struct KeystoreSetup {
  std::unique_ptr<HelperGate> gate;                    // null: the Secret Service is not used
  std::unique_ptr<GatedSecretService> secret_service;  // null with it
  VaultOptions options;
};

// Forks the gate where the key may be in the Secret Service (identity.keystore_backend, the mode,
// a session bus), reads the machine's identity, and looks for an existing worker's keystore. No
// secret is read here. FAILED_PRECONDITION when the configuration asks for what this
// mode cannot have.
absl::StatusOr<KeystoreSetup> SetUpKeystores(const Layout& layout, const Config& config,
                                             const std::string& state_dir, const Environment& env);

// The path of an existing worker's keystore.enc, were there one (worker behaviour, sections 0.2 and 2);
// empty in system mode.
std::string ExistingKeystorePath(const Layout& layout, const Environment& env);

// Wipes what an import that was never asked for left in `state_dir`.
void WipeLeftImport(const std::string& state_dir);
std::string ImportPath(const std::string& state_dir);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_KEYSTORE_SETUP_H_
