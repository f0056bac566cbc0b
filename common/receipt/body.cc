// SPDX-License-Identifier: AGPL-3.0-only
#include "common/receipt/body.h"

#include <string>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/receipt/cbor.h"

namespace auspex {
namespace {

constexpr std::string_view kVersion = "0.1";
constexpr uint32_t kDateTimeTag = 0;  // RFC 7049 section 2.4.1

absl::Status Wrong(std::string_view member, std::string_view why) {
  return absl::InvalidArgumentError(Cat("receipt: ", member, " ", why));
}

// Reads the members of one map and, at the end, says whether there were others.
class MapReader {
 public:
  // `prefix` names the map in messages: "" for the receipt itself, else its name and a dot.
  MapReader(const CborValue& map, std::string_view prefix) : map_(map), prefix_(prefix) {}

  absl::StatusOr<const CborValue*> Member(std::string_view key) {
    const CborValue* member = map_.Find(key);
    if (member == nullptr) return Wrong(Name(key), "is missing");
    ++taken_;
    return member;
  }
  absl::StatusOr<std::string> Text(std::string_view key) {
    ASSIGN_OR_RETURN(const CborValue* member, Member(key));
    if (member->as_text() == nullptr) return Wrong(Name(key), "is not text");
    return *member->as_text();
  }
  absl::StatusOr<int64_t> Count(std::string_view key) {
    ASSIGN_OR_RETURN(const CborValue* member, Member(key));
    const std::optional<int64_t> number = member->as_integer();
    if (!number || *number < 0) return Wrong(Name(key), "is not an integer from 0");
    return *number;
  }
  // A timestamp under tag 0 or, as the published schema says, as plain text.
  absl::StatusOr<std::string> Time(std::string_view key) {
    ASSIGN_OR_RETURN(const CborValue* member, Member(key));
    const CborValue* tagged = member->as_tag(kDateTimeTag);
    const std::string* text = tagged != nullptr ? tagged->as_text() : member->as_text();
    if (text == nullptr || !ParseIsoTime(*text)) return Wrong(Name(key), "is not a timestamp");
    return *text;
  }
  absl::StatusOr<const CborValue*> Map(std::string_view key) {
    ASSIGN_OR_RETURN(const CborValue* member, Member(key));
    if (!member->is_map()) return Wrong(Name(key), "is not a map");
    return member;
  }
  absl::StatusOr<const std::vector<CborValue>*> Array(std::string_view key) {
    ASSIGN_OR_RETURN(const CborValue* member, Member(key));
    if (member->as_array() == nullptr) return Wrong(Name(key), "is not an array");
    return member->as_array();
  }
  absl::Status End() const {
    if (taken_ == map_.member_count()) return absl::OkStatus();
    return Wrong(prefix_.empty() ? "the map" : prefix_.substr(0, prefix_.size() - 1),
                 "has members that version 0.1 does not know");
  }

 private:
  std::string Name(std::string_view key) const { return Cat(prefix_, key); }

