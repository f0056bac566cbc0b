// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/http_signature.h"

#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex {
namespace {

// ASCII only: methods, hosts and hex digits are ASCII, and a locale must not change what is signed.
std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::string ContentDigestHeader(std::string_view sha256_octets) {
  return Cat("sha-256=:", Base64Encode(sha256_octets), ":");
}

std::string SignatureParams(const SignedParts& parts) {
  return Cat(R"(("@method" "@path" "@authority")",
             parts.content_digest ? R"( "content-digest")" : "", ");created=", parts.created,
             R"(;alg="ed25519";keyid=")", Lower(parts.keyid), "\"");
}

std::string SignatureInputHeader(const SignedParts& parts) {
  return Cat("sig1=", SignatureParams(parts));
}

std::string SignatureBase(const SignedParts& parts) {
  std::string base = Cat("\"@method\": ", Upper(parts.method), "\n\"@path\": ", parts.path,
                         "\n\"@authority\": ", Lower(parts.authority), "\n");
  if (parts.content_digest) base += Cat("\"content-digest\": ", *parts.content_digest, "\n");
  return base + Cat("\"@signature-params\": ", SignatureParams(parts));
}

std::string SignatureHeader(std::string_view signature_octets) {
  return Cat("sig1=:", Base64Encode(signature_octets), ":");
}

}  // namespace auspex
