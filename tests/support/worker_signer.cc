// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/support/worker_signer.h"

#include <sodium.h>

#include <cstring>

namespace auspex::testing {
namespace {

std::string Base64(const unsigned char* octets, size_t size) {
  std::string out(sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), octets, size, sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();
  return out;
}

}  // namespace

WorkerSigner::WorkerSigner(unsigned char fill) {
  unsigned char seed[32];
  std::memset(seed, fill, sizeof seed);
  Derive(seed);
}

WorkerSigner WorkerSigner::FromRun(unsigned char first) {
  unsigned char seed[32];
  for (int i = 0; i < 32; ++i) seed[i] = static_cast<unsigned char>(first + i);
  WorkerSigner out;
  out.Derive(seed);
  return out;
}

void WorkerSigner::Derive(const unsigned char seed[32]) {
  unsigned char public_key[32];
  crypto_sign_seed_keypair(public_key, secret_, seed);
  char hex[65];
  sodium_bin2hex(hex, sizeof hex, public_key, sizeof public_key);
  public_key_hex_ = hex;
}

std::string WorkerSigner::Sign(const std::string& octets) const {
  unsigned char signature[64];
  crypto_sign_detached(signature, nullptr, reinterpret_cast<const unsigned char*>(octets.data()),
                       octets.size(), secret_);
  return Base64(signature, sizeof signature);
}

HeaderList WorkerSigner::Request(const std::string& method, const std::string& path,
                                 const std::string& authority, const std::string& body,
                                 int64_t created) const {
  HeaderList out;
  std::string covered = "(\"@method\" \"@path\" \"@authority\"";
  std::string base =
      "\"@method\": " + method + "\n\"@path\": " + path + "\n\"@authority\": " + authority + "\n";
  if (!body.empty()) {
    unsigned char hash[32];
    crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(body.data()), body.size());
    const std::string digest = "sha-256=:" + Base64(hash, sizeof hash) + ":";
    out.emplace_back("Content-Type", "application/json");
    out.emplace_back("Content-Digest", digest);
    covered += " \"content-digest\"";
    base += "\"content-digest\": " + digest + "\n";
  }
  const std::string params = covered + ");created=" + std::to_string(created) +
                             ";alg=\"ed25519\";keyid=\"" + public_key_hex_ + "\"";
  base += "\"@signature-params\": " + params;
  out.emplace_back("Signature-Input", "sig1=" + params);
  out.emplace_back("Signature", "sig1=:" + Sign(base) + ":");
  return out;
}

}  // namespace auspex::testing
