// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/schema.h"

#include <array>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::stated {
namespace {

// Version 1. All times are integer microseconds since 1970 in UTC. Text has been parsed or cleaned
// before it is stored. Large columns come last in a row, so that a scan over the small ones does
// not read them.
constexpr SqlText kVersion1 = R"sql(
-- Who this worker is: no row before enrolment, one row after.
CREATE TABLE identity (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  worker_id TEXT NOT NULL,
  public_key_hex TEXT NOT NULL,
  trust_tier INTEGER NOT NULL,
  enrolled_at INTEGER NOT NULL,
  base_url TEXT NOT NULL,
  account_id TEXT NOT NULL DEFAULT '',
  idp TEXT NOT NULL DEFAULT '',
  bound_at INTEGER,
  is_new_account INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What was last heard from the coordinator, and the owner's pause. Always one row.
CREATE TABLE contact (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  self_paused INTEGER NOT NULL DEFAULT 0,
  last_heartbeat_at INTEGER,
  last_heartbeat_error TEXT NOT NULL DEFAULT '',
  last_poll_error TEXT NOT NULL DEFAULT '',
  idle_code TEXT NOT NULL DEFAULT '',
  hold_kind TEXT NOT NULL DEFAULT '' CHECK (hold_kind IN ('', 'pause', 'quarantine')),
  hold_reason TEXT NOT NULL DEFAULT '',
  hold_at INTEGER,
  release_version TEXT NOT NULL DEFAULT '',
  release_headline TEXT NOT NULL DEFAULT '',
  release_url TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO contact (id) VALUES (1);

-- The first manifest hash seen for each of the coordinator's experiments (gate 1).
CREATE TABLE manifest_pins (
  id INTEGER PRIMARY KEY,
  experiment_id TEXT NOT NULL UNIQUE,
  manifest_sha256 TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  experiment_label TEXT NOT NULL,
  pinned_at INTEGER NOT NULL
) STRICT;

-- The owner's lists (gate 2) and consents (gate 3).
CREATE TABLE tenants (
  tenant_id TEXT NOT NULL,
  list TEXT NOT NULL CHECK (list IN ('allow', 'deny')),
  added_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, list)
) STRICT, WITHOUT ROWID;
CREATE TABLE accepted_experiments (
  experiment_id TEXT PRIMARY KEY,
  accepted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every assignment that was offered, in the state that unit_state.h numbers.
CREATE TABLE units (
  id INTEGER PRIMARY KEY,
  assignment_id TEXT NOT NULL UNIQUE,
  unit_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  experiment_id TEXT NOT NULL,
  experiment_label TEXT NOT NULL,
  manifest_sha256 TEXT NOT NULL,
  created_at TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
  owner_refused INTEGER NOT NULL DEFAULT 0,
  offered_at INTEGER NOT NULL,
  state_at INTEGER NOT NULL,
  note TEXT NOT NULL DEFAULT '',
  payload BLOB
) STRICT;
CREATE INDEX units_by_state ON units (state, id);
CREATE INDEX units_by_unit ON units (unit_id);

-- Every result that was signed. receipt_status: 0 not submitted, 1 placeholder, 2 canonical, 3 no_receipt, 4 bad, 5 the submission is
-- terminal.
CREATE TABLE results (
  id INTEGER PRIMARY KEY,
  assignment_id TEXT NOT NULL UNIQUE,
  unit_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  experiment_id TEXT NOT NULL,
  result_id TEXT,
  completed_at TEXT NOT NULL,
  exit_code INTEGER NOT NULL,
  ran_under TEXT NOT NULL,
  worker_pubkey TEXT NOT NULL,
  result_sha256 TEXT NOT NULL,
  result_sha256_early TEXT NOT NULL,
  stored_at INTEGER NOT NULL,
  submitted_at INTEGER,
  unit_status_after TEXT NOT NULL DEFAULT '',
  completions_so_far INTEGER NOT NULL DEFAULT 0,
  replication_target INTEGER NOT NULL DEFAULT 0,
  receipt_status INTEGER NOT NULL DEFAULT 0,
  receipt_note TEXT NOT NULL DEFAULT '',
  receipt_signer TEXT NOT NULL DEFAULT '',
  receipt_fetched_at INTEGER,
  agreeing_workers INTEGER NOT NULL DEFAULT 0,
  payload_octets INTEGER NOT NULL,
  signature BLOB NOT NULL,
  receipt BLOB,
  payload BLOB
) STRICT;
CREATE INDEX results_by_result ON results (result_id);
CREATE INDEX results_by_unit ON results (unit_id);
CREATE INDEX results_by_time ON results (submitted_at);

-- What netd has to send or to fetch. kind: 1 result, 2 refusal, 3 receipt, 4 package. Numbers are never used again. attempts is what
-- counts towards the limit; tried is 1 as soon as any outcome of an attempt was reported.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  tried INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  assignment_id TEXT NOT NULL DEFAULT '',
  unit_id TEXT NOT NULL DEFAULT '',
  subject TEXT NOT NULL DEFAULT '',
  last_error TEXT NOT NULL DEFAULT '',
  body BLOB
) STRICT;
CREATE INDEX outbox_by_kind ON outbox (kind, due);
CREATE INDEX outbox_untried ON outbox (kind) WHERE tried = 0;
CREATE INDEX outbox_by_assignment ON outbox (assignment_id);

-- What happened, one row a decision; pruned from the old end.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  occurred_at INTEGER NOT NULL,
  action TEXT NOT NULL,
  unit_id TEXT NOT NULL DEFAULT '',
  assignment_id TEXT NOT NULL DEFAULT '',
  experiment_id TEXT NOT NULL DEFAULT '',
  tenant_id TEXT NOT NULL DEFAULT '',
  manifest_sha256 TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_by_unit ON audit (unit_id, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_time ON audit (occurred_at);

-- Totals over the worker's whole life, which pruning must not change.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE submitted_experiments (experiment_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- The key that signed the first receipt of each coordinator that has no published roster.
CREATE TABLE receipt_signers (
  base_url TEXT PRIMARY KEY,
  public_key_hex TEXT NOT NULL,
  pinned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
)sql";

// Index i brings version i to version i + 1. Each script ends with its own PRAGMA user_version,
// which SQLite keeps inside the transaction.
constexpr std::array kSteps{kVersion1};

absl::StatusOr<int64_t> ReadVersion(Connection& db) {
  Statement version(db, "PRAGMA user_version");
  RETURN_IF_ERROR(version.Step().status());
  return version.Int(0);
}

absl::Status SeedOutboxNumbers(Connection& db, int64_t now_micros) {
  return Statement(db, "INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)", now_micros)
      .Run();
}

}  // namespace

int SchemaVersion() { return static_cast<int>(kSteps.size()); }

absl::Status MigrateSchema(Connection& db, int64_t now_micros) {
  ASSIGN_OR_RETURN(const int64_t version, ReadVersion(db));
  if (version > SchemaVersion()) {
    return absl::FailedPreconditionError(Cat("database: it has schema version ", version,
                                             " and this program knows versions up to ",
                                             SchemaVersion(), "; install the newer program again"));
  }
  for (auto step = static_cast<size_t>(version); step < kSteps.size(); ++step) {
    RETURN_IF_ERROR(db.Exec("BEGIN IMMEDIATE"));
    absl::Status status = db.Exec(kSteps[step]);
    if (status.ok() && step == 0) status = SeedOutboxNumbers(db, now_micros);
    if (status.ok()) status = db.Exec("COMMIT");
    if (!status.ok()) {
      if (db.InTransaction()) db.Exec("ROLLBACK").IgnoreError();
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace auspex::stated
