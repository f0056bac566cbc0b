// SPDX-License-Identifier: AGPL-3.0-only
// Listings: what the owner reads, newest first and bounded. Nothing here changes anything. Plain
// functions; any thread.
#ifndef AUSPEX_STATED_LISTINGS_H_
#define AUSPEX_STATED_LISTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "stated/context.h"
#include "stated/receipt_check.h"
#include "stated/units.h"

namespace auspex::stated {

struct AuditRow {
  int64_t id = 0, occurred_at = 0;
  std::string action, unit_id, assignment_id, experiment_id, tenant_id, manifest_sha256, reason;
};
struct AuditFilter {
  int64_t limit = 0;  // 0: 100; at most 10000
  std::string_view unit_id, action;
  int64_t since = 0;
};
absl::StatusOr<std::vector<AuditRow>> ListAudit(Context& context, const AuditFilter& filter);

struct ListedUnit {
  UnitRow unit;
  int64_t attempts = 0;    // of sending its result or refusal
  std::string last_error;  // of the last attempt
};
// Units in hand or with something in the outbox; with `all` every one. `limit` 0: 100; at most
// 10000.
absl::StatusOr<std::vector<ListedUnit>> ListUnits(Context& context, bool all, int64_t limit);

struct ResultRow {
  std::string unit_id, result_id, assignment_id, tenant_id, experiment_id, completed_at;
  std::optional<int64_t> submitted_at, receipt_fetched_at;
  int64_t exit_code = 0, completions_so_far = 0, replication_target = 0, agreeing_workers = 0;
  ReceiptStatus receipt_status = ReceiptStatus::kNotSubmitted;
  std::string receipt_note, receipt_signer, unit_status_after, result_sha256;
  std::string receipt, canonical_payload;  // only from GetResult
};
struct ResultFilter {
  int64_t limit = 0;  // 0: 50; at most 100000
  int64_t since = 0;
  std::string_view tenant_id;
};
// Submitted results.
absl::StatusOr<std::vector<ResultRow>> ListResults(Context& context, const ResultFilter& filter);
// By result id, else the latest of that unit id. NOT_FOUND.
absl::StatusOr<ResultRow> GetResult(Context& context, std::string_view identifier);

struct TenantLists {
  std::vector<std::string> allowed, denied;
};
absl::StatusOr<TenantLists> ListTenants(Context& context);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_LISTINGS_H_
