// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/caller.h"

#include "common/base/cat.h"
#include "coordd/reply.h"
#include "coordd/request_verifier.h"
#include "coordd/services.h"

namespace auspex::coordd {
namespace {

constexpr std::string_view kBearer = "Bearer ";

// The owner of a key: tenants first, then workers that are not retired.
std::optional<Caller> FindByKey(Database& db, const std::string& keyid) {
  Caller caller;
  caller.pubkey = keyid;
  {
    Rows rows = db.Query("SELECT tenant_id, account_id FROM tenants WHERE pubkey = ?", keyid);
    if (rows.Next()) {
      caller.kind = CallerClass::kResearcher;
      caller.tenant_id = rows.Text(0);
      caller.account_id = rows.MaybeText(1);
      return caller;
    }
  }
  Rows rows = db.Query(
      "SELECT worker_id, account_id FROM workers WHERE pubkey = ? AND retired_at IS NULL", keyid);
  if (!rows.Next()) return std::nullopt;
  caller.kind = CallerClass::kWorker;
  caller.worker_id = rows.Text(0);
  caller.account_id = rows.MaybeText(1);
  return caller;
}

bool AccountSuspended(Database& db, const std::string& account_id) {
  Rows rows = db.Query("SELECT 1 FROM accounts WHERE account_id = ? AND suspended_at IS NOT NULL",
                       account_id);
  return rows.Next();
}

}  // namespace

std::string_view ClassWord(CallerClass kind) {
  switch (kind) {
    case CallerClass::kAnonymous:
      return "anonymous";
    case CallerClass::kWorker:
      return "worker";
    case CallerClass::kResearcher:
      return "researcher";
    case CallerClass::kMaintainer:
      break;
  }
  return "maintainer";
}

std::variant<Caller, Reply> Identify(Services& services, const Request& request,
                                     int64_t now_micros) {
  if (const auto authorization = request.Header("authorization")) {
    if (!authorization->starts_with(kBearer)) {
      return Error(401, "malformed_authorization_header", "Authorization must be a bearer token");
    }
    if (!services.tokens.Accepts(std::string_view(*authorization).substr(kBearer.size()),
                                 now_micros)) {
      return Error(401, "invalid_maintainer_token", "the maintainer token is unknown or expired");
    }
    return Caller{.kind = CallerClass::kMaintainer};
  }
  if (!request.Header("signature-input")) return Caller{};
  if (!request.Header("signature")) {
    return Error(401, "auth_error", "Signature-Input without Signature");
  }
  std::optional<Caller> caller;
  auto verified = VerifyRequest(request, now_micros, [&](const std::string& keyid) {
    caller = FindByKey(services.db, keyid);
    return caller.has_value();
  });
  if (auto* refusal = std::get_if<Reply>(&verified)) return std::move(*refusal);
  const auto& signature = std::get<VerifiedSignature>(verified);
  if (services.options.refuse_replays &&
      !services.replays.FirstUse(signature.signature_octets,
                                 signature.created * 1'000'000 + kSignatureWindowMicros,
                                 now_micros)) {
    return Error(401, "invalid_signature", "this signature was used before");
  }
  if (caller->researcher() && caller->account_id && request.path() != "/api/v0/auth/whoami" &&
      AccountSuspended(services.db, *caller->account_id)) {
    return Error(403, "account_suspended", "the linked account is suspended");
  }
  return *std::move(caller);
}

Reply ClassRequired(CallerClass required, CallerClass actual) {
  return Error(403, Cat(ClassWord(required), "_required"),
               Cat("this route is for a ", ClassWord(required)),
               {{"credential_class", ClassWord(actual)}});
}

}  // namespace auspex::coordd
