// SPDX-License-Identifier: AGPL-3.0-only
// TrustStore: the CA certificates that TLS peers are checked against, parsed once and shared by all
// connections (libcurl by itself parses the system's bundle, some megabytes of heap, per connection
// pool). Loaded on first use; safe from any thread.
#ifndef AUSPEX_COMMON_HTTP_TRUST_STORE_H_
#define AUSPEX_COMMON_HTTP_TRUST_STORE_H_

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"

struct ssl_ctx_st;
struct x509_store_st;

namespace auspex {

class TrustStore {
 public:
  // `extra_file`: PEM certificates trusted beside the system's; may be empty.
  explicit TrustStore(std::string extra_file) : extra_file_(std::move(extra_file)) {}
  ~TrustStore();
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;

  // Reads the files unless that was done. FAILED_PRECONDITION names the file that cannot be read. A
  // failed load is tried again.
  absl::Status Load();
  // Makes `context` trust this store and nothing else. Load must have succeeded.
  void Apply(ssl_ctx_st* context);

 private:
  const std::string extra_file_;
  std::mutex mutex_;
  x509_store_st* store_ = nullptr;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_HTTP_TRUST_STORE_H_
