// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

void AddText(JsonObject& out, const char* name, const std::optional<std::string>& text) {
  if (text) out.emplace(name, *text);
}

// Columns: tenant_id, pubkey, display_name, contact_email, contact_public, description, created_at.
JsonObject TenantView(const Rows& rows, bool for_maintainer) {
  JsonObject out{{"tenant_id", rows.Text(0)}, {"created_at", ZuluTime(rows.Int(6))}};
  AddText(out, "maintainer_pubkey", rows.MaybeText(1));
  AddText(out, "display_name", rows.MaybeText(2));
  AddText(out, "description", rows.MaybeText(5));
  if (for_maintainer || rows.Int(4) != 0) AddText(out, "contact_email", rows.MaybeText(3));
  return out;
}

JsonObject ReleaseView(const Rows& rows) {
  JsonObject out{{"version", rows.Text(0)},
                 {"channel", rows.Text(1)},
                 {"headline", rows.Text(2)},
                 {"published_at", ZuluTime(rows.Int(5))}};
  AddText(out, "notes", rows.MaybeText(3));
  AddText(out, "release_url", rows.MaybeText(4));
  return out;
}

}  // namespace

Reply HandleCreateTenant(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto tenant = in.Parsed<TenantId>("tenant_id", kRequired);
  const auto pubkey = in.Parsed<PublicKeyHex>("maintainer_pubkey", kRequired);
  const auto display_name = in.Text("display_name", kOptional, 0, 200);
  const auto contact = in.Text("contact_email", kOptional, 0, 320);
  const auto contact_public = in.Bool("contact_public", kOptional);
  const auto description = in.Text("description", kOptional, 0, 4000);
  const auto account = in.Parsed<AccountId>("account_id", kOptional);
  if (!in.ok()) return in.Refusal();
  if (services.db.Query("SELECT 1 FROM tenants WHERE tenant_id = ? OR pubkey = ?", *tenant, *pubkey)
          .Next()) {
    return Error(409, "duplicate_tenant", "the tenant id or its key is taken");
  }
  if (account &&
      !services.db.Query("SELECT 1 FROM accounts WHERE account_id = ?", *account).Next()) {
    return Error(400, "unknown_account", "no such account");
  }
  services.db.Run(
      "INSERT INTO tenants (tenant_id, pubkey, display_name, contact_email, contact_public, "
      "description,"
      " account_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      *tenant, *pubkey, display_name, contact, contact_public.value_or(false), description, account,
      context.now);
  Rows rows = services.db.Query(
      "SELECT tenant_id, pubkey, display_name, contact_email, contact_public, description, "
      "created_at"
      " FROM tenants WHERE tenant_id = ?",
      *tenant);
  if (!rows.Next()) return InternalError();
  return Ok(TenantView(rows, /*for_maintainer=*/true), 201);
}

Reply HandleGetTenant(Services& services, const Context& context) {
  Rows rows = services.db.Query(
      "SELECT tenant_id, pubkey, display_name, contact_email, contact_public, description, "
      "created_at"
      " FROM tenants WHERE tenant_id = ?",
      context.PathId<TenantId>(0));
  if (!rows.Next()) return Error(404, "tenant_not_found", "no such tenant");
  return Ok(TenantView(rows, context.caller.maintainer()));
}

Reply HandleListTenants(Services& services, const Context& context) {
  JsonArray tenants;
  Rows rows = services.db.Query(
      "SELECT tenant_id, pubkey, display_name, contact_email, contact_public, description, "
      "created_at"
      " FROM tenants ORDER BY tenant_id");
  while (rows.Next()) tenants.emplace_back(TenantView(rows, context.caller.maintainer()));
  return Ok(JsonObject{{"tenants", std::move(tenants)}});
}

Reply HandleCreateRelease(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto version = in.Text("version", kRequired, 1, 64);
  const auto channel = in.Text("channel", kOptional, 1, 64);
  const auto headline = in.Text("headline", kRequired, 1, 500);
  const auto notes = in.Text("notes", kOptional, 0, 20'000);
  const auto url = in.Text("release_url", kOptional, 0, 2000);
  in.Array("fulfils_request_ids", kOptional);
  if (!in.ok()) return in.Refusal();
  const std::string on = channel.value_or("worker");
  if (services.db.Query("SELECT 1 FROM releases WHERE channel = ? AND version = ?", on, *version)
          .Next()) {
    return Error(409, "release_exists", "this release was announced already");
  }
  services.db.Run(
      "INSERT INTO releases (version, channel, headline, notes, release_url, published_at)"
      " VALUES (?, ?, ?, ?, ?, ?)",
      *version, on, *headline, notes, url, context.now);
  Rows rows = services.db.Query(
      "SELECT version, channel, headline, notes, release_url, published_at FROM releases"
      " WHERE channel = ? AND version = ?",
      on, *version);
  if (!rows.Next()) return InternalError();
  return Ok(ReleaseView(rows), 201);
}

Reply HandleListReleases(Services& services, const Context&) {
  JsonArray releases;
  Rows rows = services.db.Query(
      "SELECT version, channel, headline, notes, release_url, published_at FROM releases"
      " ORDER BY published_at DESC, rowid DESC");
  while (rows.Next()) releases.emplace_back(ReleaseView(rows));
  return Ok(JsonObject{{"releases", std::move(releases)}});
}

}  // namespace auspex::coordd
