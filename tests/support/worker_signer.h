// SPDX-License-Identifier: AGPL-3.0-only
// WorkerSigner: an Ed25519 key that signs requests and results the way a worker does, written down
// here a second time so that tests do not compare our code with itself. Immutable; any thread.
#ifndef AUSPEX_TESTS_SUPPORT_WORKER_SIGNER_H_
#define AUSPEX_TESTS_SUPPORT_WORKER_SIGNER_H_

#include <cstdint>
#include <ctime>
#include <string>

#include "tests/support/http_client.h"

namespace auspex::testing {

class WorkerSigner {
 public:
  // The key of a seed of 32 octets that are all `fill`.
  explicit WorkerSigner(unsigned char fill);
  // The key whose seed is the octets first, first + 1, ...: 0 and 32 are the keys of the published
  // vectors.
  static WorkerSigner FromRun(unsigned char first);

  const std::string& public_key_hex() const { return public_key_hex_; }
  // Base64 of the signature of `octets`.
  std::string Sign(const std::string& octets) const;
  // Signature headers (and Content-Digest, Content-Type for a body) of a request.
  HeaderList Request(const std::string& method, const std::string& path,
                     const std::string& authority, const std::string& body = "",
                     int64_t created = std::time(nullptr)) const;

 private:
  WorkerSigner() = default;
  void Derive(const unsigned char seed[32]);
  unsigned char secret_[64];
  std::string public_key_hex_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_WORKER_SIGNER_H_
