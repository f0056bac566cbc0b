// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/identity.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "common/wire/base_url.h"

namespace auspex::stated {
namespace {

constexpr uint32_t kHighestTier = 3;
constexpr size_t kLongestIdp = 32;

absl::Status CheckTier(uint32_t tier) {
  if (tier <= kHighestTier) return absl::OkStatus();
  return absl::InvalidArgumentError(Cat("trust_tier: ", tier, " is above ", kHighestTier));
}

absl::StatusOr<int64_t> ParseTime(std::string_view name, std::string_view untrusted) {
  const std::optional<ParsedTime> time = ParseIsoTime(untrusted);
  if (time.has_value()) return time->unix_micros;
  return absl::InvalidArgumentError(
      Cat(name, ": not an ISO 8601 time: '", Printable(untrusted), "'"));
}

}  // namespace

absl::StatusOr<std::optional<Identity>> ReadIdentity(Connection& db) {
  Statement row(db,
                "SELECT worker_id, public_key_hex, trust_tier, enrolled_at, base_url, account_id"
                " FROM identity");
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::nullopt;
  return Identity{row.Text(0), row.Text(1), static_cast<int>(row.Int(2)),
                  row.Int(3),  row.Text(4), row.Text(5)};
}

absl::StatusOr<Identity> RequireIdentity(Connection& db) {
  ASSIGN_OR_RETURN(std::optional<Identity> identity, ReadIdentity(db));
  if (!identity.has_value()) return absl::FailedPreconditionError("this worker is not enrolled");
  return *std::move(identity);
}

absl::StatusOr<std::optional<Identity>> Enrolment::Get() {
  std::optional<Identity> identity;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(identity, ReadIdentity(db));
    return absl::OkStatus();
  }));
  return identity;
}

absl::Status Enrolment::Record(const UntrustedEnrolment& untrusted) {
  ASSIGN_OR_RETURN(const WorkerId worker, WorkerId::Parse(untrusted.worker_id));
  ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(untrusted.public_key_hex));
  ASSIGN_OR_RETURN(const BaseUrl url, BaseUrl::Parse(untrusted.base_url));
  ASSIGN_OR_RETURN(const int64_t registered_at,
                   ParseTime("registered_at", untrusted.registered_at));
  RETURN_IF_ERROR(CheckTier(untrusted.trust_tier));
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Identity> stored, ReadIdentity(db));
    if (stored.has_value()) {
      if (stored->worker_id == worker.str() && stored->public_key_hex == key.str() &&
          stored->base_url == url.str()) {
        return absl::OkStatus();
      }
      return absl::AlreadyExistsError(Cat("identity: this worker is enrolled as ",
                                          stored->worker_id, " with ", stored->base_url,
                                          "; withdraw it first"));
    }
    return Statement(db,
                     "INSERT INTO identity (id, worker_id, public_key_hex, trust_tier, enrolled_at,"
                     " base_url) VALUES (1, ?, ?, ?, ?, ?)",
                     worker.str(), key.str(), untrusted.trust_tier, registered_at, url.str())
        .Run();
  }));
  LogInfo("enrolled", {{"worker", worker.str()}, {"coordinator", url.str()}});
  context_.changes.Notify({Topic::kSlotFreed, Topic::kDemand, Topic::kOutbox, Topic::kStatus});
  return absl::OkStatus();
}

absl::Status Enrolment::RecordBinding(const UntrustedBinding& untrusted) {
  RETURN_IF_ERROR(CheckTier(untrusted.trust_tier));
  std::string account;
  std::optional<int64_t> bound_at;
  std::string idp;
  if (!untrusted.account_id.empty()) {
    ASSIGN_OR_RETURN(const AccountId parsed, AccountId::Parse(untrusted.account_id));
    account = parsed.str();
    ASSIGN_OR_RETURN(bound_at, ParseTime("bound_at", untrusted.bound_at));
    if (untrusted.idp.empty() || untrusted.idp.size() > kLongestIdp ||
        Printable(untrusted.idp, kLongestIdp) != untrusted.idp) {
      return absl::InvalidArgumentError(
          Cat("idp: '", Printable(untrusted.idp), "' is not a provider"));
    }
    idp = std::string(untrusted.idp);
  }
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(RequireIdentity(db).status());
    return Statement(db,
                     "UPDATE identity SET trust_tier = ?, account_id = ?, idp = ?, bound_at = ?,"
                     " is_new_account = ?",
                     untrusted.trust_tier, account, idp, bound_at, untrusted.is_new_account)
        .Run();
  }));
  LogInfo("binding_recorded",
          {{"tier", untrusted.trust_tier}, {"bound", account.empty() ? "no" : "yes"}});
  context_.changes.Notify({Topic::kStatus});
  return absl::OkStatus();
}

}  // namespace auspex::stated
