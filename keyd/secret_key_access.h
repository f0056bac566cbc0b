// SPDX-License-Identifier: AGPL-3.0-only
// SecretKeyAccess: the token without which nobody reads the octets of a SecretKey. It has one
// maker, whose name is what a reviewer searches for: every line that says
// `SecretKeyAccess::ForReviewedUse` is a place where the private key is used, and a test
// (tests/keyd/key_use_test.cc) holds the list of the files where that may be.
#ifndef AUSPEX_KEYD_SECRET_KEY_ACCESS_H_
#define AUSPEX_KEYD_SECRET_KEY_ACCESS_H_

namespace auspex::keyd {

class SecretKeyAccess {
 public:
  static SecretKeyAccess ForReviewedUse() { return SecretKeyAccess(); }

 private:
  SecretKeyAccess() = default;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_KEY_ACCESS_H_
