// SPDX-License-Identifier: AGPL-3.0-only
// The validated types for every identifier and digest that crosses a border. An object of one of these types always
// holds text of its kind: the only way to make one is Parse (or, for the coordinator, a generator of its own that goes
// through Parse). After the edge, text travels as these types. Values are immutable, copyable and safe from any thread.
//
// Kinds and their alphabets (wire protocol 1.2, 2.4, 6.1):
//   UnitId            ^[a-zA-Z0-9_-]{1,128}$               chosen by the tenant; a path segment
//   TenantId          ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$
//   ExperimentLabel   ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$   the tenant's name of an experiment; both wider than the published schema,
//                                                           as coordinators are (ids.cc)
//   WorkerId, AssignmentId, ResultId, AccountId, ExperimentId, ReceiptId
//                     1..128 unreserved characters (RFC 3986 section 2.3), not "." or ".."; path segments
//   Sha256Hex         64 hex digits, lower-cased by Parse
//   PublicKeyHex      64 hex digits, lower-cased by Parse
//   ModelId           1..200 of [A-Za-z0-9._-], not starting with '.'
#ifndef AUSPEX_COMMON_IDS_IDS_H_
#define AUSPEX_COMMON_IDS_IDS_H_

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace auspex {

// Shortens and escapes text of unknown origin for a message or a log line: printable ASCII stays, everything else
// becomes \xNN, at most `limit` characters and then "...".
std::string Printable(std::string_view untrusted_text, size_t limit = 80);

// One kind of validated text. `Kind` supplies kName (for messages), Normalize-and-check in `Accept`.
template <typename Kind>
class ValidatedText {
 public:
  // The value, or INVALID_ARGUMENT "<kind>: <why>: '<text made printable>'".
  static absl::StatusOr<ValidatedText> Parse(std::string_view untrusted_text) {
    std::string text(untrusted_text);
    if (absl::Status status = Kind::Accept(text); !status.ok()) return status;
    return ValidatedText(std::move(text));
  }
  const std::string& str() const { return text_; }
  friend auto operator<=>(const ValidatedText&, const ValidatedText&) = default;

 private:
  explicit ValidatedText(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

namespace ids_internal {
// Each Accept may normalise `text` in place and says why it is not of its kind.
struct UnitIdKind {
  static absl::Status Accept(std::string& text);
};
struct TenantIdKind {
  static absl::Status Accept(std::string& text);
};
struct ExperimentLabelKind {
  static absl::Status Accept(std::string& text);
};
struct WorkerIdKind {
  static absl::Status Accept(std::string& text);
};
struct AssignmentIdKind {
  static absl::Status Accept(std::string& text);
};
struct ResultIdKind {
  static absl::Status Accept(std::string& text);
};
struct AccountIdKind {
  static absl::Status Accept(std::string& text);
};
struct ExperimentIdKind {
  static absl::Status Accept(std::string& text);
};
struct ReceiptIdKind {
  static absl::Status Accept(std::string& text);
};
struct Sha256HexKind {
  static absl::Status Accept(std::string& text);
};
struct PublicKeyHexKind {
  static absl::Status Accept(std::string& text);
};
struct ModelIdKind {
  static absl::Status Accept(std::string& text);
};
}  // namespace ids_internal

using UnitId = ValidatedText<ids_internal::UnitIdKind>;
using TenantId = ValidatedText<ids_internal::TenantIdKind>;
using ExperimentLabel = ValidatedText<ids_internal::ExperimentLabelKind>;
using WorkerId = ValidatedText<ids_internal::WorkerIdKind>;
using AssignmentId = ValidatedText<ids_internal::AssignmentIdKind>;
using ResultId = ValidatedText<ids_internal::ResultIdKind>;
using AccountId = ValidatedText<ids_internal::AccountIdKind>;
using ExperimentId = ValidatedText<ids_internal::ExperimentIdKind>;
using ReceiptId = ValidatedText<ids_internal::ReceiptIdKind>;
using Sha256Hex = ValidatedText<ids_internal::Sha256HexKind>;
using PublicKeyHex = ValidatedText<ids_internal::PublicKeyHexKind>;
using ModelId = ValidatedText<ids_internal::ModelIdKind>;

}  // namespace auspex

#endif  // AUSPEX_COMMON_IDS_IDS_H_
