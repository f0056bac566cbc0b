// SPDX-License-Identifier: AGPL-3.0-only
#include "common/receipt/cose.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/receipt/cbor.h"
#include "common/receipt/receipt.h"

namespace auspex {
namespace {

// Header labels and the algorithm of RFC 8152 sections 3.1 and 8.2.
constexpr int64_t kAlgLabel = 1;
constexpr int64_t kKidLabel = 4;
constexpr int64_t kEdDsa = -8;

std::string ProtectedHeader(std::string_view signer_pubkey_hex) {
  return CborValue::Map({{CborValue::Integer(kAlgLabel), CborValue::Integer(kEdDsa)},
                         {CborValue::Integer(kKidLabel), CborValue::Bytes(signer_pubkey_hex)}})
      .Encode();
}

std::string SigStructure(std::string_view protected_header, std::string_view payload) {
  return CborValue::Array({CborValue::Text("Signature1"), CborValue::Bytes(protected_header),
                           CborValue::Bytes(""), CborValue::Bytes(payload)})
      .Encode();
}

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(Cat("receipt envelope: ", what));
}

absl::StatusOr<std::string> ReadSigner(std::string_view protected_header) {
  ASSIGN_OR_RETURN(const CborValue header, DecodeCbor(protected_header));
  if (!header.is_map()) return Malformed("the protected header is not a map");
  const CborValue* alg = header.Find(kAlgLabel);
  if (alg == nullptr || alg->as_integer() != kEdDsa)
    return Malformed("the algorithm is not EdDSA (-8)");
  const CborValue* kid = header.Find(kKidLabel);
  if (kid == nullptr || kid->as_bytes() == nullptr) return Malformed("the key id is missing");
  const std::string& hex = *kid->as_bytes();
  const bool is_key = hex.size() == 64 && std::all_of(hex.begin(), hex.end(), [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  if (!is_key) return Malformed("the key id is not 64 lower-case hex digits");
  // COSE lets a header demand that unknown members be understood ("crit"); there are none here.
  if (header.member_count() != 2) return Malformed("the protected header has further members");
  return hex;
}

}  // namespace

std::string EncodeEnvelope(std::string_view payload, std::string_view signer_pubkey_hex,
                           const std::function<std::string(std::string_view)>& sign) {
  const std::string protected_header = ProtectedHeader(signer_pubkey_hex);
  return CborValue::Array({CborValue::Bytes(protected_header), CborValue::Map({}),
                           CborValue::Bytes(payload),
                           CborValue::Bytes(sign(SigStructure(protected_header, payload)))})
      .Encode();
}

absl::StatusOr<OpenedEnvelope> OpenEnvelope(std::string_view untrusted_envelope) {
  if (untrusted_envelope.size() > kMaxReceiptOctets) {
    return Malformed(Cat(untrusted_envelope.size(), " octets, more than ", kMaxReceiptOctets));
  }
  ASSIGN_OR_RETURN(const CborValue envelope, DecodeCbor(untrusted_envelope));
  const std::vector<CborValue>* parts = envelope.as_array();
  if (parts == nullptr || parts->size() != 4) return Malformed("is not an array of four");
  const std::string* protected_header = (*parts)[0].as_bytes();
  const std::string* payload = (*parts)[2].as_bytes();
  const std::string* signature = (*parts)[3].as_bytes();
  if (protected_header == nullptr) return Malformed("the protected header is not an octet string");
  if (!(*parts)[1].is_map() || (*parts)[1].member_count() != 0) {
    return Malformed("the unprotected header is not an empty map");
  }
  if (payload == nullptr) return Malformed("the payload is not an octet string");
  if (signature == nullptr || signature->size() != 64) {
    return Malformed("the signature is not 64 octets long");
  }
  ASSIGN_OR_RETURN(std::string signer, ReadSigner(*protected_header));
  const std::string key = HexDecode(signer).value_or("");
  if (!Ed25519Verify(key, SigStructure(*protected_header, *payload), *signature)) {
    return absl::DataLossError("receipt envelope: the signature does not verify");
  }
  return OpenedEnvelope{*payload, std::move(signer)};
}

}  // namespace auspex
