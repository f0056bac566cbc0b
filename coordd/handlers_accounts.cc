// SPDX-License-Identifier: AGPL-3.0-only
#include "common/crypto/sha256.h"
#include "common/log/log.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {
namespace {

constexpr int64_t kBindingTokenMicros = 300'000'000;  // five minutes (6.1)
constexpr int64_t kHourMicros = 3'600'000'000;

// Only a worker of that account and the maintainer see attribution (6.4).
std::optional<Reply> CheckAccountAccess(Services& services, const Context& context) {
  const auto account = context.PathId<AccountId>(0);
  if (!context.caller.maintainer() &&
      !(context.caller.worker() && context.caller.account_id == account.str())) {
    return Error(403, "account_self_or_maintainer_required",
                 "this route is for a worker of the account or a maintainer",
                 {{"credential_class", ClassWord(context.caller.kind)}});
  }
  Rows rows = services.db.Query("SELECT 1 FROM accounts WHERE account_id = ?", account);
  if (!rows.Next()) return Error(404, "account_not_found", "no such account");
  return std::nullopt;
}

Reply AttributionView(Services& services, const AccountId& account) {
  Rows rows =
      services.db.Query("SELECT public_attribution FROM accounts WHERE account_id = ?", account);
  const bool is_public = rows.Next() && rows.Int(0) != 0;
  // attribution_name is always null, and null members are left out.
  return Ok(JsonObject{{"account_id", account.str()}, {"public_attribution", is_public}});
}

Reply SetSuspended(Services& services, const Context& context, std::optional<int64_t> since) {
  const auto account = context.PathId<AccountId>(0);
  if (services.db.Run("UPDATE accounts SET suspended_at = ? WHERE account_id = ?", since,
                      account) == 0) {
    return Error(404, "account_not_found", "no such account");
  }
  services.work_changed();
  return Ok(JsonObject{{"account_id", account.str()}, {"suspended", since.has_value()}});
}

}  // namespace

Reply HandleOauthExchange(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto idp = in.Text("idp", kRequired, 1, 64);
  const auto access_token = in.Text("access_token", kRequired, 1, 4096);
  if (idp && *idp != "github") in.Fail("idp", "Input should be 'github'", "enum");
  if (!in.ok()) return in.Refusal();
  if (services.options.rate_limits &&
      !services.limiter.Allow("oauth " + context.request.remote_address, 30, kHourMicros,
                              context.now)) {
    return RateLimited("30 per 1 hour");
  }
  if (!services.options.fake_idp) {
    return Error(400, "unsupported_idp", "this coordinator has no identity provider");
  }
  const std::optional<std::string> subject = FakeIdp::SubjectOf(*access_token);
  if (!subject) return Error(401, "invalid_access_token", "the provider does not know this token");

  std::string account_id;
  {
    Rows rows = services.db.Query("SELECT account_id FROM accounts WHERE idp = ? AND subject = ?",
                                  *idp, *subject);
    if (rows.Next()) account_id = rows.Text(0);
  }
  const bool is_new = account_id.empty();
  if (is_new) {
    account_id = MakeId("acct-");
    services.db.Run(
        "INSERT INTO accounts (account_id, idp, subject, display_name, created_at) VALUES (?, ?, "
        "?, ?, ?)",
        account_id, *idp, *subject, *subject, context.now);
  }
  const std::string token = MakeToken();
  const int64_t expires = context.now + kBindingTokenMicros;
  services.db.Run("DELETE FROM binding_tokens WHERE expires_at < ?",
                  context.now - 24 * kHourMicros);
  services.db.Run(
      "INSERT INTO binding_tokens (token_sha256, account_id, expires_at) VALUES (?, ?, ?)",
      Sha256HexOf(token), account_id, expires);
  return Ok(JsonObject{{"account_id", account_id},
                       {"binding_token", token},
                       {"expires_at", ZuluTime(expires)},
                       {"is_new_account", is_new}});
}

Reply HandleUpgrade(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto token = in.Text("binding_token", kRequired, 1, 256);
  if (!in.ok()) return in.Refusal();
  auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  std::string account_id;
  int64_t expires_at = 0, tier = 0;
  bool consumed = false;
  {
    Rows rows = services.db.Query(
        "SELECT t.account_id, t.expires_at, t.consumed_at, a.tier FROM binding_tokens t"
        " JOIN accounts a USING (account_id) WHERE t.token_sha256 = ?",
        Sha256HexOf(*token));
    if (!rows.Next()) return Error(404, "binding_token_not_found", "no such binding token");
    account_id = rows.Text(0);
    expires_at = rows.Int(1);
    consumed = !rows.IsNull(2);
    tier = rows.Int(3);
  }
  if (expires_at <= context.now)
    return Error(400, "binding_token_expired", "the binding token expired");
  if (consumed) return Error(409, "binding_token_consumed", "the binding token was used before");
  services.db.Run("UPDATE binding_tokens SET consumed_at = ? WHERE token_sha256 = ?", context.now,
                  Sha256HexOf(*token));
  services.db.Run("UPDATE workers SET account_id = ?, tier = ? WHERE id = ?", account_id, tier,
                  worker->id);
  worker->tier = tier;
  LogInfo("worker_bound", {{"worker", worker->worker_id}, {"account", account_id}});
  return Ok(WorkerView(*worker, /*for_maintainer=*/false));
}

Reply HandleUnbind(Services& services, const Context& context) {
  auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  services.db.Run("UPDATE workers SET account_id = NULL, tier = 0 WHERE id = ?", worker->id);
  worker->tier = 0;
  worker->account_id.reset();
  return Ok(WorkerView(*worker, context.caller.maintainer()));
}

Reply HandleGetAttribution(Services& services, const Context& context) {
  if (auto refusal = CheckAccountAccess(services, context)) return *std::move(refusal);
  return AttributionView(services, context.PathId<AccountId>(0));
}

Reply HandlePutAttribution(Services& services, const Context& context) {
  if (auto refusal = CheckAccountAccess(services, context)) return *std::move(refusal);
  BodyReader in(context.body, context.json_content_type);
  const auto is_public = in.Bool("public_attribution", kRequired);
  // A name is taken and ignored: credit uses the provider's.
  in.Text("attribution_name", kOptional, 0, 256);
  if (!in.ok()) return in.Refusal();
  const auto account = context.PathId<AccountId>(0);
  services.db.Run("UPDATE accounts SET public_attribution = ? WHERE account_id = ?", *is_public,
                  account);
  return AttributionView(services, account);
}

Reply HandleSuspendAccount(Services& services, const Context& context) {
  return SetSuspended(services, context, context.now);
}

Reply HandleUnsuspendAccount(Services& services, const Context& context) {
  return SetSuspended(services, context, std::nullopt);
}

}  // namespace auspex::coordd
