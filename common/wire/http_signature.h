// SPDX-License-Identifier: AGPL-3.0-only
// The signature profile of wire protocol section 2 (a narrow use of RFC 9421 and RFC 9530):
// composing what is signed. keyd composes with it, coordd rebuilds with it, tests compare both with
// vectors. Pure functions, any thread.
#ifndef AUSPEX_COMMON_WIRE_HTTP_SIGNATURE_H_
#define AUSPEX_COMMON_WIRE_HTTP_SIGNATURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auspex {

// The parts of a request that a signature covers.
struct SignedParts {
  std::string method;                         // any case; upper-cased in the base
  std::string path;                           // request target as sent
  std::string authority;                      // any case; lower-cased in the base
  std::optional<std::string> content_digest;  // header value; absent exactly when the body is empty
  int64_t created = 0;                        // Unix seconds
  std::string keyid;                          // 64 hex digits, any case; lower-cased
};

// "sha-256=:<base64>:" for the 32 octets of a body's SHA-256.
std::string ContentDigestHeader(std::string_view sha256_octets);
// The params of 2.2, what follows "sig1=" in Signature-Input.
std::string SignatureParams(const SignedParts& parts);
// "sig1=" + params.
std::string SignatureInputHeader(const SignedParts& parts);
// The octets of 2.3 that Ed25519 signs.
std::string SignatureBase(const SignedParts& parts);
// "sig1=:<base64>:" for a signature of 64 octets.
std::string SignatureHeader(std::string_view signature_octets);

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_HTTP_SIGNATURE_H_
