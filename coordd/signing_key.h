// SPDX-License-Identifier: AGPL-3.0-only
// SigningKey: the coordinator's one long-lived Ed25519 key, which signs receipts and attestations
// (coordinator section 11). It lives as PKCS#8 PEM of mode 0600 in the state directory and is made
// at the first start. The secret never leaves this class. Safe from any thread once made.
#ifndef AUSPEX_COORDD_SIGNING_KEY_H_
#define AUSPEX_COORDD_SIGNING_KEY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex::coordd {

class SigningKey {
 public:
  // Reads `path`, or makes a key there.
  static absl::StatusOr<SigningKey> LoadOrCreate(const std::string& path);

  // 64 lower-case hex digits.
  const std::string& public_key_hex() const { return public_key_hex_; }
  // The 64 octets of an Ed25519 signature of `message`.
  std::string Sign(std::string_view message) const;

 private:
  struct Secret;
  SigningKey() = default;
  std::shared_ptr<const Secret> secret_;
  std::string public_key_hex_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SIGNING_KEY_H_
