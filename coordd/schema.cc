// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/schema.h"

namespace auspex::coordd {
namespace {

// Times are Unix microseconds. Columns named *_id hold the text that goes over the wire; columns
// named after a table hold its integer key. units.status: 0 pending, 1 in_progress, 2 completed, 3
// failed, 4 cancelled (unit_state.h). units.holding counts the unit's assignments that are not
// refused: the places that are taken (7.2).
constexpr std::string_view kFirst = R"sql(
CREATE TABLE accounts (
  account_id TEXT PRIMARY KEY, idp TEXT NOT NULL, subject TEXT NOT NULL, display_name TEXT NOT NULL,
  tier INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, suspended_at INTEGER,
  public_attribution INTEGER NOT NULL DEFAULT 0, UNIQUE (idp, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE binding_tokens (
  token_sha256 TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts, expires_at INTEGER NOT NULL,
  consumed_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE tenants (
  tenant_id TEXT PRIMARY KEY, pubkey TEXT UNIQUE, display_name TEXT, contact_email TEXT,
  contact_public INTEGER NOT NULL DEFAULT 0, description TEXT, account_id TEXT REFERENCES accounts,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE workers (
  id INTEGER PRIMARY KEY, worker_id TEXT NOT NULL UNIQUE, pubkey TEXT NOT NULL UNIQUE,
  capabilities TEXT NOT NULL, tier INTEGER NOT NULL DEFAULT 0, account_id TEXT REFERENCES accounts,
  registered_at INTEGER NOT NULL, last_heartbeat_at INTEGER, retired_at INTEGER, quarantined_at INTEGER,
  quarantine_reason TEXT, paused_at INTEGER, pause_reason TEXT, model_downloads TEXT
) STRICT;
CREATE INDEX workers_by_account ON workers (account_id) WHERE account_id IS NOT NULL;
CREATE TABLE releases (
  channel TEXT NOT NULL, version TEXT NOT NULL, headline TEXT NOT NULL, notes TEXT, release_url TEXT,
  published_at INTEGER NOT NULL, PRIMARY KEY (channel, version)
) STRICT;
CREATE TABLE packages (
  digest TEXT PRIMARY KEY, size_octets INTEGER NOT NULL, stored_at INTEGER NOT NULL, archive BLOB NOT NULL
) STRICT;
CREATE TABLE experiments (
  id INTEGER PRIMARY KEY, experiment_id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL REFERENCES tenants,
  label TEXT NOT NULL, manifest_sha256 TEXT NOT NULL UNIQUE, manifest TEXT NOT NULL, signature TEXT,
  package_digest TEXT, state TEXT NOT NULL, requirements TEXT NOT NULL, target INTEGER NOT NULL,
  floor INTEGER NOT NULL, max_units INTEGER, max_concurrent INTEGER, max_payload_octets INTEGER,
  max_unit_seconds INTEGER, created_at INTEGER NOT NULL, finalized_at INTEGER, completed_at INTEGER,
  UNIQUE (tenant_id, label)
) STRICT;
CREATE INDEX experiments_by_state ON experiments (state, id);
CREATE TABLE units (
  id INTEGER PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiments, unit_id TEXT NOT NULL,
  payload TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, target INTEGER NOT NULL,
  holding INTEGER NOT NULL DEFAULT 0, completions INTEGER NOT NULL DEFAULT 0, agreed INTEGER,
  consensus_result INTEGER, created_at INTEGER NOT NULL, UNIQUE (experiment, unit_id)
) STRICT;
CREATE INDEX units_with_places ON units (experiment, id) WHERE status < 2 AND holding < target;
CREATE INDEX units_by_unit_id ON units (unit_id);
CREATE INDEX units_not_done ON units (experiment) WHERE status < 2;
CREATE TABLE assignments (
  id INTEGER PRIMARY KEY, assignment_id TEXT NOT NULL UNIQUE, unit INTEGER NOT NULL REFERENCES units,
  experiment INTEGER NOT NULL REFERENCES experiments, worker INTEGER NOT NULL REFERENCES workers,
  assigned_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 1, refused_at INTEGER, refused_kind TEXT,
  refused_reason TEXT, retryable INTEGER NOT NULL DEFAULT 0, result INTEGER, UNIQUE (unit, worker)
) STRICT;
CREATE INDEX assignments_unresolved ON assignments (worker, id)
  WHERE result IS NULL AND (refused_at IS NULL OR retryable = 1);
CREATE INDEX assignments_open ON assignments (experiment, assigned_at)
  WHERE result IS NULL AND refused_at IS NULL;
CREATE INDEX assignments_refused ON assignments (experiment, refused_kind) WHERE refused_at IS NOT NULL;
CREATE TABLE results (
  id INTEGER PRIMARY KEY, result_id TEXT NOT NULL UNIQUE, assignment INTEGER NOT NULL UNIQUE REFERENCES assignments,
  unit INTEGER NOT NULL REFERENCES units, experiment INTEGER NOT NULL REFERENCES experiments,
  worker INTEGER NOT NULL REFERENCES workers, worker_pubkey TEXT NOT NULL, exit_code INTEGER NOT NULL,
  payload TEXT NOT NULL, completed_at TEXT NOT NULL, completed_micros INTEGER NOT NULL,
  schema_version INTEGER NOT NULL, ran_under TEXT, served_weights TEXT NOT NULL, signature TEXT NOT NULL,
  canonical_sha256 TEXT NOT NULL, semantic_hash TEXT NOT NULL, submitted_at INTEGER NOT NULL,
  outcome TEXT, outcome_reason TEXT
) STRICT;
CREATE INDEX results_by_unit ON results (unit);
CREATE INDEX results_by_experiment ON results (experiment);
CREATE TABLE receipts (
  id INTEGER PRIMARY KEY, receipt_id TEXT NOT NULL UNIQUE, result INTEGER NOT NULL UNIQUE REFERENCES results,
  unit INTEGER NOT NULL REFERENCES units, experiment INTEGER NOT NULL REFERENCES experiments,
  worker INTEGER NOT NULL REFERENCES workers, issued_at INTEGER NOT NULL, envelope BLOB NOT NULL,
  view TEXT NOT NULL
) STRICT;
CREATE INDEX receipts_by_worker ON receipts (worker);
CREATE INDEX receipts_by_experiment ON receipts (experiment);
CREATE INDEX receipts_by_unit ON receipts (unit);
CREATE TABLE attestations (
  experiment INTEGER PRIMARY KEY REFERENCES experiments, attestation_id TEXT NOT NULL UNIQUE,
  merkle_root TEXT NOT NULL, unit_count INTEGER NOT NULL, units TEXT NOT NULL, envelope BLOB NOT NULL,
  issued_at INTEGER NOT NULL
) STRICT;
)sql";

// certified: results must conform to the manifest's feature_schema. schema_problem: how one did not,
// where that is only recorded (8.1 step 10).
constexpr std::string_view kFeatureSchemas = R"sql(
ALTER TABLE experiments ADD COLUMN certified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN schema_problem TEXT;
)sql";

}  // namespace

const std::vector<std::string_view>& SchemaMigrations() {
  static const auto* const steps = new std::vector<std::string_view>{kFirst, kFeatureSchemas};
  return *steps;
}

}  // namespace auspex::coordd
