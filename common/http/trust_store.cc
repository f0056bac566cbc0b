// SPDX-License-Identifier: AGPL-3.0-only
#include "common/http/trust_store.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <utility>

#include "common/base/cat.h"

namespace auspex {

TrustStore::~TrustStore() { X509_STORE_free(store_); }

absl::Status TrustStore::Load() {
  std::lock_guard lock(mutex_);
  if (store_ != nullptr) return absl::OkStatus();
  X509_STORE* store = X509_STORE_new();
  if (store == nullptr) return absl::ResourceExhaustedError("CA store: out of memory");
  const curl_version_info_data* info = curl_version_info(CURLVERSION_NOW);
  const char* system_file = info->cainfo;
  const int system_ok = system_file != nullptr ? X509_STORE_load_file(store, system_file)
                                               : X509_STORE_set_default_paths(store);
  if (system_ok != 1 && extra_file_.empty()) {
    X509_STORE_free(store);
    ERR_clear_error();
    return absl::FailedPreconditionError(
        Cat("CA bundle ", system_file != nullptr ? system_file : "(OpenSSL's default)",
            ": no certificate could be read; install the package ca-certificates"));
  }
  if (!extra_file_.empty() && X509_STORE_load_file(store, extra_file_.c_str()) != 1) {
    X509_STORE_free(store);
    ERR_clear_error();
    return absl::FailedPreconditionError(
        Cat("CA file ", extra_file_, ": no certificate could be read"));
  }
  ERR_clear_error();
  // What libcurl sets on a store of its own: prefer what is trusted here over what the peer sends,
  // and take an intermediate that is trusted here as an anchor.
  X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  store_ = store;
  return absl::OkStatus();
}

void TrustStore::Apply(ssl_ctx_st* context) {
  std::lock_guard lock(mutex_);
  SSL_CTX_set1_cert_store(context, store_);
}

}  // namespace auspex
