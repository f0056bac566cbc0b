// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/handlers.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

JsonObject HealthBasics(const Services& services, const Context& context) {
  return {{"status", "ok"},
          {"version", services.options.version},
          {"server_time", ZuluTime(context.now)}};
}

int64_t Count(Rows rows) { return rows.Next() ? rows.Int(0) : 0; }

}  // namespace

Reply HandleHealthPublic(Services& services, const Context& context) {
  return Ok(HealthBasics(services, context));
}

Reply HandleHealth(Services& services, const Context& context) {
  JsonObject out = HealthBasics(services, context);
  out.emplace("workers",
              Count(services.db.Query("SELECT count(*) FROM workers WHERE retired_at IS NULL")));
  out.emplace(
      "experiments_approved",
      Count(services.db.Query("SELECT count(*) FROM experiments WHERE state = 'approved'")));
  return Ok(std::move(out));
}

Reply HandleWhoami(Services&, const Context& context) {
  const Caller& caller = context.caller;
  JsonObject out{{"credential_class", ClassWord(caller.kind)}};
  if (caller.worker()) out.emplace("worker_id", caller.worker_id);
  if (caller.researcher()) out.emplace("tenant_id", caller.tenant_id);
  if (caller.account_id && !caller.worker()) out.emplace("account_id", *caller.account_id);
  return Ok(std::move(out));
}

Reply HandleSupportedModels(Services& services, const Context& context) {
  if (context.caller.kind == CallerClass::kAnonymous) {
    return PlainDetail(403, "This route needs a credential");
  }
  const int64_t active = Count(services.db.Query(
      "SELECT count(*) FROM workers WHERE retired_at IS NULL AND last_heartbeat_at > ?",
      context.now - 180'000'000));
  return Ok(JsonObject{{"models", JsonArray{}},
                       {"total_active_workers", active},
                       {"fleet_can_auto_acquire", false},
                       {"catalog_source", "curated"},
                       {"catalog_fetched_at", nullptr},
                       {"catalog_stale", false}});
}

}  // namespace auspex::coordd
