// SPDX-License-Identifier: AGPL-3.0-only
#include "common/receipt/statement.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/ids/ids.h"
#include "common/receipt/cbor.h"
#include "common/receipt/receipt.h"

namespace auspex {
namespace {

constexpr std::string_view kStatementType = "https://www.in-toto.io/Statement/v1";
constexpr std::string_view kPredicateType = "https://auspexai.network/receipt/v0";
constexpr std::string_view kSubjectPrefix = "auspexai:receipt/";

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(Cat("receipt statement: ", what));
}

const std::string* TextMember(const CborValue& map, std::string_view key) {
  const CborValue* member = map.Find(key);
  return member == nullptr ? nullptr : member->as_text();
}

}  // namespace

std::string EncodeStatement(std::string_view receipt_id, std::string_view body) {
  const CborValue subject = CborValue::Map(
      {{CborValue::Text("name"), CborValue::Text(Cat(kSubjectPrefix, receipt_id))},
       {CborValue::Text("digest"),
        CborValue::Map({{CborValue::Text("sha256"), CborValue::Text(Sha256HexOf(body))}})}});
  return CborValue::Map({{CborValue::Text("_type"), CborValue::Text(kStatementType)},
                         {CborValue::Text("subject"), CborValue::Array({subject})},
                         {CborValue::Text("predicateType"), CborValue::Text(kPredicateType)},
                         {CborValue::Text("predicate"), CborValue::Bytes(body)}})
      .Encode();
}

absl::StatusOr<Statement> ReadStatement(std::string_view untrusted_payload) {
  ASSIGN_OR_RETURN(const CborValue statement, DecodeCbor(untrusted_payload));
  if (!statement.is_map()) return Malformed("is not a map");
  if (statement.Find("_type") == nullptr) {
    return Statement{.receipt_id = "", .body = std::string(untrusted_payload)};
  }
  const std::string* type = TextMember(statement, "_type");
  if (type == nullptr || *type != kStatementType) return Malformed("_type is not in-toto's");
  const std::string* predicate_type = TextMember(statement, "predicateType");
  if (predicate_type == nullptr || *predicate_type != kPredicateType) {
    return Malformed("predicateType is not that of a receipt");
  }
  const CborValue* predicate = statement.Find("predicate");
  if (predicate == nullptr || predicate->as_bytes() == nullptr) {
    return Malformed("predicate is missing or not an octet string");
  }
  const CborValue* subjects = statement.Find("subject");
  if (subjects == nullptr || subjects->as_array() == nullptr || subjects->as_array()->size() != 1) {
    return Malformed("subject is not an array of one");
  }
  const CborValue& subject = subjects->as_array()->front();
  const std::string* name = TextMember(subject, "name");
  if (name == nullptr || !name->starts_with(kSubjectPrefix)) {
    return Malformed("the subject's name is not that of a receipt");
  }
  ASSIGN_OR_RETURN(const ReceiptId id, ReceiptId::Parse(name->substr(kSubjectPrefix.size())));
  const CborValue* digests = subject.Find("digest");
  const std::string* digest = digests == nullptr ? nullptr : TextMember(*digests, "sha256");
  if (digest == nullptr) return Malformed("the subject's digest.sha256 is missing");
  if (*digest != Sha256HexOf(*predicate->as_bytes())) {
    return absl::DataLossError(
        "receipt statement: the subject's digest does not fit the predicate");
  }
  return Statement{.receipt_id = id.str(), .body = *predicate->as_bytes()};
}

}  // namespace auspex