  const CborValue& map_;
  const std::string prefix_;
  size_t taken_ = 0;
};

absl::Status ReadWindow(const CborValue& map, Receipt& receipt) {
  MapReader members(map, "time_window.");
  ASSIGN_OR_RETURN(receipt.window_start, members.Time("start"));
  ASSIGN_OR_RETURN(receipt.window_end, members.Time("end"));
  return members.End();
}

absl::Status ReadAgreement(const CborValue& map, Receipt& receipt) {
  MapReader members(map, "quorum_agreement.");
  ASSIGN_OR_RETURN(receipt.replication_factor, members.Count("replication_factor"));
  ASSIGN_OR_RETURN(receipt.agreeing_workers, members.Count("agreeing_workers"));
  ASSIGN_OR_RETURN(receipt.method, members.Text("method"));
  return members.End();
}

absl::StatusOr<Receipt::Anchor> ReadAnchor(const CborValue& map, size_t index) {
  const std::string where = Cat("result_hash_anchors[", index, "]");
  if (!map.is_map()) return Wrong(where, "is not a map");
  MapReader members(map, Cat(where, "."));
  Receipt::Anchor anchor;
  ASSIGN_OR_RETURN(anchor.rekor_log_index, members.Count("rekor_log_index"));
  ASSIGN_OR_RETURN(anchor.rekor_entry_uuid, members.Text("rekor_entry_uuid"));
  ASSIGN_OR_RETURN(anchor.result_sha256, members.Text("result_sha256"));
  if (anchor.result_sha256.size() != 64 || !HexDecode(anchor.result_sha256)) {
    return Wrong(where, "has a result_sha256 that is not 64 hex digits");
  }
  RETURN_IF_ERROR(members.End());
  return anchor;
}

CborValue Time(std::string_view text) {
  return CborValue::Tag(kDateTimeTag, CborValue::Text(text));
}

}  // namespace

std::string EncodeReceiptBody(const Receipt& receipt) {
  std::vector<CborValue> units;
  for (const std::string& unit : receipt.work_unit_ids) units.push_back(CborValue::Text(unit));
  std::vector<CborValue> anchors;
  for (const Receipt::Anchor& anchor : receipt.anchors) {
    anchors.push_back(CborValue::Map(
        {{CborValue::Text("rekor_log_index"), CborValue::Integer(anchor.rekor_log_index)},
         {CborValue::Text("rekor_entry_uuid"), CborValue::Text(anchor.rekor_entry_uuid)},
         {CborValue::Text("result_sha256"), CborValue::Text(anchor.result_sha256)}}));
  }
  return CborValue::Map(
             {{CborValue::Text("version"), CborValue::Text(receipt.version)},
              {CborValue::Text("tenant_id"), CborValue::Text(receipt.tenant_id)},
              {CborValue::Text("experiment_id"), CborValue::Text(receipt.experiment_id)},
              {CborValue::Text("worker_pubkey"), CborValue::Bytes(receipt.worker_pubkey)},
              {CborValue::Text("work_unit_ids"), CborValue::Array(std::move(units))},
              {CborValue::Text("time_window"),
               CborValue::Map({{CborValue::Text("start"), Time(receipt.window_start)},
                               {CborValue::Text("end"), Time(receipt.window_end)}})},
              {CborValue::Text("quorum_agreement"),
               CborValue::Map({{CborValue::Text("replication_factor"),
                                CborValue::Integer(receipt.replication_factor)},
                               {CborValue::Text("agreeing_workers"),
                                CborValue::Integer(receipt.agreeing_workers)},
                               {CborValue::Text("method"), CborValue::Text(receipt.method)}})},
              {CborValue::Text("result_hash_anchors"), CborValue::Array(std::move(anchors))}})
      .Encode();
}

absl::StatusOr<Receipt> ReadReceiptBody(std::string_view untrusted_body) {
  ASSIGN_OR_RETURN(const CborValue body, DecodeCbor(untrusted_body));
  if (!body.is_map()) return absl::InvalidArgumentError("receipt: is not a map");
  MapReader members(body, "");
  Receipt receipt;
  ASSIGN_OR_RETURN(receipt.version, members.Text("version"));
  if (receipt.version != kVersion) return Wrong("version", "is not 0.1");
  ASSIGN_OR_RETURN(receipt.tenant_id, members.Text("tenant_id"));
  ASSIGN_OR_RETURN(receipt.experiment_id, members.Text("experiment_id"));
  ASSIGN_OR_RETURN(const CborValue* key, members.Member("worker_pubkey"));
  if (key->as_bytes() == nullptr || key->as_bytes()->size() != 32) {
    return Wrong("worker_pubkey", "is not 32 octets long");
  }
  receipt.worker_pubkey = *key->as_bytes();
  ASSIGN_OR_RETURN(const std::vector<CborValue>* units, members.Array("work_unit_ids"));
  if (units->empty()) return Wrong("work_unit_ids", "is empty");
  for (const CborValue& unit : *units) {
    if (unit.as_text() == nullptr) return Wrong("work_unit_ids", "has an element that is not text");
    receipt.work_unit_ids.push_back(*unit.as_text());
  }
  ASSIGN_OR_RETURN(const CborValue* window, members.Map("time_window"));
  RETURN_IF_ERROR(ReadWindow(*window, receipt));
  ASSIGN_OR_RETURN(const CborValue* agreement, members.Map("quorum_agreement"));
  RETURN_IF_ERROR(ReadAgreement(*agreement, receipt));
  ASSIGN_OR_RETURN(const std::vector<CborValue>* anchors, members.Array("result_hash_anchors"));
  for (size_t i = 0; i < anchors->size(); ++i) {
    ASSIGN_OR_RETURN(Receipt::Anchor anchor, ReadAnchor((*anchors)[i], i));
    receipt.anchors.push_back(std::move(anchor));
  }
  RETURN_IF_ERROR(members.End());
  return receipt;
}

}  // namespace auspex
